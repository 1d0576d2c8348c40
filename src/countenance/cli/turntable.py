"""``countenance turntable``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from countenance.devices import Device
from countenance.ranges import DURATION_S, FACE_NUMBER, FRAME_RATE, Range

if TYPE_CHECKING:
    from countenance.arrays import Floats, Image
    from countenance.motion.sequence import Motion

_DEGREES = 40.0


@dataclass(frozen=True)
class Turntable:
    """Go round the head of a photo with a camera. The model must know heads in 3D, as otavatar does.

    The head is held still, where it is in the crop and as large; only the camera moves. The film is that of the square
    around the face, and its last frame leads on to its first.

    examples:
      countenance turntable me.jpg -o around.mp4
      countenance turntable me.jpg -o around.mp4 --avatar me.safetensors --degrees 25 --set expression=smile
      countenance turntable me.jpg -o depth.mp4 --avatar me.safetensors --depth
      countenance turntable me.jpg -o loop.gif --avatar me.safetensors --around ellipse
    """

    photo: Annotated[Path, tyro.conf.Positional]
    """The person."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """.mp4, .mov, .mkv, .webm, .gif, or a folder for PNG frames."""
    model: str = "otavatar-lite"
    """A renderer of heads in 3D: otavatar-lite, otavatar, or a file that `countenance train otavatar` wrote."""
    device: Device = "auto"
    """Where networks compute; auto takes the fastest that is here."""
    avatar: Path | None = None
    """A .safetensors file: if it is there, the photo's avatar is read from it, else it is written. Enrolling takes
    a minute, drawing an avatar that is there does not."""
    around: Literal["swing", "ellipse"] = "swing"
    """swing: from one side to the other and back, level with a head that looks straight ahead. ellipse: once round an
    ellipse in front of the face, as OTAvatar's authors show their heads."""
    degrees: Annotated[float | None, Range(0.1, 90, "degrees")] = None
    """How far a swing goes to each side; 40 if not given. An ellipse has its own width."""
    seconds: Annotated[float, DURATION_S] = 4.0
    """Length."""
    fps: Annotated[float, FRAME_RATE] = 25.0
    """Frame rate."""
    depth: bool = False
    """Show the depth map beside the picture: nearer is brighter, darkest to brightest are 30 cm."""
    settings: Annotated[list[str], tyro.conf.UseAppendAction, tyro.conf.arg(name="set")] = field(
        default_factory=list
    )
    """name=value, as of `countenance edit`; may be given several times. Angles count from the head's front."""
    face: Annotated[int, FACE_NUMBER] = 1
    """Which face: 1 is the largest."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.atomic import expect_other_than_inputs
        from countenance.cli.avatars import check_avatar, enrolled, load_head_renderer
        from countenance.cli.progress import bar
        from countenance.cli.settings import frame_count, parse_settings
        from countenance.editing import with_changes
        from countenance.media.frames import Frame
        from countenance.media.writer import check_output
        from countenance.pipeline.outputs import write_video
        from countenance.pipeline.sources import load_portrait
        from countenance.trackers.catalogue import tracker_for

        check_output(self.output)
        expect_other_than_inputs(self.output, [self.photo])
        check_avatar(self.avatar)
        swing_rad, count = self._swing_rad(), frame_count(self.seconds, self.fps)
        renderer = load_head_renderer(self.model, self.device)
        spec = renderer.spec
        changes = parse_settings(self.settings, spec)
        tracker = tracker_for(spec.motion_space, self.device)
        portrait = load_portrait(self.photo, face=self.face, crop_scale=spec.crop_scale, tracker=tracker)
        cameras = self._cameras(portrait.motion, changes, swing_rad, count)
        avatar = enrolled(portrait, renderer, self.avatar)
        pictures = self._pictures(renderer, avatar, with_changes(portrait.motion, changes), cameras)
        frames = (Frame(picture, i / self.fps) for i, picture in enumerate(pictures))
        shown = bar(frames, f"rendering {self.output.name}", count)
        written = write_video(self.output, shown, self.fps, model=spec.name)
        return {
            "output": str(self.output),
            "frames": written,
            "fps": self.fps,
            "model": spec.name,
            "text": f"{self.output}: {written} frames, model {spec.name}",
        }

    def _swing_rad(self) -> float:
        from countenance.errors import BadValue

        if self.around == "ellipse" and self.degrees is not None:
            raise BadValue("--degrees is for a swing; leave it out with --around ellipse")
        degrees = _DEGREES if self.degrees is None else self.degrees
        if not 0 < degrees <= 90:
            raise BadValue(f"--degrees is {degrees:g}; give more than 0 and at most 90")
        return math.radians(degrees)

    def _cameras(self, own: Motion, changes: dict[str, float], swing_rad: float, count: int) -> Floats:
        """(count, 25), around the head's front."""
        from countenance.editing import turned_to_front, with_changes
        from countenance.motion.interpolation import there_and_back
        from countenance.renderers.otavatar.camera import motion_cameras, swinging_cameras, turning_cameras

        front = with_changes(with_changes(own, turned_to_front(own)), changes)
        if self.around == "ellipse":
            return turning_cameras(count, motion_cameras(front)[0])
        # The last of these is the first again, and would be shown twice in a loop.
        angles = there_and_back(-swing_rad, swing_rad, self.seconds, self.fps)[:count]
        return swinging_cameras(front, angles)

    def _pictures(self, renderer: Any, avatar: Any, held: Motion, cameras: Floats) -> Iterator[Image]:
        import numpy as np

        from countenance.renderers.otavatar.view import depth_picture

        if not self.depth:
            yield from renderer.render_view(avatar, held, cameras)
            return
        for picture, depth in renderer.render_with_depth(avatar, held, cameras):
            yield np.hstack([picture, depth_picture(depth, len(picture))])
