"""Transfer: a driver's motion made the source's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from countenance.arrays import Doubles, Floats
from countenance.errors import BadValue, MotionSpaceMismatch, UnknownName, expect_type
from countenance.motion.blending import blend, deviation, mean, rebase
from countenance.motion.sequence import Motion

Mode: TypeAlias = Literal["relative", "absolute", "renormalized"]
Reference: TypeAlias = Literal["first", "auto"] | int | Motion

_MODES = ("relative", "absolute", "renormalized")
_FEWEST_FOR_SPREAD = 8  # frames below which a standard deviation says nothing about a person
_AT_ONCE = 1024  # frames; bounds the memory that an hour of motion takes on its way
_MOST_GAIN = 3.0  # a coefficient that the driver hardly uses is mostly noise: not to be blown up


def transfer(
    driver: Motion,
    source: Motion,
    mode: Mode = "relative",
    reference: Reference = "auto",
    strengths: Mapping[str, float] | None = None,
) -> Motion:
    """Re-bases a driver's motion on the source's own face.

    - ``relative``: what the driver does relative to its reference frame, done to the source's first frame.
      Head turns compose as rotations, R = R_driver R_reference^T R_source. Positions in crop sides are scaled
      with the size of the source's head, scales multiply. A driver that is the source itself comes back unchanged.
    - ``absolute``: the driver's coefficients as they are.
    - ``renormalized``: each coefficient's mean and standard deviation over the driver become those over the
      source (PVP, Sec. 5.3: different people's FLAME parameters are distributed differently). Gains stay
      within 1/3 and 3. A source under 8 frames has no standard deviation to speak of: the driver's own is
      kept.

    Expression coefficients are clamped to their range, widened to what driver and source hold themselves.

    Args:
        driver: the motion to transfer.
        source: the source's own motion. Its first frame is the one that is re-based, except in
            ``renormalized``, which uses the whole.
        mode: see above.
        reference: the driver's frame that counts as the source's pose and expression: ``auto`` for
            :func:`nearest_frame` (drivers rarely begin calm), ``first``, a frame number from 0, or the first frame
            of another motion (for drivers that arrive in pieces). Only ``relative`` and the crop need it.
        strengths: region -> share of the way from the source's first frame (0) to the transferred motion (1,
            the default); more than 1 exaggerates. A narrow region wins over ``expression``. To keep a source
            video's own motion in a region, see :func:`countenance.motion.interpolation.interpolate`.

    Returns:
        Motion with the driver's length, rate and ``observed``, and the source's identity. Where both have
        crops, the driver's crop scale is multiplied by source scale / reference scale, as PIRenderer does to
        drive another person; otherwise the driver's crop is kept.

    Raises:
        MotionSpaceMismatch: driver and source are in different spaces.
        UnknownName: unknown mode or region.
        BadValue: no such reference frame, or a negative strength.
    """
    for what, given in (("the driver", driver), ("the source", source)):
        expect_type(given, Motion, what, "give motions, such as portrait.motion")
    expect_type(strengths or {}, Mapping, "the strengths", "write for example {'pose': 0.5}")
    if driver.space != source.space:
        raise MotionSpaceMismatch(driver.space.name, source.space.name, by="the source")
    if mode not in _MODES:
        raise UnknownName("transfer mode", mode, _MODES)
    frame = _reference_frame(driver, source, reference)
    shares = driver.space.per_coefficient(strengths or {}, 1.0)
    low, high = _range(driver, source)
    own = source.values[0].astype(np.float64)
    change = None if mode == "absolute" else _change(driver, source, frame, mode)
    values = np.empty_like(driver.values)
    for start in range(0, len(driver), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        moved = driver.values[part] if change is None else rebase(driver.space, driver.values[part], *change)
        values[part] = np.clip(blend(driver.space, own, moved, shares), low, high)
    return replace(
        driver.with_values(values), crop=_adapted_crop(driver, source, frame), identity=source.identity
    )


def nearest_frame(
    driver: Motion, source: Motion, expression_weight: float = 1.0, pose_weight: float = 0.2
) -> int:
    """The driver's frame that is most like the source's first: mostly in expression, lightly in pose.

    The distance is expression_weight * mean |expression difference| + pose_weight * mean |head angle
    difference|, in the coefficients' own units. PIRenderer's own demo uses 0.3 and 0.7. Bridged frames are
    left out if any was observed.

    Returns:
        A frame number of ``driver``; the first of equals.

    Raises:
        MotionSpaceMismatch: driver and source are in different spaces.
    """
    if driver.space != source.space:
        raise MotionSpaceMismatch(driver.space.name, source.space.name, by="the source")
    space = driver.space
    difference = np.abs(driver.values.astype(np.float64) - source.values[0])
    head = space.indices(list(space.rotation("head").names))
    distance = expression_weight * difference[:, space.region_indices("expression")].mean(axis=1)
    distance += pose_weight * difference[:, head].mean(axis=1)
    if driver.observed is not None and driver.observed.any():
        distance[~driver.observed] = np.inf
    return int(np.argmin(distance))


def reference_number(driver: Motion, source: Motion, reference: Literal["first", "auto"] | int) -> int:
    """The number of the driver's frame that :func:`transfer` takes as the reference.

    Raises:
        BadValue: no such frame.
        MotionSpaceMismatch: driver and source are in different spaces.
    """
    if reference == "first":
        return 0
    if reference == "auto":
        return nearest_frame(driver, source)
    if isinstance(reference, int) and 0 <= reference < len(driver):
        return reference
    raise BadValue(f"reference '{reference}' is not first, auto or a frame from 0 to {len(driver) - 1}")


def _reference_frame(driver: Motion, source: Motion, reference: Reference) -> Motion:
    if not isinstance(reference, Motion):
        return driver[reference_number(driver, source, reference)]
    if reference.space != driver.space:
        raise MotionSpaceMismatch(reference.space.name, driver.space.name, by="the driver")
    return reference[0]


def _relative_gain(driver: Motion, reference: Doubles, own: Doubles) -> Doubles:
    """1, but a head twice as large in its crop moves twice as many crop sides."""
    units = [c.unit for c in driver.space.coefficients]
    gain = np.ones(len(units))
    if "log ratio" in units:
        scale = units.index("log ratio")
        gain[[u == "crop sides" for u in units]] = np.exp(own[scale] - reference[scale])
    return gain


def _change(driver: Motion, source: Motion, frame: Motion, mode: Mode) -> tuple[Doubles, Doubles, Doubles]:
    """Reference, base and gain, each (D,), for :func:`countenance.motion.blending.rebase`."""
    space = driver.space
    if mode == "relative":
        start, own = frame.values[0].astype(np.float64), source.values[0].astype(np.float64)
        return start, own, _relative_gain(driver, start, own)
    reference, base = mean(space, driver.values), mean(space, source.values)
    if len(source) < _FEWEST_FOR_SPREAD:
        return reference, base, _relative_gain(driver, reference, base)
    spread, wanted = deviation(space, driver.values), deviation(space, source.values)
    ratio = np.divide(wanted, spread, out=np.ones_like(spread), where=spread > 0)
    return reference, base, np.clip(ratio, 1 / _MOST_GAIN, _MOST_GAIN)


def _range(driver: Motion, source: Motion) -> tuple[Doubles, Doubles]:
    """Lowest and highest values (D,) that a result may have; pose and angles are free."""
    space = driver.space
    low = np.minimum(space.minimum, np.minimum(driver.values.min(axis=0), source.values.min(axis=0)))
    high = np.maximum(space.maximum, np.maximum(driver.values.max(axis=0), source.values.max(axis=0)))
    free = [c.region == "pose" or c.unit == "rad" for c in space.coefficients]
    return np.where(free, -np.inf, low).astype(np.float64), np.where(free, np.inf, high).astype(np.float64)


def _adapted_crop(driver: Motion, source: Motion, reference: Motion) -> Floats | None:
    if driver.crop is None or source.crop is None or reference.crop is None:
        return driver.crop
    if reference.crop[0, 0] == 0:
        raise BadValue("the reference frame's crop has scale 0; choose another reference frame")
    adapted = driver.crop.copy()
    adapted[:, 0] *= source.crop[0, 0] / reference.crop[0, 0]
    return adapted
