"""``countenance prepare``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from countenance.ranges import CROP_SCALE, SHARE, TRAINING_SIDE_PX, WORKERS


@dataclass(frozen=True)
class Prepare:
    """Make a training dataset of clips: track the face, cut one square a clip, write crops, motion and a manifest.

    Stop it whenever you like: the same command goes on where it stopped. What the folder holds already stays, so that
    more clips can be added later; a file whose content has changed is made anew. Who is who comes from file names
    (ANNA_01.mp4, ANNA_02.mp4); folders called train and test decide the split, else --test-share does, by person.

    examples:
      countenance prepare clips/ -o dataset
      countenance prepare clips/train clips/test -o dataset --workers 4 --crop-scale 1.2
    """

    clips: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Videos, or folders that are searched for videos; hidden files in them are passed over."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the dataset."""
    size: Annotated[int, TRAINING_SIDE_PX] = 256
    """Side of the crops in pixels."""
    crop_scale: Annotated[float, CROP_SCALE] = 1.0
    """Size of the crops relative to the standard one (1.6 x a still face)."""
    test_share: Annotated[float, SHARE] = 0.1
    """Share of people for the test split, where no folder says it."""
    workers: Annotated[int, WORKERS] = 1
    """Processes; with 2 or more, a clip that kills its process is left out, and does not end the run."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.cli.progress import bar
        from countenance.data.prepare import PrepareOptions, prepare
        from countenance.errors import BadValue

        def shown(results: Iterable[Any], total: int) -> Iterable[Any]:
            return bar(results, "preparing clips", total)

        options = PrepareOptions(size=self.size, crop_scale=self.crop_scale, test_share=self.test_share)
        manifest = prepare(self.clips, self.output, options, workers=self.workers, done=shown)
        if manifest.failed and not manifest.clips:
            source, reason = next(iter(manifest.failed.items()))
            raise BadValue(f"none of {len(manifest.failed)} clips can be used; the first, {source}: {reason}")
        frames = sum(clip.frames for clip in manifest.clips)
        people = {clip.identity for clip in manifest.clips}
        lines = [f"{self.output}: {len(manifest.clips)} clips of {len(people)} people, {frames} frames"]
        lines += [f"left out: {source}: {reason}" for source, reason in manifest.failed.items()]
        return {
            "output": str(self.output),
            "clips": len(manifest.clips),
            "people": len(people),
            "frames": frames,
            "failed": manifest.failed,
            "text": "\n".join(lines),
        }
