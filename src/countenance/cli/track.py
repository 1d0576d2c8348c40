"""``countenance track``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro


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
    face: int = 1
    """Which face: 1 is the largest."""
    fps: float | None = None
    """Frame rate of the motion; the video's own by default."""
    smooth: float = 0.0
    """Smoothing: 0 none, 1 normal; blinks stay."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.cli.progress import bar
        from countenance.motion.files import check_motion_output, save_motion
        from countenance.motion.smoothing import smooth
        from countenance.production import track

        check_motion_output(self.output)
        motion = track(self.video, face=self.face, fps=self.fps, progress=bar)
        if self.smooth > 0:
            motion = smooth(motion, self.smooth)
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
