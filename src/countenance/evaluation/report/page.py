"""The page: one HTML file that holds all it needs."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from countenance.errors import DependencyMissing
from countenance.evaluation.models import REPEATED
from countenance.evaluation.protocols.protocol import FILE, Case
from countenance.evaluation.report import cases, figures
from countenance.evaluation.report.pictures import LOOP_S, Pictures, case_pictures, fingerprint
from countenance.evaluation.report.plots import plot
from countenance.evaluation.summary import LEVEL, RESAMPLES
from countenance.renderers.catalogue import renderer_names

MOST_BYTES = 25_000_000
MOST_LOOPS = 6
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Plot:
    """A metric's plot.

    Attributes:
        title: of the metric, with its unit.
        best: "high" or "low".
        svg: the element.
    """

    title: str
    best: str
    svg: str


def page_text(output: Path, report: Mapping[str, Any], data: Path) -> str:
    """The whole page.

    Args:
        output: folder of the evaluation, with the videos.
        report: see :func:`countenance.evaluation.evaluate.report_of`.
        data: folder of the clips.

    Raises:
        DependencyMissing: jinja2 or matplotlib.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise DependencyMissing("jinja2", "evaluation", "a report's page") from None
    known = figures.finite(report)
    metric = cases.first_metric(known)
    rows, wish = figures.metric_rows(known), cases.pictured(known, metric)
    script = _part("page.js")
    content = {
        "style": Markup(_part("page.css")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "report": known,
        "labels": list(known["models"]),
        "rows": rows,
        "speed_rows": figures.speed_rows(known),
        "trouble_rows": figures.trouble_rows(known),
        "not_measured": figures.not_measured(known),
        "plots": [
            Plot(figures.titled(known, row.name), row.best, Markup(plot(known, row.name))) for row in rows
        ],
        "group_tables": figures.group_tables(known),
        "metric": metric,
        "case_metrics": {name: figures.titled(known, name) for name in cases.case_metrics(known)},
        "sorted_by": next(iter(cases.compared_models(known)), ""),
        "lines": cases.lines(known, metric),
        "failures": cases.failures(known),
        "told": cases.sorting_data(known),
        "loop_s": LOOP_S,
        "most_mb": MOST_BYTES // 10**6,
        "command": _command(output, known),
        "resamples": RESAMPLES,
        "level": round(100 * LEVEL),
        "repeated": REPEATED,
    }
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_part("page.html"))
    bare = template.render(content, pictures={})
    room = MOST_BYTES - len(bare.encode())
    return template.render(content, pictures=_pictures(output, known, data, wish, room))


def _pictures(
    output: Path, report: Mapping[str, Any], data: Path, wish: list[int], room: int
) -> dict[int, Pictures]:
    """Of the wished cases, as long as there is room in the page."""
    failed = {
        label: {case["case"]: case["failed"] for case in found["cases"]}
        for label, found in report["models"].items()
    }
    shown: dict[int, Pictures] = {}
    for rank, index in enumerate(wish):
        told = report["protocol"]["cases"][index]
        case = Case(**{**told, "compared": tuple(told["compared"])})
        here = {label: found.get(case.name) for label, found in failed.items()}
        pictures = case_pictures(case, here, output, data, loop=rank < MOST_LOOPS)
        room -= pictures.size + _AROUND
        if room < 0:
            break
        shown[index] = pictures
    return shown


_AROUND = 20_000  # bytes of the page around one case's pictures, at most


def _command(output: Path, report: Mapping[str, Any]) -> str:
    """How others repeat it; files and folders of this machine stay unnamed."""
    parts = ["countenance", "evaluate", "--data", "CLIPS", "--protocol", FILE]
    for label in report["models"]:
        source = fingerprint(output, label)
        if source not in (REPEATED, *renderer_names()):
            source = "FOLDER" if Path(source).is_absolute() else "FILE.safetensors"
        parts += ["--model", label if source == label else f"{label}={source}"]
    return shlex.join([*parts, "-o", "again"])


def _part(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
