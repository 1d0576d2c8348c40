"""Motion: T frames of D named coefficients at a frame rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, overload

import numpy as np
from numpy.typing import ArrayLike

from countenance.arrays import Doubles, Floats, Mask
from countenance.errors import BadValue, MotionInvalid
from countenance.motion.blending import blend
from countenance.motion.spaces import MotionSpace
from countenance.ranges import FRAME_RATE, Range

RADIUS = 13
"""Frames on each side in PIRenderer's motion descriptor: 27 in all."""

_COMPANIONS: Final = Range(
    -10_000, 10_000
)  # of the crop, in px of a picture, and of identities, in deviations
_LONGEST_IDENTITY: Final = 1000


@dataclass(frozen=True, eq=False)
class Motion:
    """How one face moves. Immutable: its arrays are read-only copies, and changes return a new motion.

    ``motion["jawOpen"]`` is (T,), ``motion["yaw", "pitch"]`` is (T, 2), ``motion[10:20]`` and ``motion[3]``
    are motions of 10 frames and of one.

    Attributes:
        values: (T, D) float32, T >= 1, finite, in the units of ``space``. Values outside a coefficient's
            range are allowed, as far as :attr:`~countenance.motion.spaces.MotionSpace.reach`.
        space: names the D coefficients.
        fps: frames a second, within :data:`countenance.ranges.FRAME_RATE`. Frame i is shown at i / fps seconds.
        crop: (T, 3) float32 or None: scale, x and y of the crop that a ``bfm`` tracker aligned each frame to
            (PIRenderer's t_c, Appendix D.1). Not motion, so not among the coefficients.
        identity: (K,) float32 or None: the shape of this person's face. In ``bfm`` and ``flame`` the morphable
            model's identity coefficients; in ``arkit`` values of the shape sliders of
            ``countenance.face.shape_sliders``, None (from every tracker) for the face as it is in the picture.
        observed: (T,) bool or None: False where no face was seen and the frame was bridged. None: all seen.

    Raises:
        MotionInvalid: a wrong shape, a value that is not finite or out of reach, a frame rate out of range.
    """

    values: Floats
    space: MotionSpace
    fps: float
    crop: Floats | None = None
    identity: Floats | None = None
    observed: Mask | None = None

    def __post_init__(self) -> None:
        values = _floats("motion values", self.values)
        if values.ndim != 2 or values.shape[1] != self.space.size:
            raise MotionInvalid(
                f"motion values have shape {values.shape}, expected (frames, {self.space.size}) "
                f"for the space '{self.space.name}'"
            )
        if len(values) == 0:
            raise MotionInvalid("a motion needs at least one frame, but this one has none")
        low, high = self.space.reach
        if not (inside := (values >= low) & (values <= high)).all():  # nothing is inside that is not finite
            frame, column = np.argwhere(~inside)[0].tolist()
            raise MotionInvalid(
                f"frame {frame} of '{self.space.names[column]}' is {values[frame, column]:g}; it must be a finite "
                f"number, {low[column]:g} to {high[column]:g}"
            )
        _check_rate(self.fps)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "fps", float(self.fps))
        if self.crop is not None:
            object.__setattr__(self, "crop", _companion("crop", self.crop, (len(values), 3)))
        if self.identity is not None:
            size = min(np.size(self.identity), _LONGEST_IDENTITY)
            object.__setattr__(self, "identity", _companion("identity", self.identity, (size,)))
        if self.observed is not None:
            object.__setattr__(self, "observed", _observed(self.observed, len(values)))

    @classmethod
    def neutral(cls, space: MotionSpace, frames: int, fps: float) -> Motion:
        """A face at rest that looks into the camera, for ``frames`` frames.

        Raises:
            MotionInvalid: fewer than one frame, or a frame rate that is not positive.
        """
        return cls(np.tile(space.neutral, (max(frames, 0), 1)), space, fps)

    def still(self, frames: int, frame: int = 0) -> Motion:
        """One frame of this motion, held for ``frames`` frames, with its crop and the identity.

        Raises:
            BadValue: there is no such frame, or fewer than one is asked for.
        """
        if frames < 1:
            raise BadValue(f"a still of {frames} frames was asked for; ask for 1 or more")
        return self._at(np.full(frames, self._position(frame)))

    def __len__(self) -> int:
        """T, the number of frames."""
        return len(self.values)

    @property
    def duration_s(self) -> float:
        """T / fps: every frame is shown for 1 / fps seconds."""
        return len(self) / self.fps

    @property
    def times_s(self) -> Doubles:
        """(T,) seconds at which the frames are shown; the first at 0."""
        return np.arange(len(self)) / self.fps

    @overload
    def __getitem__(self, key: str | tuple[str, ...]) -> Floats: ...
    @overload
    def __getitem__(self, key: int | slice) -> Motion: ...
    def __getitem__(self, key: str | tuple[str, ...] | int | slice) -> Floats | Motion:
        """Coefficients by name, or frames by number.

        Args:
            key: a name -> (T,); several names -> (T, K); a frame or a slice of frames -> a Motion.

        Raises:
            UnknownName: a name that the space does not have.
            BadValue: a frame that is not there, or a slice with a step (see :meth:`resample`).
            MotionInvalid: a slice without frames.
        """
        if isinstance(key, str):
            return self.values[:, self.space.index(key)]
        if isinstance(key, tuple):
            return self.values[:, self.space.indices(key)]
        if isinstance(key, slice):
            if key.step not in (None, 1):
                raise BadValue(f"frames cannot be sliced with step {key.step}; use resample(fps) instead")
            return self._at(key)
        position = self._position(key)
        return self._at(slice(position, position + 1))

    def __iter__(self) -> Iterator[Motion]:
        """The frames one by one, each as a motion of one frame."""
        return (self[i] for i in range(len(self)))

    def with_values(self, values: ArrayLike) -> Motion:
        """The same motion with other numbers, (T, D) of the same T; what travels beside them is kept.

        Raises:
            MotionInvalid: as the constructor.
        """
        return replace(self, values=_floats("motion values", values))

    def set(self, **named: ArrayLike) -> Motion:
        """A copy in which some coefficients are replaced: ``motion.set(jawOpen=0.5, yaw=angles)``.

        Args:
            named: coefficient -> one number for all frames, or (T,).

        Raises:
            UnknownName: a name that the space does not have.
            MotionInvalid: another number of frames, or values that are not finite.
        """
        values = self.values.copy()
        for name, given in named.items():
            column = self.space.index(name)
            numbers = _floats(f"values of '{name}'", given)
            if numbers.shape not in ((), (len(self),)):
                raise MotionInvalid(
                    f"values of '{name}' have shape {numbers.shape}, expected one number or ({len(self)},)"
                )
            values[:, column] = numbers
        return self.with_values(values)

    def descriptor(self, radius: int = RADIUS) -> Floats:
        """The window of 2r + 1 frames around each frame, edges clamped (PIRenderer, Sec. 3.1 and D.1).

        A read-only view that takes the memory of T + 2r frames, however large the windows.

        Returns:
            (T, D, 2 radius + 1) float32: [t, d, k] is coefficient d of frame t - radius + k.

        Raises:
            BadValue: a negative radius.
        """
        return _windows(self.values, radius)

    def crop_descriptor(self, radius: int = RADIUS) -> Floats:
        """The window of ``crop`` around each frame, to be packed below :meth:`descriptor`.

        Returns:
            (T, 3, 2 radius + 1) float32, a read-only view.

        Raises:
            BadValue: a negative radius.
            MotionInvalid: this motion has no crop.
        """
        if self.crop is None:
            raise MotionInvalid(
                "this motion has no crop beside it; track it again with a tracker that aligns faces"
            )
        return _windows(self.crop, radius)

    def resample(self, fps: float) -> Motion:
        """The same movement at another frame rate, interpolated between neighbouring frames.

        The duration is kept to half a new frame. Rotations are interpolated on the sphere. Going far down can
        miss a blink that falls between two frames. A frame counts as observed if all that it is made of were.

        Raises:
            MotionInvalid: a frame rate that is not positive.
        """
        _check_rate(fps)
        if fps == self.fps:
            return self
        count = max(1, round(self.duration_s * fps))
        position = np.minimum(np.arange(count) * (self.fps / fps), len(self) - 1)
        before = np.floor(position).astype(np.intp)
        share = (position - before)[:, None]
        after = np.where(share[:, 0] > 0, np.minimum(before + 1, len(self) - 1), before)
        crop, observed = self.crop, self.observed
        return Motion(
            values=blend(self.space, self.values[before], self.values[after], share).astype(np.float32),
            space=self.space,
            fps=fps,
            crop=None
            if crop is None
            else crop[before] + share.astype(np.float32) * (crop[after] - crop[before]),
            identity=self.identity,
            observed=None if observed is None else observed[before] & observed[after],
        )

    def mirrored(self) -> Motion:
        """The motion of the same pictures flipped left to right: sides swap; yaw, roll and x change sign.

        Raises:
            BadValue: a space whose coefficients have no mirror images, or a crop beside the motion.
        """
        if self.crop is not None:
            raise BadValue("motion with a crop cannot be mirrored; flip the pictures and track them again")
        order, signs = self.space.mirror_permutation()
        return self.with_values(self.values[:, order] * signs)

    def rotation(self, name: str = "head") -> Doubles:
        """(T, 3, 3) rotation matrices of the head, or of another rotation of the space (``jaw``, ``eye1``).

        They act on column vectors in the head frame; see :mod:`countenance.motion.pose`.

        Raises:
            UnknownName: no such rotation in this space.
        """
        rotation = self.space.rotation(name)
        return rotation.matrix(self.values[:, self.space.indices(list(rotation.names))])

    def _at(self, frames: slice | np.ndarray[tuple[int], np.dtype[np.intp]]) -> Motion:
        return replace(
            self,
            values=self.values[frames],
            crop=None if self.crop is None else self.crop[frames],
            observed=None if self.observed is None else self.observed[frames],
        )

    def _position(self, frame: int) -> int:
        if not -len(self) <= frame < len(self):
            raise BadValue(f"there is no frame {frame}; this motion has frames 0 to {len(self) - 1}")
        return frame % len(self)


