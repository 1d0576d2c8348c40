"""MediaPipe's blendshape scores in Apple's order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from countenance.arrays import Floats
from countenance.errors import UnknownName
from countenance.motion.spaces import ARKIT_SHAPES

_POSITIONS = {name: i for i, name in enumerate(ARKIT_SHAPES)}
_NOT_A_SHAPE = "_neutral"


def arkit_from_mediapipe(scores: Mapping[str, float] | Iterable[tuple[str, float]]) -> Floats:
    """Sorts MediaPipe's 52 scores (``_neutral`` and 51 shapes, in its own order) by name.

    ``_neutral`` is dropped. A shape that is not given is 0, as ``tongueOut`` always is.

    Args:
        scores: name -> score in [0, 1], or pairs of the two.

    Returns:
        (52,) float32 in the order of :data:`~countenance.motion.spaces.ARKIT_SHAPES`.

    Raises:
        UnknownName: a name that Apple does not have.
    """
    weights = np.zeros(len(ARKIT_SHAPES), dtype=np.float32)
    for name, score in scores.items() if isinstance(scores, Mapping) else scores:
        if name == _NOT_A_SHAPE:
            continue
        if name not in _POSITIONS:
            raise UnknownName("blendshape", name, ARKIT_SHAPES)
        weights[_POSITIONS[name]] = score
    return weights
