"""``countenance evaluate``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro

from countenance.devices import Device
from countenance.ranges import COUNT, SEED, WORKERS


@dataclass(frozen=True)
class Evaluate:
    """Measure models on clips by a published protocol, and write a report: JSON, CSV and one HTML page.

    Protocols: same-identity, cross-identity, cross-identity-relative, multi-view, editing, held-out, interpolation;
    or the protocol.json of an earlier report, so that others can repeat it. Stopped, even killed, the same command goes
    on to the same report. Run again with another --model, it joins the same report. A clip that can't be opened, or
    shows no face, is left out, and the report says so. Exit code 2 if no case at all could be measured.

    To compare a program of your own, make the protocol first (no --model), render its cases into a folder as
    CASE.mp4 or CASE/00000.png, ..., and give that folder as a model.

    examples:
      countenance evaluate --data clips --protocol same-identity --model geometric --model repeated -o report
      countenance evaluate --data clips --protocol cross-identity --limit 50 --model gdpw-lite -o report
      countenance evaluate --data clips --protocol cross-identity -o report
      countenance evaluate --data clips --protocol report/protocol.json --model theirs=their_results -o mine
    """

    data: Path
    """Folder of clips that show one person each; PERSON_NUMBER.mp4 says who is the same."""
    protocol: str
    """A name, or a protocol.json."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the report."""
    model: Annotated[list[str], tyro.conf.UseAppendAction] = field(default_factory=list)
    """Name, .safetensors file or folder of results, or LABEL=PATH; "repeated" is the source, never moved."""
    limit: Annotated[int | None, COUNT] = None
    """The first so many cases only."""
    frames: Annotated[int, COUNT] = 100
    """Most frames of a clip that are rendered."""
    compared: Annotated[int, COUNT] = 10
    """Most frames of a clip at which pictures are compared."""
    seed: Annotated[int, SEED] = 0
    """Of pairs, drawn motions and intervals."""
    videos: bool = True
    """Keep what is rendered; the page shows some of it."""
    device: Device = "auto"
    """Where renderers compute; auto takes the fastest that is here."""
    engine: Literal["local", "ray"] = "local"
    """local: processes on this machine. ray: a Ray cluster, whose machines share these folders."""
    workers: Annotated[int | None, WORKERS] = None
    """Processes of one thread each; one a core if not given."""
    ray_address: str | None = None
    """Of a running Ray cluster; otherwise one is started on this machine."""
    json: bool = False
    """Print a summary as JSON."""

    interrupted: ClassVar[str] = "interrupted; the same command goes on"

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.cli.progress import bar
        from countenance.errors import BadValue
        from countenance.evaluation.comparison import evaluate
        from countenance.evaluation.evaluate import Crew

        if self.ray_address is not None and self.engine != "ray":
            raise BadValue("--ray-address is of use with --engine ray only; add that, or leave it out")
        report = evaluate(
            self.model,
            self.data,
            self.output,
            protocol=self.protocol,
            frames=self.frames,
            compared=self.compared,
            limit=self.limit,
            seed=self.seed,
            videos=self.videos,
            device=self.device,
            crew=Crew(self.engine, self.workers, self.ray_address),
            progress=bar,
        )
        page = report["page"]
        if not report["models"]:
            count = len(report["protocol"]["cases"])
            text = f"{page}: {count} cases; give a --model to run them"
            return {"output": str(self.output), "cases": count, "text": text}
        summaries = {label: found["summary"] for label, found in report["models"].items()}
        counts = {label: found["counts"] for label, found in report["models"].items()}
        return {"output": page, "models": summaries, "counts": counts, "text": self._text(report, page)}

    @staticmethod
    def _text(report: dict[str, Any], page: str) -> str:
        from countenance.evaluation.report.tables import markdown_table

        lines = [*markdown_table(report), ""]
        for label, found in report["models"].items():
            counts = found["counts"]
            wrong = {k: counts[k] for k in ("failed", "missing", "without_face", "resized") if counts[k]}
            if wrong:
                lines.append(f"{label}: " + ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in wrong.items()))
        left_out = report["left_out"]
        lines += [f"not measured: {name} ({' '.join(why.split())})" for name, why in left_out.items()]
        return "\n".join([*lines, page])
