"""Blending and re-basing of coefficient arrays: rotations on the sphere, scales in the logarithm.

Works on bare (..., D) arrays of one space in float64; :mod:`.interpolation` and :mod:`.transfer` wrap it for
whole motions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from countenance.arrays import Doubles
from countenance.errors import MotionInvalid
from countenance.motion.pose import (
    matrix_axis_angle,
    mean_rotation,
    relative_rotation,
    scaled_rotation,
    slerp,
)
from countenance.motion.spaces import MotionSpace


def blend(space: MotionSpace, a: ArrayLike, b: ArrayLike, alpha: ArrayLike) -> Doubles:
    """A share ``alpha`` of the way from ``a`` to ``b``; exactly ``a`` at 0 and exactly ``b`` at 1.

    A rotation whose three numbers have one alpha is blended on the sphere; with different alphas its numbers
    are blended one by one.

    Args:
        space: the space of ``a`` and ``b``.
        a: (..., D); a, b and alpha broadcast against each other.
        b: (..., D).
        alpha: (..., D) or (..., 1) or a number; above 1 goes beyond ``b``.

    Returns:
        (..., D).

    Raises:
        MotionInvalid: a scale (unit ``1/m``) that is not positive.
    """
    start, end, share = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (a, b, alpha)))
    first, last = additive(space, start), additive(space, end)
    mixed = natural(space, first + share * (last - first))
    for rotation in space.rotations:
        columns = space.indices(list(rotation.names))
        part = share[..., columns]
        if (part == part[..., :1]).all():
            turned = slerp(
                rotation.matrix(start[..., columns]), rotation.matrix(end[..., columns]), part[..., 0]
            )
            mixed[..., columns] = rotation.numbers(turned)
    return np.where(share == 0, start, np.where(share == 1, end, mixed))


def rebase(
    space: MotionSpace, values: ArrayLike, reference: ArrayLike, base: ArrayLike, gain: ArrayLike
) -> Doubles:
    """What ``values`` do relative to ``reference``, done to ``base`` instead.

    Numbers become base + gain (value - reference). Rotations become (R R_reference^T)^gain R_base: the same
    turn in the camera's axes, begun from another pose.

    Args:
        space: the space of all four.
        values: (T, D).
        reference: (D,).
        base: (D,).
        gain: (D,); a rotation takes the gain of its first number.

    Returns:
        (T, D).

    Raises:
        MotionInvalid: a scale (unit ``1/m``) that is not positive.
    """
    moved, zero, own = (np.asarray(v, dtype=np.float64) for v in (values, reference, base))
    gains = np.asarray(gain, dtype=np.float64)
    result = natural(space, additive(space, own) + gains * (additive(space, moved) - additive(space, zero)))
    for rotation in space.rotations:
        columns = space.indices(list(rotation.names))
        turn = relative_rotation(rotation.matrix(zero[columns]), rotation.matrix(moved[..., columns]))
        turned = scaled_rotation(turn, gains[columns[0]]) @ rotation.matrix(own[columns])
        result[..., columns] = rotation.numbers(turned)
    return result


def mean(space: MotionSpace, values: ArrayLike) -> Doubles:
    """The mean frame of (T, D) values -> (D,); rotations and scales are averaged as such.

    Raises:
        MotionInvalid: a scale (unit ``1/m``) that is not positive.
    """
    frames = np.asarray(values, dtype=np.float64)
    centre = natural(space, additive(space, frames).mean(axis=0))
    for rotation in space.rotations:
        columns = space.indices(list(rotation.names))
        centre[columns] = rotation.numbers(mean_rotation(rotation.matrix(frames[:, columns])))
    return centre


def deviation(space: MotionSpace, values: ArrayLike) -> Doubles:
    """How far (T, D) values stray from their mean -> (D,).

    The standard deviation; for a rotation, the root mean square of the angle to the mean rotation, the same
    for its three numbers.

    Raises:
        MotionInvalid: a scale (unit ``1/m``) that is not positive.
    """
    frames = np.asarray(values, dtype=np.float64)
    spread: Doubles = additive(space, frames).std(axis=0)
    centre = mean(space, frames)
    for rotation in space.rotations:
        columns = space.indices(list(rotation.names))
        turn = relative_rotation(rotation.matrix(centre[columns]), rotation.matrix(frames[:, columns]))
        spread[columns] = np.sqrt(np.mean(np.sum(matrix_axis_angle(turn) ** 2, axis=-1)))
    return spread


def additive(space: MotionSpace, values: Doubles) -> Doubles:
    """(..., D) with scales (unit ``1/m``) replaced by their logarithms, in which differences make sense.

    Raises:
        MotionInvalid: a scale that is not positive.
    """
    columns = _scale_columns(space)
    if not columns:
        return values
    if (values[..., columns] <= 0).any():
        raise MotionInvalid(f"{space.names[columns[0]]} must be positive; track the motion again")
    logged = values.copy()
    logged[..., columns] = np.log(values[..., columns])
    return logged


def natural(space: MotionSpace, values: Doubles) -> Doubles:
    """Undoes :func:`additive`; always returns a new array."""
    columns = _scale_columns(space)
    plain = values.copy()
    plain[..., columns] = np.exp(values[..., columns])
    return plain


def _scale_columns(space: MotionSpace) -> list[int]:
    return [i for i, c in enumerate(space.coefficients) if c.unit == "1/m"]
