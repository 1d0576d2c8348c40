"""``countenance evaluate`` as people type it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import filmed
from countenance.cli import evaluate as verb
from countenance.cli.main import main
from countenance.evaluation import evaluate as evaluation
from countenance.evaluation.protocols.catalogue import PROTOCOLS

pytest.importorskip("skimage", reason="scikit-image is not installed")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few metrics, no measuring of speed, no processes."""
    names = ("psnr", "pose_error_deg")
    monkeypatch.setattr(evaluation, "METRICS", [m for m in evaluation.METRICS if m.name in names])
    monkeypatch.setattr(evaluation, "_frames_per_s", lambda *_: 25.0)
    monkeypatch.setattr(evaluation, "run_tasks", filmed.in_this_process)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    filmed.film(folder / "a_01.mp4", [0, 6, 12])
    filmed.film(folder / "b_01.mp4", [0, -6])
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", *map(str, arguments)])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def asked(clips: Path, output: Path, *more: object, protocol: str = "same-identity") -> tuple[object, ...]:
    return ("--data", clips, "--protocol", protocol, "-o", output, *more)


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, _ = run(capsys, "--help")
    assert code == 0
    said = " ".join(printed.replace("│", " ").split())
    assert all(name in said for name in PROTOCOLS)
    for word in ("examples:", "--model repeated", "same command goes on", "CASE.mp4", "PERSON_NUMBER.mp4"):
        assert word in said


def test_without_a_model_the_protocol_is_made(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, _ = run(capsys, *asked(clips, tmp_path / "report", protocol="cross-identity"))
    assert code == 0
    assert printed.strip() == f"{tmp_path / 'report' / 'protocol.json'}: 2 cases; give a --model to run them"
    made = {path.name for path in (tmp_path / "report").iterdir() if path.is_file()}
    assert {"protocol.json", "settings.json"} <= made
    assert not made & {"report.html", "report.csv"}


def test_a_report_in_words_and_as_json(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theirs" / "b_01").mkdir(parents=True)
    more = ("--model", "repeated", "--model", "geometric", "--model", tmp_path / "theirs")
    code, printed, complaint = run(capsys, *asked(clips, tmp_path / "report", *more))
    assert (code, complaint) == (0, "")
    assert "| | geometric | repeated | theirs |" in printed
    assert "theirs: 2 failed" in printed
    assert str(tmp_path / "report" / "report.html") in printed.splitlines()
    for name in ("report.json", "report.csv", "report.html", "protocol.json", "videos/geometric/a_01.mp4"):
        assert (tmp_path / "report" / name).stat().st_size > 0
    code, printed, _ = run(capsys, *asked(clips, tmp_path / "report", "--json"))
    told: dict[str, Any] = json.loads(printed, parse_constant=pytest.fail)
    assert code == 0
    assert set(told["models"]) == {"repeated", "geometric", "theirs"}
    assert told["models"]["geometric"]["psnr"]["cases"] == 2
    assert told["counts"]["theirs"]["failed"] == 2


def test_without_the_extra_nothing_is_begun(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    code, printed, complaint = run(capsys, *asked(clips, tmp_path / "report", "--model", "repeated"))
    assert (code, printed) == (2, "")
    install = "pip install 'countenance[evaluation]'"
    needs = f"evaluate needs the package 'scikit-image'; install it with: {install}"
    assert complaint == f"countenance: {needs}\n"
    assert not (tmp_path / "report").exists()


def test_an_evaluation_without_a_single_figure_is_no_success(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theirs" / "other").mkdir(parents=True)
    more = ("--model", tmp_path / "theirs")
    code, printed, complaint = run(capsys, *asked(clips, tmp_path / "report", *more))
    assert (code, printed) == (2, "")
    assert "all 2 cases failed; the first, a_01 with theirs: " in complaint
    assert complaint.count("\n") == 1
    assert (tmp_path / "report" / "report.json").stat().st_size > 0
    assert run(capsys, *asked(clips, tmp_path / "report", *more, "--model", "repeated"))[0] == 0


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--limit", "0"], "--limit is 0; give 1 to"),
        (["--limit", "-3"], "--limit is -3; give 1 to"),
        (["--workers", "0"], "--workers is 0; give 1 to 1024 processes"),
        (["--frames", "0"], "--frames is 0; give 1 to"),
        (["--compared", "-1"], "--compared is -1; give 1 to"),
        (["--seed", "-1"], "--seed is -1; give 0 to"),
        (["--ray-address", "here:1"], "--ray-address is of use with --engine ray only"),
        (["--engine", "ray", "--ray-address", "nowhere"], "no Ray cluster answers at nowhere"),
        (["--model", "geometrik"], "unknown model 'geometrik'; did you mean geometric"),
        (["--model", "../x=geometric"], "'../x' can't name a result; write --model LABEL=PATH"),
        (["--model", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--model", "repeated", "--model", "repeated"], "two models have the same name"),
    ],
)
def test_what_cannot_be_asked_for(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    if "ray" in more:
        pytest.importorskip("ray", reason="Ray is not installed")
        from countenance.evaluation import engines

        evaluation.run_tasks = engines.run_tasks  # the fixture puts the old one back
    code, printed, complaint = run(capsys, *asked(clips, tmp_path / "report", *more))
    assert (code, printed) == (2, "")
    assert says in complaint
    assert complaint.startswith("countenance: ")
    assert complaint.count("\n") == 1, "one line"
    assert not (tmp_path / "report" / "settings.json").exists()


def test_an_unknown_protocol_offers_the_nearest(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, complaint = run(capsys, *asked(clips, tmp_path / "report", protocol="multiview"))
    assert code == 2
    assert complaint.strip() == "countenance: unknown protocol 'multiview'; did you mean multi-view?"
    assert run(capsys, *asked(clips, tmp_path / "report"))[0] == 0, "the mistake left no trace"


def test_a_protocol_that_is_not_there(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, complaint = run(capsys, *asked(clips, tmp_path / "report", protocol="nowhere.json"))
    assert code == 2
    assert "cannot evaluate with nowhere.json: no such file" in complaint


def test_data_without_clips(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = run(capsys, *asked(tmp_path / "nowhere", tmp_path / "report"))
    assert code == 2
    assert "there is no folder" in complaint
    assert "--data" in complaint
    (tmp_path / "empty").mkdir()
    code, _, complaint = run(capsys, *asked(tmp_path / "empty", tmp_path / "report"))
    assert code == 2
    assert "there are no clips (.mp4" in complaint
    code, _, complaint = run(capsys, *asked(clips / "a_01.mp4", tmp_path / "report"))
    assert code == 2
    assert "there is no folder" in complaint


def test_output_that_cannot_be_written(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "report"):
        code, _, complaint = run(capsys, *asked(clips, output))
        assert code == 2
        assert "cannot write" in complaint
        assert "choose another folder" in complaint
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, for whom all is writable
    code, _, complaint = run(capsys, *asked(clips, tmp_path / "closed"))
    assert code == 2
    assert "it is not writable; choose another folder" in complaint


def test_errors_as_json(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = run(capsys, *asked(clips, tmp_path / "report", "--json", "--limit", "0"))
    assert code == 2
    assert json.loads(complaint)["exit_code"] == 2


def test_ctrl_c_says_what_to_do(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countenance.cli.progress.bar", filmed.stopped_after(1, "evaluating"))
    code, _, complaint = run(capsys, *asked(clips, tmp_path / "report", "--model", "repeated"))
    assert code == 130
    assert complaint.strip() == "countenance: interrupted; the same command goes on"
    monkeypatch.undo()
    assert verb.Evaluate.interrupted in complaint
