"""An evaluation that is killed, and clips that can't be opened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import filmed
from countenance.evaluation import evaluate as evaluation
from countenance.evaluation.evaluate import REPORT, Crew, Settings
from countenance.evaluation.models import Model
from countenance.evaluation.protocols.sizes import Sizes

pytest.importorskip("skimage", reason="scikit-image is not installed")

QUICK = ("psnr", "pose_error_deg", "flicker")
SIZES = Sizes(4, 2)
MODELS = (Model("repeated", "repeated"), Model("geometric", "geometric"))

SCRIPT = """
import sys, time
from pathlib import Path
from test_evaluate_killed import MODELS, QUICK, SIZES
from countenance.evaluation import evaluate as evaluation
from countenance.evaluation.evaluate import Crew, Settings

def held(items, now, total):
    for number, item in enumerate(items, 1):
        yield item
        if (now, number) == (label, 2):
            Path(sign).touch()
            time.sleep(600)

if __name__ == "__main__":
    clips, output, sign, label = sys.argv[1:]
    evaluation.METRICS = [m for m in evaluation.METRICS if m.name in QUICK]
    settings = Settings("same-identity", Path(clips), SIZES)
    evaluation.evaluate(MODELS, settings, Path(output), Crew(workers=2), held)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few metrics, no measuring of speed, no processes."""
    monkeypatch.setattr(evaluation, "METRICS", [m for m in evaluation.METRICS if m.name in QUICK])
    monkeypatch.setattr(evaluation, "_frames_per_s", lambda *_: 25.0)
    monkeypatch.setattr(evaluation, "run_tasks", filmed.in_this_process)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name, turns in {"a_01": [0, 4, 8], "b_01": [0, -6, -12], "c_01": [0, 3, 9]}.items():
        filmed.film(folder / f"{name}.mp4", turns)
    return folder


def finished(clips: Path, output: Path) -> str:
    """The report as it lies there, without what is measured anew each time."""
    evaluation.evaluate(MODELS, Settings("same-identity", clips, SIZES), output, Crew(), filmed.silent)
    told: dict[str, Any] = json.loads((output / REPORT).read_text())
    for found in told["models"].values():
        del found["speed"]
        for case in found["cases"]:
            del case["peak_mb"]
    return json.dumps(told)


@pytest.fixture(scope="module")
def whole(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of an evaluation that nobody killed."""
    with pytest.MonkeyPatch.context() as patch:
        quick.__wrapped__(patch)  # type: ignore[attr-defined]
        return finished(clips, tmp_path_factory.mktemp("whole") / "report")


@pytest.mark.parametrize("label", ["tracking", "evaluating"])
def test_what_was_killed_goes_on_to_the_same_report(
    clips: Path, whole: str, tmp_path: Path, label: str
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(filmed.__file__).parent), *sys.path])
    sign, output = tmp_path / "sign", tmp_path / "killed"
    command = [sys.executable, str(tmp_path / "script.py"), str(clips), str(output), str(sign), label]
    run = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True)
    while not sign.exists():
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.05)
    run.kill()
    run.communicate()
    assert not (output / REPORT).exists()
    assert finished(clips, output) == whole


def test_a_clip_that_cannot_be_opened_is_listed_and_left_out(
    clips: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "clips"
    corpus.mkdir()
    for clip in clips.iterdir():
        (corpus / clip.name).symlink_to(clip)
    (corpus / "d_01.mp4").write_bytes((shared / "trials" / "damaged_moov.mp4").read_bytes())
    report = json.loads(finished(corpus, tmp_path / "report"))
    assert list(report["protocol"]["left_out"]) == ["d_01.mp4"]
    assert [case["failed"] for case in report["models"]["geometric"]["cases"]] == [None] * 3
