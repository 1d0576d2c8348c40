"""``countenance animate``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

if TYPE_CHECKING:
    from countenance.media.frames import Frame
    from countenance.motion.sequence import Motion
    from countenance.portrait.crop import Crop
    from countenance.trackers.tracker import Tracker


@dataclass(frozen=True)
class Animate:
    """Drive a portrait with a video, a picture or a motion file.

    examples:
      countenance animate me.jpg driver.mp4 -o out.mp4
      countenance animate me.jpg iphone.csv -o out.mp4
      countenance animate group.jpg driver.mp4 -o out.mp4 --face 2 --reference auto
      countenance animate me.jpg driver.mp4 -o out.gif --crop --lips 1.3 --pose 0.5
      countenance animate interview.mp4 driver.mp4 -o redriven.mp4 --pose 0
    """

    source: Annotated[Path, tyro.conf.Positional]
    """The person to be moved: a photo, or a video whose own frames are re-driven."""
    driver: Annotated[Path, tyro.conf.Positional]
    """What moves them: a video or picture with a face, or motion (.npz, Live Link Face .csv)."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """.mp4, .mov, .mkv, .webm, .gif, or a folder for PNG frames."""
    model: str | None = None
    """Renderer; `countenance models` lists them and says which is the default."""
    avatar: Path | None = None
    """A .safetensors file: if it is there, the photo's avatar is read from it, else it is written. Enrolling takes
    a minute with otavatar-lite and longer with otavatar."""
    crop: bool = False
    """Write only the square around the face."""
    face: int = 1
    """Which face of the source: 1 is the largest."""
    driver_face: int = 1
    """Which face of the driver: 1 is the largest."""
    transfer: Literal["relative", "absolute", "renormalized"] = "relative"
    """relative: changes since the reference frame, added to the source's own pose and expression. absolute: the
    driver's numbers as they are. renormalized: fitted to the source's own mean and spread (for video sources)."""
    reference: str = "first"
    """The driver's frame that counts as the source's own expression: first, auto (the most similar) or a number."""
    pose: float = 1.0
    """Strength of head motion; 0 keeps the source's, above 1 exaggerates."""
    expression: float = 1.0
    """Strength of the whole expression."""
    lips: float | None = None
    """Strength of mouth and jaw, if other than the expression's."""
    eyes: float | None = None
    """Strength of lids and gaze, if other than the expression's."""
    brows: float | None = None
    """Strength of the brows, if other than the expression's."""
    smooth: float = 1.0
    """Smoothing of a tracked driver: 0 none, 1 normal; blinks stay."""
    audio: bool = True
    """Copy the driver's sound into the output."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.cli.avatars import check_avatar, load_enroller
        from countenance.cli.progress import bar
        from countenance.errors import BadValue
        from countenance.media.kinds import kind_of
        from countenance.media.writer import check_output
        from countenance.production import driver_motion, write_video
        from countenance.trackers.catalogue import tracker_for

        check_output(self.output)
        check_avatar(self.avatar)
        renderer = load_enroller(self.model)
        driver_kind = kind_of(self.driver)
        source_kind = kind_of(self.source)
        if self.avatar is not None and source_kind == "video":
            raise BadValue("--avatar is for photos; a video's person is enrolled in every frame")
        tracker = tracker_for(renderer.spec.motion_space)
        motion = driver_motion(
            self.driver, face=self.driver_face, smoothing=self.smooth, tracker=tracker, progress=bar
        )
        if source_kind == "video":
            frames, total, square, fps = self._video(renderer, tracker, motion)
        else:
            frames, total, square, fps = self._photo(renderer, tracker, motion)
        sound = self.driver if self.audio and driver_kind == "video" and _has_sound(self.driver) else None
        written = write_video(
            self.output,
            bar(frames, f"rendering {self.output.name}", total),
            fps,
            model=renderer.spec.name,
            audio=sound,
            crop=square if self.crop else None,
        )
        bridged = 0 if motion.observed is None else int((~motion.observed).sum())
        text = f"{self.output}: {written} frames, {written / fps:.1f} s at {fps:g} fps, model {renderer.spec.name}"
        if bridged:
            text += f"; {bridged} frames of the driver show no face and were bridged"
        return {
            "output": str(self.output),
            "frames": written,
            "fps": fps,
            "model": renderer.spec.name,
            "bridged_frames": bridged,
            "text": text,
        }

    def _strengths(self) -> dict[str, float]:
        narrow = {"lips": self.lips, "eyes": self.eyes, "brows": self.brows}
        return {
            "pose": self.pose,
            "expression": self.expression,
            **{region: value for region, value in narrow.items() if value is not None},
        }

    def _reference(self) -> Literal["first", "auto"] | int:
        from countenance.errors import BadValue

        if self.reference == "first":
            return "first"
        if self.reference == "auto":
            return "auto"
        if not self.reference.isdecimal():
            raise BadValue(f"--reference {self.reference} is not first, auto or a frame number")
        return int(self.reference)

    def _photo(
        self, renderer: Any, tracker: Tracker, motion: Motion
    ) -> tuple[Iterator[Frame], int, Crop, float]:
        from countenance.animation import animate
        from countenance.cli.avatars import enrolled
        from countenance.motion.transfer import transfer
        from countenance.portrait.crop import Crop
        from countenance.production import load_portrait

        portrait = load_portrait(
            self.source, face=self.face, crop_scale=renderer.spec.crop_scale, tracker=tracker
        )
        driven = transfer(motion, portrait.motion, self.transfer, self._reference(), self._strengths())
        square = Crop.around(portrait.box_px)
        avatar = enrolled(portrait, renderer, self.avatar)
        return animate(portrait, driven, renderer, avatar=avatar), len(driven), square, motion.fps

    def _video(
        self, renderer: Any, tracker: Tracker, motion: Motion
    ) -> tuple[Iterator[Frame], int, Crop, float]:
        from countenance.cli.progress import bar
        from countenance.motion.transfer import transfer
        from countenance.portrait.crop import Crop
        from countenance.production import animate_video, load_video_portrait

        source = load_video_portrait(
            self.source, tracker, face=self.face, crop_scale=renderer.spec.crop_scale, progress=bar
        )
        driven = transfer(motion.resample(source.motion.fps), source.motion, self.transfer, self._reference())
        total = min(len(driven), len(source.motion))
        driven = _mixed(source.motion[:total], driven[:total], self._strengths())
        frames = animate_video(source, driven, renderer, tracker, face=self.face)
        return frames, total, Crop.around(source.track.boxes_px), source.motion.fps


def _mixed(own: Motion, driven: Motion, strengths: dict[str, float]) -> Motion:
    """A source video's own motion, taken toward the driven one region by region; narrow regions come last."""
    from countenance.motion.interpolation import interpolate

    mixed = own
    for region, strength in strengths.items():
        mixed = interpolate(interpolate(mixed, own, 1.0, region), driven, strength, region)
    return mixed


def _has_sound(path: Path) -> bool:
    from countenance.media.video import VideoReader

    with VideoReader(path) as video:
        return bool(video.has_audio)
