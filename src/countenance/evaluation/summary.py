"""From the results of single cases to the figures of a report, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from countenance.arrays import Doubles
from countenance.evaluation.metrics.catalogue import Metric
from countenance.evaluation.metrics.frechet import frechet
from countenance.evaluation.tracks import UNUSABLE
from countenance.evaluation.work import CaseResult
from countenance.stored.npz import read_npz

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over cases.

    Attributes:
        mean: of the cases that have a value.
        low: lower end of the 95 % interval; the mean itself for a single case or a metric of sets.
        high: its upper end.
        cases: how many have a value.
    """

    mean: float
    low: float
    high: float
    cases: int


def estimates(results: Sequence[CaseResult], metrics: Sequence[Metric], seed: int = 0) -> dict[str, Estimate]:
    """Means of one model over its cases, with percentile bootstrap intervals over cases (Efron 1979).

    All models of a report share the resampling, so that their intervals can be compared.

    Args:
        results: of one model, in the protocol's order.
        metrics: what is wanted; those of sets are left to :func:`frechet_of`.
        seed: of the resampling.

    Returns:
        Metric -> estimate, for those that any case has.
    """
    drawn = np.random.default_rng(seed).integers(
        0, max(len(results), 1), (RESAMPLES, len(results)), dtype=np.int64
    )
    found: dict[str, Estimate] = {}
    for metric in metrics:
        values = np.array([r.values.get(metric.name, np.nan) for r in results], np.float64)
        there = np.isfinite(values)
        if metric.sets or not there.any():
            continue
        found[metric.name] = _estimate(values, drawn)
    return found


def _estimate(values: Doubles, drawn: Any) -> Estimate:
    there = np.isfinite(values)
    mean = float(values[there].mean())
    sums = np.where(there, values, 0.0)[drawn].sum(1)
    counts = there[drawn].sum(1)
    means = (sums / np.maximum(counts, 1))[counts > 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(mean, float(low), float(high), int(there.sum()))


def frechet_of(metric: str, results: Sequence[CaseResult], folder: Path) -> Estimate | None:
    """Fréchet distance of all results of one model to all true pictures; None without two pictures of each.

    It has no interval: its value depends on how many pictures there are, which resampling would change.

    Args:
        metric: one of sets.
        results: of one model.
        folder: where the features of its cases lie.
    """
    both: dict[str, list[Doubles]] = {"result": [], "truth": []}
    cases = 0
    for result in results:
        kept = None if result.failed else _features(folder / f"{result.case}.npz", metric, tuple(both))
        if kept is None:
            continue
        cases += 1
        for name, rows in both.items():
            rows.append(kept[name])
    if min(sum(map(len, rows)) for rows in both.values()) < 2:
        return None
    value = frechet(np.concatenate(both["result"]), np.concatenate(both["truth"]))
    return Estimate(value, value, value, cases)


def _features(path: Path, metric: str, names: tuple[str, ...]) -> dict[str, Doubles] | None:
    """What one case has of a metric; None where it has nothing, or a damaged file: ``cases`` says so."""
    try:
        kept = read_npz(path)
        found = {name: np.asarray(kept[f"{metric}-{name}"], np.float64) for name in names}
    except UNUSABLE:
        return None
    return found if all(rows.ndim == 2 and np.isfinite(rows).all() for rows in found.values()) else None


def counts(results: Sequence[CaseResult]) -> dict[str, Any]:
    """What went wrong, so that nothing is dropped in silence."""
    return {
        "cases": len(results),
        "failed": sum(r.failed is not None for r in results),
        "frames": sum(r.frames for r in results),
        "missing": sum(r.missing for r in results),
        "compared": sum(r.compared for r in results),
        "without_face": sum(r.lost for r in results),
        "resized": sum(r.resized for r in results),
    }


def first_failure(report: Mapping[str, Any], labels: Sequence[str]) -> str | None:
    """Why an evaluation was for nothing: the first reason, if no case of any of these models could be measured.

    Args:
        report: see :func:`countenance.evaluation.evaluate.report_of`.
        labels: of models; those without a result don't count.

    Returns:
        One line; None if there is a case that was measured, or no case at all.
    """
    found = [case for label in labels for case in report["models"].get(label, {"cases": []})["cases"]]
    if not found or not all(case["failed"] for case in found):
        return None
    first = found[0]
    reason = " ".join(str(first["failed"]).split())
    return f"all {len(found)} cases failed; the first, {first['case']} with {first['model']}: {reason}"


def by_group(
    results: Sequence[CaseResult], groups: Mapping[str, str], metrics: Sequence[Metric], seed: int
) -> dict[str, dict[str, Estimate]]:
    """:func:`estimates` of each group of cases.

    Args:
        results: of one model.
        groups: case -> its group.
        metrics: what is wanted.
        seed: of the resampling.
    """
    names = list(dict.fromkeys(groups[r.case] for r in results))
    return {name: estimates([r for r in results if groups[r.case] == name], metrics, seed) for name in names}
