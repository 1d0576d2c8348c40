"""Named expressions, and MediaPipe's names."""

from __future__ import annotations

import numpy as np
import pytest

from countenance.errors import UnknownName
from countenance.motion.expressions import EXPRESSIONS, expression
from countenance.motion.mediapipe_shapes import arkit_from_mediapipe
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, ARKIT_SHAPES


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_are_arkit_within_range(name: str) -> None:
    motion = Motion.neutral(ARKIT, 1, 25).set(**expression(name))
    np.testing.assert_array_equal(motion.values, ARKIT.clamp(motion.values))
    assert motion.values.any()


def test_unknown_expression() -> None:
    with pytest.raises(UnknownName, match="did you mean smile"):
        expression("smil")


def test_mediapipe_is_sorted_by_name() -> None:
    shapes = [n for n in ARKIT_SHAPES if n != "tongueOut"]
    scores = {name: (i + 1) / 100 for i, name in enumerate(sorted(shapes))}
    weights = arkit_from_mediapipe({"_neutral": 0.9, **scores})
    assert weights.dtype == np.float32
    for name, score in scores.items():
        assert weights[ARKIT_SHAPES.index(name)] == pytest.approx(score)
    assert weights[ARKIT_SHAPES.index("tongueOut")] == 0
    np.testing.assert_array_equal(arkit_from_mediapipe(scores.items()), weights)
    with pytest.raises(UnknownName, match="jawOpen"):
        arkit_from_mediapipe({"jawOpenn": 1})
