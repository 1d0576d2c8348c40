"""From single cases to figures, intervals, ranks and tables."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from countenance.evaluation.metrics.catalogue import METRICS, Metric
from countenance.evaluation.metrics.frechet import frechet
from countenance.evaluation.report.tables import csv_table, markdown_table, number, ranks, shown_metrics
from countenance.evaluation.summary import Estimate, by_group, counts, estimates, frechet_of
from countenance.evaluation.work import CaseResult

HIGH = Metric("high", "High", "dB", "high", "truth", "More is better.")
LOW = Metric("low", "Low", "", "low", "nothing", "Less is better.")
SETS = Metric("sets", "Sets", "", "low", "nothing", "Of all.", sets=True)


def result(case: str, **values: float) -> CaseResult:
    return CaseResult(case, "mine", values, 10, 0, 3)


def test_intervals_hold_the_mean_and_narrow_with_more_cases() -> None:
    rng = np.random.default_rng(4)
    few, many = (
        estimates([result(str(i), high=value) for i, value in enumerate(rng.normal(20, 2, n))], [HIGH])[
            "high"
        ]
        for n in (20, 500)
    )
    for found in (few, many):
        assert found.low < found.mean < found.high
        assert found.low < 20 < found.high
    assert few.cases == 20
    assert few.high - few.low == pytest.approx(2 * 1.96 * 2 / 20**0.5, rel=0.35), "as in theory"
    assert many.high - many.low < 0.4 * (few.high - few.low)


def test_the_same_results_and_seed_give_the_same_intervals() -> None:
    results = [result(str(i), high=i % 7, low=i % 5) for i in range(30)]
    assert estimates(results, [HIGH, LOW], 1) == estimates(results, [HIGH, LOW], 1)
    assert estimates(results, [HIGH, LOW], 1) != estimates(results, [HIGH, LOW], 2)
    shifted = [result(str(i), high=i % 7 + 5) for i in range(30)]
    first, second = (estimates(r, [HIGH], 1)["high"] for r in (results, shifted))
    assert second.low - first.low == pytest.approx(5), "all models share the resampling"


def test_single_cases_and_values_that_are_not_there() -> None:
    assert estimates([], [HIGH]) == {}
    assert estimates([result("a", low=1)], [HIGH]) == {}
    assert estimates([result("a", high=3)], [HIGH, SETS]) == {"high": Estimate(3, 3, 3, 1)}
    found = estimates([result("a", high=3), result("b"), result("c"), result("d", high=5)], [HIGH])["high"]
    assert (found.mean, found.cases) == (4, 2)
    assert 3 <= found.low <= found.high <= 5


def test_groups_are_counted_by_themselves() -> None:
    results = [result("a", high=1), result("b", high=2), result("c", high=6), result("d", low=1)]
    groups = by_group(results, {"a": "x", "b": "y", "c": "x", "d": "z"}, [HIGH], 0)
    assert list(groups) == ["x", "y", "z"]
    assert (groups["x"]["high"].mean, groups["y"]["high"].mean, groups["z"]) == (3.5, 2, {})


def test_whatever_went_wrong_is_counted() -> None:
    results = [
        CaseResult("a", "mine", {"high": 1}, 10, 2, 3, 1, True),
        CaseResult("b", "mine", {}, failed="it broke"),
        CaseResult("c", "mine", {}, 5, 5, 0, 0),
    ]
    assert counts(results) == {
        "cases": 3,
        "failed": 1,
        "frames": 15,
        "missing": 7,
        "compared": 3,
        "without_face": 1,
        "resized": 1,
    }


def keep(folder: Path, case: str, **arrays: Any) -> None:
    np.savez(folder / f"{case}.npz", **{name.replace("_", "-"): rows for name, rows in arrays.items()})


def test_frechet_distances_are_of_all_cases_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found, true = rng.normal(size=(2, 7, 5))
    keep(tmp_path, "a", sets_result=found[:3], sets_truth=true[:3])
    keep(tmp_path, "b", sets_result=found[3:], sets_truth=true[3:])
    keep(tmp_path, "other", high_result=found)
    (tmp_path / "broken.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-9])
    keep(tmp_path, "nan", sets_result=found * np.nan, sets_truth=true)
    names = ("a", "b", "other", "broken", "nan", "nowhere")
    distance = frechet_of("sets", [result(name) for name in names], tmp_path)
    assert distance is not None
    assert distance.mean == distance.low == distance.high == pytest.approx(frechet(found, true))
    assert distance.cases == 2, "and says of how many"
    keep(tmp_path, "same", sets_result=true, sets_truth=true)
    same = frechet_of("sets", [result("same")], tmp_path)
    assert same is not None
    assert same.mean == pytest.approx(0, abs=1e-9)


def test_frechet_distances_need_two_pictures(tmp_path: Path) -> None:
    keep(tmp_path, "one", sets_result=np.ones((1, 5)), sets_truth=np.ones((1, 5)))
    assert frechet_of("sets", [], tmp_path) is None
    assert frechet_of("sets", [result("one")], tmp_path) is None
    failed = CaseResult("one", "mine", failed="it broke")
    assert frechet_of("sets", [failed, failed], tmp_path) is None


def report(**means: dict[str, float]) -> dict[str, Any]:
    """Label -> metric -> mean, as a report has it."""
    metrics = {m.name: {"title": m.title, "unit": m.unit, "best": m.best} for m in (HIGH, LOW)}
    models = {}
    for label, found in means.items():
        summary = {name: asdict(Estimate(mean, mean - 1, mean + 1, 2)) for name, mean in found.items()}
        cases = [asdict(CaseResult(case, label, found)) for case in ("a, b", 'c "d"')]
        models[label] = {"summary": summary, "cases": cases, "speed": {"peak_mb": 512.0}}
    return {"metrics": metrics, "models": models}


def test_ranks_know_which_way_is_better() -> None:
    told = report(a={"high": 3, "low": 3}, b={"high": 2, "low": 2}, c={"high": 1, "low": 1})
    assert ranks(told, "high") == {"a": 1, "b": 2}
    assert ranks(told, "low") == {"c": 1, "b": 2}


def test_equal_models_share_a_rank() -> None:
    told = report(a={"high": 2.00001}, b={"high": 2.00002}, c={"high": 1.5}, d={"high": 1.0})
    assert ranks(told, "high") == {"a": 1, "b": 1, "c": 2}


def test_the_baseline_and_single_models_are_not_ranked() -> None:
    assert ranks(report(repeated={"high": 9}, a={"high": 3}, b={"high": 2}), "high") == {"a": 1, "b": 2}
    assert ranks(report(repeated={"high": 9}, a={"high": 3}, b={"low": 2}), "high") == {}
    assert ranks(report(), "high") == {}


def test_the_table_shows_what_there_is() -> None:
    told = report(a={"high": 3}, b={"high": 2})
    assert shown_metrics(told) == ["high"]
    assert markdown_table(told) == [
        "| | a | b |",
        "| --- | --- | --- |",
        "| High, dB ↑ | **3.000** [2.000, 4.000] | _2.000_ [1.000, 3.000] |",
        "| peak memory of a worker, MB | 512 | 512 |",
    ]
    assert markdown_table(report(**{"a|b": {"high": 3}}))[0] == "| | a\\|b |"
    assert [number(value) for value in (0.12345, 12.345, 123.45, -123.45)] == [
        "0.123",
        "12.35",
        "123",
        "-123",
    ]


def test_the_spreadsheet_has_a_row_a_model_and_case() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_table(report(a={"high": 3}, b={"low": 2})))))
    assert [(row["model"], row["case"]) for row in rows] == [
        *[("a", "a, b"), ("a", 'c "d"')],
        *[("b", "a, b"), ("b", 'c "d"')],
    ]
    assert [row["high"] for row in rows] == ["3", "3", "", ""]
    assert [row["low"] for row in rows] == ["", "", "2", "2"]


def test_a_result_is_the_same_after_a_while_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "mine" / "dots.v2.json"
    path.parent.mkdir()
    kept = CaseResult("dots.v2", "mine", {"high": 1.5}, 10, 1, 3, 2, True, None, 99.5)
    kept.save(path)
    assert CaseResult.kept(path) == kept
    CaseResult("dots.v2", "other", {}).save(path)
    assert CaseResult.kept(path) is None, "somebody moved it here"


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", "3", "{}", "[" * 100_000, "\0\0\0"),
        *('{"case": "a"}', '{"case": "a", "model": "mine", "colour": "red"}'),
        '{"case": "a", "model": "mine", "values": {"high": NaN}}',
        '{"case": "a", "model": "mine", "values": {"high": "1"}}',
        '{"case": "a", "model": "mine", "values": [1]}',
        '{"case": "a", "model": "mine", "frames": "10"}',
        '{"case": "a", "model": "mine", "peak_mb": Infinity}',
    ],
)
def test_damaged_results_are_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine" / "a.json"
    path.parent.mkdir()
    path.write_text(content)
    assert CaseResult.kept(path) is None
    assert CaseResult.kept(path.with_name("nowhere.json")) is None


def test_every_metric_says_what_it_is() -> None:
    assert (
        len({metric.name for metric in METRICS}) == len({metric.title for metric in METRICS}) == len(METRICS)
    )
    assert all(metric.definition.endswith(".") for metric in METRICS)
