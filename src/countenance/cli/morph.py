"""``countenance morph``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from countenance.devices import Device
from countenance.ranges import DURATION_S, FACE_NUMBER, FRAME_RATE, Range

if TYPE_CHECKING:
    from countenance.arrays import Floats
    from countenance.motion.sequence import Motion
    from countenance.trackers.tracker import Tracker


@dataclass(frozen=True)
class Morph:
    """Turn one person into another, through people between them (OTAvatar, Eq. 15).

    Pose and expression stay as in A's photo, unless a driver moves them. The model must know heads in 3D, as otavatar
    does. The film is that of the square around A's face.

    examples:
      countenance morph me.jpg friend.jpg -o morph.mp4
      countenance morph me.jpg friend.jpg -o morph.mp4 --avatar me.safetensors --avatar-b friend.safetensors
      countenance morph me.jpg friend.jpg -o frames --steps 5 --seconds 0.2
      countenance morph me.jpg friend.jpg -o talking.mp4 --driver driver.mp4
    """

    first: Annotated[Path, tyro.conf.Positional]
    """A: a photo of the person at the start."""
    second: Annotated[Path, tyro.conf.Positional]
    """B: a photo of the person at the end."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """.mp4, .mov, .mkv, .webm, .gif, or a folder for PNG frames."""
    model: str = "otavatar-lite"
    """A renderer of heads in 3D: otavatar-lite, otavatar, or a file that `countenance train otavatar` wrote."""
    device: Device = "auto"
    """Where networks compute; auto takes the fastest that is here."""
    avatar: Path | None = None
    """A .safetensors file: if it is there, A's avatar is read from it, else it is written. Enrolling takes a minute."""
    avatar_b: Path | None = None
    """The same for B."""
    driver: Path | None = None
    """What moves them meanwhile: a video or picture with a face, or motion. It says length and frame rate."""
    steps: Annotated[int | None, Range(2, 1_000_000)] = None
    """How many people there are, A and B among them, each shown equally long; in every frame another if not given."""
    seconds: Annotated[float, DURATION_S] = 4.0
    """Length without a driver."""
    fps: Annotated[float, FRAME_RATE] = 25.0
    """Frame rate without a driver."""
    face: Annotated[int, FACE_NUMBER] = 1
    """Which face of A: 1 is the largest."""
    face_b: Annotated[int, FACE_NUMBER] = 1
    """Which face of B: 1 is the largest."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.atomic import expect_other_than_inputs
        from countenance.cli.avatars import check_avatar, enrolled, load_head_renderer
        from countenance.cli.progress import bar
        from countenance.media.frames import Frame
        from countenance.media.writer import check_output
        from countenance.pipeline.outputs import write_video
        from countenance.pipeline.sources import load_portrait
        from countenance.trackers.catalogue import tracker_for

        check_output(self.output)
        expect_other_than_inputs(self.output, [self.first, self.second])
        check_avatar(self.avatar)
        check_avatar(self.avatar_b)
        renderer = load_head_renderer(self.model, self.device)
        spec = renderer.spec
        tracker = tracker_for(spec.motion_space, self.device)
        photos = ((self.first, self.face), (self.second, self.face_b))
        first, second = (
            load_portrait(path, face=face, crop_scale=spec.crop_scale, tracker=tracker)
            for path, face in photos
        )
        motion = self._motion(first.motion, tracker)
        shares = self._shares(len(motion))
        avatars = enrolled(first, renderer, self.avatar), enrolled(second, renderer, self.avatar_b)
        pictures = renderer.render_morph(*avatars, shares, motion)
        frames = (Frame(picture, i / motion.fps) for i, picture in enumerate(pictures))
        shown = bar(frames, f"rendering {self.output.name}", len(motion))
        written = write_video(self.output, shown, motion.fps, model=spec.name)
        return {
            "output": str(self.output),
            "frames": written,
            "fps": motion.fps,
            "model": spec.name,
            "text": f"{self.output}: {written} frames, model {spec.name}",
        }

    def _motion(self, own: Motion, tracker: Tracker) -> Motion:
        """A's own, held; or the driver's, made A's own."""
        from dataclasses import replace

        from countenance.cli.progress import bar
        from countenance.cli.settings import frame_count
        from countenance.motion.transfer import transfer
        from countenance.pipeline.drivers import driver_motion

        if self.driver is None:
            return replace(own.still(frame_count(self.seconds, self.fps)), fps=self.fps)
        return transfer(driver_motion(self.driver, smoothing=1.0, tracker=tracker, progress=bar), own)

    def _shares(self, frames: int) -> Floats:
        """(frames,) of A in what is shown: 1 to 0."""
        import numpy as np

        from countenance.errors import BadValue

        steps = frames if self.steps is None else self.steps
        if not 2 <= steps <= frames:
            raise BadValue(f"{steps} people can't be shown in {frames} frames; give --steps 2 to {frames}")
        return (1 - np.arange(frames) * steps // frames / (steps - 1)).astype(np.float32)
