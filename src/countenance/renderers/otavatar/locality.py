"""What a tuned generator must not forget: how a face moves.

Pivotal tuning sees one expression of one face, and unlearns the others. Roich et al. (2022, Sec. 3.3) hold the
generator still at random codes beside the pivot. Here those are the pivot moved by other expressions, and what is held
is not the picture, which would be another person's, but how the feature planes change with the motion.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from countenance.arrays import Floats
from countenance.motion.sequence import Motion
from countenance.renderers.otavatar.inversion import Code, Matching
from countenance.renderers.otavatar.network import Animator

_EXPRESSIONS = 64
_PICKED = 0.15  # of the coefficients, before the other side's are taken over, too


def expressions_beside(motion: Motion, count: int = _EXPRESSIONS, seed: int = 0) -> Floats:
    """Windows (count, D, 27) in which a face holds random expressions, alike on both sides: none looks to a side.

    Args:
        motion: one frame of ``arkit``; its pose and the rest of its coefficients stay.
        count: how many.
        seed: of what is drawn.
    """
    space, drawn = motion.space, np.random.default_rng(seed)
    changes = space.region_indices("expression")
    values = np.repeat(motion.values, count, 0)
    weights = drawn.random(values.shape) * (drawn.random(values.shape) < _PICKED)
    weights = np.maximum(weights, weights[:, space.mirror_permutation()[0]])
    values[:, changes] = np.where(weights > 0, weights, values)[:, changes]
    held = motion.with_values(values[:1])
    windows = [held.with_values(values[number : number + 1]).descriptor()[0] for number in range(count)]
    return np.stack(windows).astype(np.float32)


class Locality:
    """How far planes change otherwise than an untuned animator's when the expression changes.

    Args:
        matching: of the untuned animator and the frame that is tuned for.
        code: the pivot.
        windows: (K, D, 27) of other expressions.
    """

    def __init__(self, matching: Matching, code: Code, windows: Tensor) -> None:
        animator = matching.animator
        with torch.no_grad():
            own = matching.ws(code.identity, animator.controller, matching.moments.windows)
            self._ws = matching.ws(code.identity, animator.controller, windows)
            before = animator.generator.planes(own).table
            moved = [animator.generator.planes(each).table - before for each in self._ws[:, None]]
        self._moved = torch.stack(moved)
        self._size = self._moved.square().mean().clamp_min(torch.finfo(before.dtype).tiny)
        self._numbers = matching.numbers

    def loss(self, animator: Animator, table: Tensor) -> Tensor:
        """Mean square of the difference, in units of the mean square change, at one of the expressions.

        Args:
            animator: tuned.
            table: of its planes at the pivot, see :class:`countenance.generators.eg3d.planes.TriPlanes`.
        """
        number = int(torch.randint(len(self._ws), (1,), generator=self._numbers))
        moved = animator.generator.planes(self._ws[number : number + 1]).table - table
        return (moved - self._moved[number]).square().mean() / self._size
