"""In-betweens of two motions, and motions drawn by hand: keyframes and sweeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from countenance.arrays import Doubles
from countenance.errors import BadValue, MotionInvalid, MotionSpaceMismatch, UnknownName
from countenance.motion.blending import blend
from countenance.motion.sequence import Motion
from countenance.motion.spaces import REGIONS, MotionSpace

Easing: TypeAlias = Literal["smooth", "linear"]
_EASINGS = ("smooth", "linear")


def interpolate(a: Motion, b: Motion, alpha: ArrayLike, only: str | Sequence[str] | None = None) -> Motion:
    """A share ``alpha`` of the way from one motion to another, frame by frame; rotations on the sphere.

    With ``only``, the rest stays ``a``'s: ``interpolate(own, driven, 1, "lips")`` re-drives just the lips.

    Args:
        a: T frames, or one that is held.
        b: T frames, or one that is held; the same rate unless one of the two is a single frame.
        alpha: a number or (T,); 0 gives ``a``, 1 gives ``b``, more goes beyond ``b``.
        only: a region of :data:`~countenance.motion.spaces.REGIONS`, a coefficient, or several coefficients.

    Returns:
        T frames, with the rate of the longer, crop and identity of ``a``, observed where both were.

    Raises:
        MotionSpaceMismatch: two spaces.
        MotionInvalid: different lengths or rates, or an alpha that does not fit or is not finite.
        UnknownName: in ``only``.
    """
    if a.space != b.space:
        raise MotionSpaceMismatch(b.space.name, a.space.name, by="interpolation with the first motion")
    frames = max(len(a), len(b))
    if min(len(a), len(b)) not in (1, frames):
        raise MotionInvalid(
            f"motions of {len(a)} and {len(b)} frames cannot be interpolated; cut the longer one"
        )
    if len(a) == len(b) > 1 and a.fps != b.fps:
        raise MotionInvalid(f"motions at {a.fps:g} and {b.fps:g} fps cannot be interpolated; resample one")
    share = np.asarray(alpha, dtype=np.float64)
    if share.shape not in ((), (frames,)) or not np.isfinite(share).all():
        raise MotionInvalid(
            f"alpha has shape {share.shape}, expected one finite number or ({frames},) of them"
        )
    first, second = (m if len(m) == frames else m.still(frames) for m in (a, b))
    chosen = np.zeros(a.space.size)
    chosen[_columns(a.space, only)] = 1
    mixed = blend(a.space, first.values, second.values, np.reshape(share, (-1, 1)) * chosen)
    seen = [m.observed for m in (first, second) if m.observed is not None]
    return replace(
        first.with_values(mixed),
        fps=a.fps if len(a) == frames else b.fps,
        observed=np.logical_and.reduce(seen) if seen else None,
    )


def keyframes(
    keys: Mapping[float, Mapping[str, float]], space: MotionSpace, fps: float, easing: Easing = "smooth"
) -> Motion:
    """A motion drawn by hand from a few moments.

    Every coefficient goes by itself from one of its keys to the next, and holds its last. One that the first
    key does not name is neutral there. Before the first key, the first key holds.

    Args:
        keys: seconds (>= 0) -> coefficient -> value in the space's unit.
        space: the space of the names.
        fps: frames a second.
        easing: ``smooth`` starts and ends each step at rest (3 s^2 - 2 s^3), ``linear`` does not.

    Returns:
        Motion from 0 s up to and including the last key.

    Raises:
        BadValue: no keys, or a time that is negative or not finite.
        UnknownName: a coefficient or an easing that does not exist.
        MotionInvalid: a value that is not finite, or a frame rate that is not positive.
    """
    if easing not in _EASINGS:
        raise UnknownName("easing", easing, _EASINGS)
    if not keys:
        raise BadValue("no keyframes were given; give at least one time with its values")
    times = sorted(keys)
    if not all(math.isfinite(t) and t >= 0 for t in times):
        raise BadValue(f"keyframe times are {times}; use seconds from 0 upward")
    motion = Motion.neutral(space, _frame_count(times[-1], fps), fps)
    named: dict[str, dict[float, float]] = {}
    for time in times:
        for name, value in keys[time].items():
            neutral = float(space.neutral[space.index(name)])
            named.setdefault(name, {times[0]: neutral})[time] = value
    tracks = {name: _eased(motion.times_s, track, easing) for name, track in named.items()}
    return motion.set(**tracks)


def sweep(space: MotionSpace, name: str, start: float, stop: float, seconds: float, fps: float) -> Motion:
    """One coefficient from ``start`` to ``stop`` and back, calmly; all others neutral.

    Args:
        space: the space of ``name``.
        name: the coefficient.
        start: value at the first and the last frame, in the coefficient's unit.
        stop: value in the middle.
        seconds: there and back, > 0.
        fps: frames a second.

    Raises:
        BadValue: a duration that is not positive.
        UnknownName: no such coefficient.
        MotionInvalid: a value that is not finite, or a frame rate that is not positive.
    """
    values = there_and_back(start, stop, seconds, fps)
    return Motion.neutral(space, len(values), fps).set(**{name: values})


def there_and_back(start: float, stop: float, seconds: float, fps: float) -> Doubles:
    """(T,) numbers from ``start`` to ``stop`` and back, at rest at both; see :func:`sweep`.

    Raises:
        BadValue: a duration that is not positive.
        MotionInvalid: a frame rate that is not positive.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise BadValue(f"a sweep of {seconds} seconds was asked for; ask for more than 0")
    times_s = np.arange(_frame_count(seconds, fps)) / fps
    return _eased(times_s, {0.0: start, seconds / 2: stop, seconds: start}, "smooth")


def _columns(
    space: MotionSpace, only: str | Sequence[str] | None
) -> Sequence[int] | np.ndarray[tuple[int], np.dtype[np.intp]]:
    if only is None:
        return range(space.size)
    if isinstance(only, str):
        return space.region_indices(only) if only in REGIONS else [space.index(only)]
    return [space.index(name) for name in only]


def _frame_count(last_s: float, fps: float) -> int:
    if not (math.isfinite(fps) and fps > 0):
        raise MotionInvalid(f"the frame rate is {fps}; it must be a positive number of frames a second")
    return round(last_s * fps) + 1


def _eased(times_s: Doubles, track: Mapping[float, float], easing: Easing) -> Doubles:
    at, values = np.array(list(track)), np.array(list(track.values()))
    if len(at) == 1:
        return np.full(len(times_s), values[0])
    step = np.clip(np.searchsorted(at, times_s, side="right") - 1, 0, len(at) - 2)
    share = np.clip((times_s - at[step]) / (at[step + 1] - at[step]), 0, 1)
    if easing == "smooth":
        share = share * share * (3 - 2 * share)
    eased: Doubles = (1 - share) * values[step] + share * values[step + 1]
    return eased
