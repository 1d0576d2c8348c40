"""``countenance bench``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from countenance.devices import Device
from countenance.ranges import Range

if TYPE_CHECKING:
    from countenance.arrays import Image
    from countenance.evaluation.bench import Bench as Row

COLUMNS = ("tracking", "geometry", "network", "compositing", "media", "other")


@dataclass(frozen=True)
class Bench:
    """Measure every model on this machine at 256 x 256: work, latency, frames a second, and where the time goes.

    Shares are of the whole way from a driver video to a written video. Close other programs first. Models whose
    weights are not here, and those of other motion spaces than arkit, are named and left out.

    examples:
      countenance bench
      countenance bench me.jpg --model gdpw-lite
    """

    photo: Annotated[Path | None, tyro.conf.Positional] = None
    """A photo of a face; scikit-image's astronaut if none is given."""
    model: str | None = None
    """Measure this model only; a name or a .safetensors file."""
    frames: Annotated[int, Range(20, 100_000)] = 200
    """Frames to render; trained models compile themselves for long motions only, from about 150 frames on."""
    device: Device = "auto"
    """Where networks compute; auto takes the fastest that is here."""
    json: bool = False
    """Print as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the rows."""
        import os
        import platform

        from countenance.cli.progress import say
        from countenance.errors import BadValue, DependencyMissing, WeightsMissing
        from countenance.evaluation.bench import bench
        from countenance.renderers.catalogue import load_renderer, renderer_names

        photo = self._photo()
        rows, left_out = [], {}
        for name in [self.model] if self.model else renderer_names():
            try:
                renderer = load_renderer(name, self.device)
            except (WeightsMissing, DependencyMissing) as error:
                if self.model:
                    raise
                left_out[name] = str(error)
                continue
            if renderer.spec.motion_space != "arkit":
                if self.model:
                    raise BadValue(
                        f"bench measures models of arkit motion, and {name} is of {renderer.spec.motion_space}; "
                        "leave --model away to measure all that can be"
                    )
                left_out[name] = f"motion space {renderer.spec.motion_space}"
                continue
            say(f"measuring {name}")
            rows.append(bench(photo, renderer, self.frames))
        machine = f"{os.cpu_count()} CPU cores, {platform.machine()}"
        lines = [f"{machine}, 256 x 256", "", *table(rows)]
        lines += [f"left out: {name} ({' '.join(why.split())})" for name, why in left_out.items()]
        return {
            "machine": machine,
            "models": [asdict(row) for row in rows],
            "left_out": left_out,
            "text": "\n".join(lines),
        }

    def _photo(self) -> Image:
        from countenance.errors import DependencyMissing
        from countenance.media.images import read_image

        if self.photo is not None:
            return read_image(self.photo)
        try:
            from skimage import data
        except ImportError:
            raise DependencyMissing("scikit-image", "demo", "bench without a photo") from None
        picture: Image = data.astronaut()  # type: ignore[no-untyped-call]
        return picture


def table(rows: list[Row]) -> list[str]:
    """Lines of a Markdown table."""
    head = [
        "model",
        "GFLOP a frame",
        "parameters, million",
        "latency, ms",
        "frames/s",
        "end to end, frames/s",
    ]
    lines = ["| " + " | ".join([*head, *(f"{name}, %" for name in COLUMNS)]) + " |"]
    lines.append("| --- " * (len(head) + len(COLUMNS)) + "|")
    for row in rows:
        work = [f"{row.gflop:.2f}", f"{row.parameters:.2f}"] if row.parameters else ["none", "none"]
        speed = [f"{v:.1f}" for v in (row.latency_ms, row.frames_per_s, row.end_to_end_per_s)]
        shares = [f"{row.shares.get(name, 0.0):.0f}" for name in COLUMNS]
        lines.append("| " + " | ".join([row.model, *work, *speed, *shares]) + " |")
    return lines
