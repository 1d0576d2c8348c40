"""``countenance interpolate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from countenance.devices import Device
from countenance.ranges import DURATION_S, FRAME_RATE


@dataclass(frozen=True)
class Interpolate:
    """Move a portrait from one motion to another through the renderer's latent space (PIRenderer, appendix C).

    A and B are pictures, videos (their first frame) or motion files. With --only pose or --only expression, one
    attribute moves and the others stay as in A.

    examples:
      countenance interpolate me.jpg calm.jpg laughing.jpg -o between.mp4
      countenance interpolate me.jpg a.npz b.npz -o turn.mp4 --only pose
    """

    source: Annotated[Path, tyro.conf.Positional]
    """The person to be moved."""
    first: Annotated[Path, tyro.conf.Positional]
    """A: motion at the start."""
    second: Annotated[Path, tyro.conf.Positional]
    """B: motion at the end."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """.mp4, .mov, .mkv, .webm, .gif, or a folder for PNG frames."""
    model: str = "pirenderer-lite"
    """A renderer with a latent motion space: pirenderer-lite, pirenderer or a file."""
    device: Device = "auto"
    """Where networks compute; auto takes the fastest that is here."""
    only: Literal["all", "pose", "expression", "lips", "eyes", "brows"] = "all"
    """The attribute that moves."""
    transfer: Literal["relative", "absolute"] = "relative"
    """relative: from A, as the source's own motion, to what B adds to it. absolute: the numbers as they are."""
    seconds: Annotated[float, DURATION_S] = 2.0
    """Length."""
    fps: Annotated[float, FRAME_RATE] = 25.0
    """Frame rate."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        import numpy as np

        from countenance.atomic import expect_other_than_inputs
        from countenance.cli.progress import bar
        from countenance.cli.settings import frame_count
        from countenance.compose.paste import Compositor
        from countenance.errors import BadValue
        from countenance.media.frames import Frame
        from countenance.media.writer import check_output
        from countenance.motion.interpolation import interpolate
        from countenance.motion.transfer import transfer
        from countenance.pipeline.drivers import driver_motion
        from countenance.pipeline.outputs import write_video
        from countenance.pipeline.sources import load_portrait
        from countenance.renderers.catalogue import load_renderer
        from countenance.trackers.catalogue import tracker_for

        check_output(self.output)
        expect_other_than_inputs(self.output, [self.source, self.first, self.second])
        renderer: Any = load_renderer(self.model, self.device)
        if not hasattr(renderer, "render_between"):
            raise BadValue(f"model '{self.model}' has no latent motion space; use --model pirenderer-lite")
        count = frame_count(self.seconds, self.fps)
        tracker = tracker_for(renderer.spec.motion_space, self.device)
        portrait = load_portrait(self.source, crop_scale=renderer.spec.crop_scale, tracker=tracker)
        start, end = (driver_motion(path, tracker=tracker)[0] for path in (self.first, self.second))
        if self.transfer == "relative":
            end = transfer(end, portrait.motion, reference=start)
            start = portrait.motion
        if self.only != "all":
            end = interpolate(start, end, 1.0, self.only)
        avatar = renderer.enroll(portrait)
        shares = np.linspace(0, 1, count, dtype=np.float32)
        pictures = renderer.render_between(avatar, start, end, shares)
        compositor = Compositor(portrait.crop, *portrait.image.shape[:2])
        frames = (
            Frame(compositor.paste(picture, portrait.image), i / self.fps)
            for i, picture in enumerate(pictures)
        )
        shown = bar(frames, f"rendering {self.output.name}", count)
        written = write_video(self.output, shown, self.fps, model=renderer.spec.name)
        text = f"{self.output}: {written} frames, model {renderer.spec.name}"
        return {"output": str(self.output), "frames": written, "model": renderer.spec.name, "text": text}
