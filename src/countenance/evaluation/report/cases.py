"""Single cases, the worst first: what went well on average may fail in one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from countenance.evaluation.models import REPEATED
from countenance.evaluation.report.tables import number

FAILED, FACELESS = 2, 1
MOST_PICTURED = 24
_FIRST_CHOICES = ("perceptual_lite0", "pose_error_deg")


@dataclass(frozen=True)
class Outcome:
    """One model in one case.

    Attributes:
        label: of the model.
        text: its value in the metric that is shown first, or what there is instead.
        remarks: what went wrong in it.
        error: why it failed, or "".
        trouble: :data:`FAILED`, :data:`FACELESS` (in no compared frame was a face found), or 0.
    """

    label: str
    text: str
    remarks: tuple[str, ...] = ()
    error: str = ""
    trouble: int = 0


@dataclass(frozen=True)
class Line:
    """One case of the protocol.

    Attributes:
        index: its place in the protocol.
        name: of the case.
        group: or "".
        frames: "0 to 39": which of the driver's.
        driver: the clip or motion file.
        outcomes: one a model.
    """

    index: int
    name: str
    group: str
    frames: str
    driver: str
    outcomes: tuple[Outcome, ...]


def case_metrics(report: Mapping[str, Any]) -> list[str]:
    """Metrics that any case has, in the catalogue's order."""
    cases = [case for found in report["models"].values() for case in found["cases"]]
    return [name for name in report["metrics"] if any(name in case["values"] for case in cases)]


def first_metric(report: Mapping[str, Any]) -> str:
    """What cases are sorted by at first; "" where nothing was measured."""
    there = case_metrics(report)
    return next((name for name in _FIRST_CHOICES if name in there), there[0] if there else "")


def compared_models(report: Mapping[str, Any]) -> list[str]:
    """All but the baseline, if there are others."""
    labels = list(report["models"])
    return [label for label in labels if label != REPEATED] or labels


def lines(report: Mapping[str, Any], metric: str) -> list[Line]:
    """All cases, the worst of the first model first."""
    results = _results(report)
    told = []
    for index, case in enumerate(report["protocol"]["cases"]):
        outcomes = tuple(_outcome(label, found.get(case["name"]), metric) for label, found in results.items())
        frames = f"{case['start']} to {case['stop'] - 1}"
        told.append(Line(index, case["name"], case["group"], frames, case["driver"], outcomes))
    labels = compared_models(report)
    return [told[index] for index in worst_first(report, labels[0], metric)] if labels else told


def _results(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        label: {case["case"]: case for case in found["cases"]} for label, found in report["models"].items()
    }


def _outcome(label: str, result: Mapping[str, Any] | None, metric: str) -> Outcome:
    if result is None:
        return Outcome(label, "not run")
    if result["failed"] is not None:
        return Outcome(label, "failed", error=str(result["failed"]), trouble=FAILED)
    remarks = []
    if result["missing"]:
        remarks.append(f"{result['missing']} of {result['frames']} frames missing")
    if result["lost"]:
        remarks.append(f"no face in {result['lost']} of {result['compared']}")
    if result["resized"]:
        remarks.append("resized")
    text = number(result["values"][metric]) if metric in result["values"] else "–"
    return Outcome(label, text, tuple(remarks), trouble=_trouble(result))


def _trouble(result: Mapping[str, Any] | None) -> int:
    if result is None:
        return 0
    if result["failed"] is not None:
        return FAILED
    return FACELESS if result["compared"] and result["lost"] >= result["compared"] else 0


def worst_first(report: Mapping[str, Any], label: str, metric: str) -> list[int]:
    """Numbers of the cases: failed ones, then those without any face, then by value; page.js sorts likewise."""
    found = _results(report)[label]
    sign = -1.0 if metric and report["metrics"][metric]["best"] == "low" else 1.0

    def key(index: int) -> tuple[int, bool, float, int]:
        result = found.get(report["protocol"]["cases"][index]["name"])
        value = result["values"].get(metric) if result else None
        return -_trouble(result), value is None, sign * (value or 0.0), index

    return sorted(range(len(report["protocol"]["cases"])), key=key)


def pictured(report: Mapping[str, Any], metric: str) -> list[int]:
    """Numbers of the cases that are shown in pictures: each model's worst in turn. A failed one shows nothing."""
    results = _results(report)
    cases = report["protocol"]["cases"]
    turns = []
    for label in compared_models(report):
        found = results[label]
        there = [i for i in worst_first(report, label, metric) if cases[i]["name"] in found]
        turns.append([i for i in there if _trouble(found[cases[i]["name"]]) != FAILED])
    mixed = dict.fromkeys(i for i in chain.from_iterable(zip_longest(*turns)) if i is not None)
    return list(mixed)[:MOST_PICTURED]


def failures(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(case, model, error) of all failed cases, in the protocol's order."""
    results = _results(report)
    return [
        (case["name"], label, str(found[case["name"]]["failed"]))
        for case in report["protocol"]["cases"]
        for label, found in results.items()
        if case["name"] in found and found[case["name"]]["failed"] is not None
    ]


def sorting_data(report: Mapping[str, Any]) -> dict[str, Any]:
    """What page.js sorts by: values and troubles by case and model, in the protocol's and the report's order."""
    names, results = case_metrics(report), _results(report)
    values, troubles = [], []
    for case in report["protocol"]["cases"]:
        here = [found.get(case["name"]) for found in results.values()]
        values.append([_rounded(result, names) for result in here])
        troubles.append([_trouble(result) for result in here])
    return {
        "metrics": [[name, report["metrics"][name]["best"]] for name in names],
        "models": list(results),
        "values": values,
        "troubles": troubles,
    }


def _rounded(result: Mapping[str, Any] | None, names: list[str]) -> list[float | None] | None:
    if result is None or result["failed"] is not None:
        return None
    return [float(f"{result['values'][name]:.6g}") if name in result["values"] else None for name in names]
