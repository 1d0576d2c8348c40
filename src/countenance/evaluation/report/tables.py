"""The figures of a report as tables: Markdown for screens and pages, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

_EXTRA = ("frames", "missing", "compared", "lost", "resized", "failed")


def ranks(report: Mapping[str, Any], metric: str) -> dict[str, int]:
    """Label -> 1 for the best model, 2 for the second best, others are absent; nothing where fewer than 2 have it.

    The baseline that never moves ("repeated") is not ranked. Models whose means are shown alike share a rank.
    """
    means = {
        label: float(number(found["summary"][metric]["mean"]))
        for label, found in report["models"].items()
        if metric in found["summary"] and label != "repeated"
    }
    if len(means) < 2:
        return {}
    order = sorted(set(means.values()), reverse=report["metrics"][metric]["best"] == "high")
    return {label: order.index(mean) + 1 for label, mean in means.items() if order.index(mean) < 2}


def shown_metrics(report: Mapping[str, Any]) -> list[str]:
    """Names of the metrics that any model has, in the catalogue's order."""
    found = report["models"].values()
    return [name for name in report["metrics"] if any(name in model["summary"] for model in found)]


def number(value: float) -> str:
    """Three significant digits, or as many decimals as tell models apart."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


def markdown_table(report: Mapping[str, Any]) -> list[str]:
    """One row a metric, one column a model, with 95 % intervals; the best is bold, the second best is in italics."""
    labels = list(report["models"])
    heads = " | ".join(label.replace("|", "\\|") for label in labels)
    lines = [f"| | {heads} |", "| --- " * (len(labels) + 1) + "|"]
    for name in shown_metrics(report):
        told, rank = report["metrics"][name], ranks(report, name)
        arrow = "↑" if told["best"] == "high" else "↓"
        unit = f", {told['unit']}" if told["unit"] else ""
        cells = [cell(report["models"][label]["summary"].get(name), rank.get(label)) for label in labels]
        lines.append(f"| {told['title']}{unit} {arrow} | " + " | ".join(cells) + " |")
    for name, title in (("frames_per_s", "frames/s"), ("peak_mb", "peak memory of a worker, MB")):
        speeds = [report["models"][label]["speed"].get(name) for label in labels]
        if any(speeds):
            cells = ["" if speed is None else number(speed) for speed in speeds]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def cell(estimate: Mapping[str, float] | None, rank: int | None = None) -> str:
    """Mean and 95 % interval of a report's estimate; the first rank is bold, the second in italics."""
    if estimate is None:
        return ""
    mark = {1: "**", 2: "_"}.get(rank or 0, "")
    text = f"{mark}{number(estimate['mean'])}{mark}"
    if estimate["low"] == estimate["high"]:
        return text
    return f"{text} [{number(estimate['low'])}, {number(estimate['high'])}]"


def csv_table(report: Mapping[str, Any]) -> str:
    """One row a model and case, one column a metric; empty where it is not defined."""
    names: Sequence[str] = [name for name in report["metrics"] if name in _of_cases(report)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "case", *names, *_EXTRA])
    for label, found in report["models"].items():
        for case in found["cases"]:
            values = [case["values"].get(name, "") for name in names]
            writer.writerow([label, case["case"], *values, *(case[name] for name in _EXTRA)])
    return text.getvalue()


def _of_cases(report: Mapping[str, Any]) -> set[str]:
    return {name for found in report["models"].values() for case in found["cases"] for name in case["values"]}