def _floats(what: str, given: ArrayLike) -> Floats:
    """A read-only float32 copy, so that nobody can change a motion from outside."""
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise MotionInvalid(f"{what} are of type {array.dtype}; they must be real numbers")
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is reported by name
        copy = np.array(array, dtype=np.float32)
    copy.setflags(write=False)
    return copy


def _check_rate(fps: float) -> None:
    if not FRAME_RATE.holds(fps):
        raise MotionInvalid(f"the frame rate is {fps}; it must be {FRAME_RATE}")


def _companion(what: str, given: ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = _floats(f"the numbers of '{what}'", given)
    if array.shape != shape:
        raise MotionInvalid(f"'{what}' has shape {array.shape}, expected {shape}")
    if not (inside := (array >= _COMPANIONS.minimum) & (array <= _COMPANIONS.maximum)).all():
        place = np.argwhere(~inside)[0].tolist()
        given = f"'{what}' is {array[tuple(place)]:g} at {place}"
        raise MotionInvalid(f"{given}; it must be a finite number, {_COMPANIONS}")
    return array


def _observed(given: ArrayLike, frames: int) -> Mask:
    array = np.array(given)
    if array.dtype != np.bool_ or array.shape != (frames,):
        raise MotionInvalid(
            f"'observed' is {array.dtype} of shape {array.shape}, expected bool of shape ({frames},)"
        )
    array.setflags(write=False)
    return array


def _windows(frames: Floats, radius: int) -> Floats:
    if radius < 0:
        raise BadValue(f"the radius of a motion window is {radius}; it must be 0 or more")
    padded = np.pad(frames, ((radius, radius), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=0)
