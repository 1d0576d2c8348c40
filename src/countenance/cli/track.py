"""``countenance track``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from countenance.devices import Device
from countenance.ranges import FACE_NUMBER, FRAME_RATE, STRENGTH


@dataclass(frozen=True)
class Track:
    """Measure the motion of a face in a video or picture, and write it as named coefficients.

    examples:
      countenance track talk.mp4 -o talk.npz
      countenance track talk.mp4 -o talk.csv      # Live Link Face, for Unreal, Blender ...
    """

    video: Annotated[Path, tyro.conf.Positional]
    """A video or picture."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """.npz (all of it) or .csv (Live Link Face)."""
    face: Annotated[int, FACE_NUMBER] = 1
    """Which face: 1 is the largest."""
    fps: Annotated[float | None, FRAME_RATE] = None
    """Frame rate of the motion; the video's own by default."""
    smooth: Annotated[float, STRENGTH] = 0.0
    """Smoothing: 0 none, 1 normal; blinks stay."""
    device: Device = "auto"
    """Where networks compute; the default tracker always uses the CPU."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.atomic import expect_other_than_inputs
        from countenance.cli.progress import bar
        from countenance.motion.files import check_motion_output, save_motion
        from countenance.pipeline.drivers import track
        from countenance.trackers.catalogue import load_tracker

        check_motion_output(self.output)
        expect_other_than_inputs(self.output, [self.video])
        motion = track(
            self.video,
            face=self.face,
            fps=self.fps,
            smoothing=self.smooth,
            tracker=load_tracker(device=self.device),
            progress=bar,
        )
        save_motion(self.output, motion)
        bridged = 0 if motion.observed is None else int((~motion.observed).sum())
        text = f"{self.output}: {len(motion)} frames at {motion.fps:g} fps, space {motion.space.name}"
        if bridged:
            text += f"; {bridged} frames show no face and were bridged"
        return {
            "output": str(self.output),
            "frames": len(motion),
            "fps": motion.fps,
            "space": motion.space.name,
            "bridged_frames": bridged,
            "text": text,
        }
