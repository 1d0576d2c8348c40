"""The page's tables: what stands in which cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from countenance.evaluation.metrics.catalogue import METRICS
from countenance.evaluation.models import REPEATED
from countenance.evaluation.report.tables import number, ranks, shown_metrics

_FEWEST_GROUPS, _MOST_GROUPS = 2, 12
_UNDEFINED = "it is not defined for any of these cases"
_WANTING = {
    "truth": "it needs true pictures, and there are none",
    "sound": "it needs the driver's sound",
    "steps": "it is for in-betweens only",
}


@dataclass(frozen=True)
class Cell:
    """One figure.

    Attributes:
        text: the figure, or a dash.
        interval: "[low, high]", or "".
        rank: 1 for the best, 2 for the second best.
        note: what a reader must know to trust it, or "".
        wrong: it counts something that went wrong.
    """

    text: str
    interval: str = ""
    rank: int | None = None
    note: str = ""
    wrong: bool = False


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: of the metric or group.
        title: for people.
        unit: or "".
        best: "high", "low", or "" where neither is better.
        definition: or "".
        cells: one a model.
    """

    name: str
    title: str
    unit: str
    best: str
    definition: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class GroupTable:
    """One metric by groups.

    Attributes:
        metric: its name.
        title: with its unit.
        best: "high" or "low".
        rows: one a group.
    """

    metric: str
    title: str
    best: str
    rows: tuple[Row, ...]


def finite(report: Mapping[str, Any]) -> dict[str, Any]:
    """The same report without figures that are no numbers, and with the baseline last."""
    order = sorted(report["models"], key=lambda label: label == REPEATED)
    models = {label: _finite_model(report["models"][label]) for label in order}
    return {**report, "models": models}


def _finite_model(found: Mapping[str, Any]) -> dict[str, Any]:
    cases = [
        {**case, "values": {name: value for name, value in case["values"].items() if isfinite(value)}}
        for case in found["cases"]
    ]
    groups = {name: _finite_summary(summary) for name, summary in found["groups"].items()}
    return {**found, "summary": _finite_summary(found["summary"]), "groups": groups, "cases": cases}


def _finite_summary(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {name: told for name, told in summary.items() if isfinite(told["mean"])}


def titled(report: Mapping[str, Any], metric: str) -> str:
    """A metric's title with its unit."""
    told = report["metrics"][metric]
    return f"{told['title']}, {told['unit']}" if told["unit"] else str(told["title"])


def metric_rows(report: Mapping[str, Any]) -> list[Row]:
    """The summary: one row a metric that any model has."""
    rows = []
    for name in shown_metrics(report):
        told = report["metrics"][name]
        summaries = [found["summary"] for found in report["models"].values()]
        cells = _cells(report, name, summaries, ranks(report, name))
        rows.append(Row(name, told["title"], told["unit"], told["best"], told["definition"], cells))
    return rows


def _cells(
    report: Mapping[str, Any], metric: str, summaries: Sequence[Mapping[str, Any]], rank: Mapping[str, int]
) -> tuple[Cell, ...]:
    """A mean over fewer cases than another model's is not quite comparable with it, and says so."""
    most = max((summary[metric]["cases"] for summary in summaries if metric in summary), default=0)
    cells = []
    for label, summary in zip(report["models"], summaries, strict=True):
        told = summary.get(metric)
        if told is None:
            cells.append(Cell("–"))
            continue
        single = told["low"] == told["high"]
        interval = "" if single else f"[{number(told['low'])}, {number(told['high'])}]"
        note = f"of {told['cases']} cases only" if told["cases"] < most else ""
        cells.append(Cell(number(told["mean"]), interval, rank.get(label), note))
    return tuple(cells)


def speed_rows(report: Mapping[str, Any]) -> list[Row]:
    """What it costs."""
    rows = []
    for name, title, unit, best in (
        ("frames_per_s", "speed", "frames/s", "high"),
        ("peak_mb", "peak memory of a worker", "MB", "low"),
    ):
        values = [found["speed"].get(name) for found in report["models"].values()]
        if any(values):
            cells = tuple(Cell(number(value)) if value else Cell("–") for value in values)
            rows.append(Row(name, title, unit, best, "", cells))
    return rows


def trouble_rows(report: Mapping[str, Any]) -> list[Row]:
    """What went wrong, as counts of how many."""
    wanted = len(report["protocol"]["cases"])
    counts = [found["counts"] for found in report["models"].values()]
    rows = []
    if any(count["cases"] < wanted for count in counts):
        rows.append(_counted("cases not run", [(wanted - count["cases"], wanted) for count in counts]))
    for name, title, whole in (
        ("failed", "failed cases", "cases"),
        ("missing", "missing frames", "frames"),
        ("without_face", "compared frames without a face", "compared"),
        ("resized", "resized cases", "cases"),
    ):
        rows.append(_counted(title, [(count[name], count[whole]) for count in counts]))
    return rows


def _counted(title: str, parts: Sequence[tuple[int, int]]) -> Row:
    cells = tuple(Cell(str(part), f"of {whole}", wrong=part > 0) for part, whole in parts)
    return Row("", title, "", "", "", cells)


def not_measured(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Metrics without a figure, and why."""
    titles = {metric.name: metric.title for metric in METRICS}
    absent = [(titles.get(name, name), " ".join(why.split())) for name, why in report["left_out"].items()]
    shown = shown_metrics(report)
    absent += [
        (told["title"], _WANTING.get(told["needs"], _UNDEFINED))
        for name, told in report["metrics"].items()
        if name not in shown
    ]
    return absent


def group_tables(report: Mapping[str, Any]) -> list[GroupTable]:
    """One table a metric, where there are a few groups of more than one case; else none."""
    cases = report["protocol"]["cases"]
    names = list(dict.fromkeys(case["group"] for case in cases))
    if not _FEWEST_GROUPS <= len(names) <= _MOST_GROUPS or len(names) == len(cases):
        return []
    sizes = {name: sum(case["group"] == name for case in cases) for name in names}
    tables = []
    for metric in shown_metrics(report):
        rows = []
        for name in names:
            summaries = [found["groups"].get(name, {}) for found in report["models"].values()]
            if not any(metric in summary for summary in summaries):
                continue
            models = {
                label: {"summary": summary}
                for label, summary in zip(report["models"], summaries, strict=True)
            }
            rank = ranks({"metrics": report["metrics"], "models": models}, metric)
            title = f"{name or 'no group'} ({sizes[name]} case{'s' if sizes[name] > 1 else ''})"
            rows.append(Row(name, title, "", "", "", _cells(report, metric, summaries, rank)))
        if rows:
            tables.append(
                GroupTable(metric, titled(report, metric), report["metrics"][metric]["best"], tuple(rows))
            )
    return tables
