"""``countenance evaluate``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro


@dataclass(frozen=True)
class Evaluate:
    """Measure models on clips by a published protocol, and write a report: JSON, CSV and one HTML page.

    Protocols: same-identity, cross-identity, cross-identity-relative, multi-view, editing, held-out, interpolation;
    or the protocol.json of an earlier report, so that others can repeat it. Stopped with Ctrl-C, the same command
    goes on. Run again with another --model, it joins the same report.

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
    limit: int | None = None
    """The first so many cases only."""
    frames: int = 100
    """Most frames of a clip that are rendered."""
    compared: int = 10
    """Most frames of a clip at which pictures are compared."""
    seed: int = 0
    """Of pairs, drawn motions and intervals."""
    videos: bool = True
    """Keep what is rendered; the page shows some of it."""
    engine: Literal["local", "ray"] = "local"
    """local: processes on this machine. ray: a Ray cluster, whose machines share these folders."""
    workers: int | None = None
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
        from countenance.evaluation.evaluate import Crew, Settings, evaluate
        from countenance.evaluation.models import Model
        from countenance.evaluation.protocols.sizes import Sizes
        from countenance.evaluation.report.files import write_report

        if self.ray_address is not None and self.engine != "ray":
            raise BadValue("--ray-address is of use with --engine ray only; add that, or leave it out")
        if self.workers is not None and self.workers < 1:
            raise BadValue(f"{self.workers} workers can't work; give 1 or more")
        models = [Model.parsed(text) for text in self.model]
        sizes = Sizes(self.frames, self.compared)
        settings = Settings(self.protocol, self.data, sizes, self.seed, self.limit, self.videos)
        crew = Crew(self.engine, self.workers, self.ray_address)
        report = evaluate(models, settings, self.output, crew, bar)
        if not report["models"]:
            count = len(report["protocol"]["cases"])
            text = f"{self.output / 'protocol.json'}: {count} cases; give a --model to run them"
            return {"output": str(self.output), "cases": count, "text": text}
        page = write_report(self.output, report, self.data)
        summaries = {label: found["summary"] for label, found in report["models"].items()}
        counts = {label: found["counts"] for label, found in report["models"].items()}
        return {"output": str(page), "models": summaries, "counts": counts, "text": self._text(report, page)}

    @staticmethod
    def _text(report: dict[str, Any], page: Path) -> str:
        from countenance.evaluation.report.tables import markdown_table

        lines = [*markdown_table(report), ""]
        for label, found in report["models"].items():
            counts = found["counts"]
            wrong = {k: counts[k] for k in ("failed", "missing", "without_face", "resized") if counts[k]}
            if wrong:
                lines.append(f"{label}: " + ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in wrong.items()))
        left_out = report["left_out"]
        lines += [f"not measured: {name} ({' '.join(why.split())})" for name, why in left_out.items()]
        return "\n".join([*lines, str(page)])
