from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from countenance.errors import BadValue, MotionSpaceMismatch, TrainingDiverged, WeightsDamaged
from countenance.renderers.pirenderer.recipe import PIRendererRecipe, debug, lite, paper
from countenance.renderers.pirenderer.renderer import from_file
from countenance.training.checkpoint import LAST
from countenance.training.loop import Outcome, learning_rate, train
from prepared import write_dataset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset")


def trained(recipe: PIRendererRecipe, data: Path, run: Path, **options: Any) -> Outcome:
    return train(recipe, data, run, accelerator="cpu", **options)


def weights_of(run: Path, which: str = "network") -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / LAST, weights_only=True)[which]
    return state


def with_loop(**changes: Any) -> PIRendererRecipe:
    return replace(debug(), loop=replace(debug().loop, **changes))


def test_a_resumed_run_is_the_run_that_was_never_stopped(data: Path, tmp_path: Path) -> None:
    whole = trained(debug(), data, tmp_path / "whole")
    stopped = trained(debug(), data, tmp_path / "parts", max_minutes=0)
    assert (stopped.step, stopped.finished) == (1, False)
    rest = trained(debug(), data, tmp_path / "parts")
    assert (whole.step, rest.step, rest.finished) == (6, 6, True)
    for which in ("network", "ema"):
        one, other = weights_of(tmp_path / "whole", which), weights_of(tmp_path / "parts", which)
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert whole.figures == rest.figures


def test_what_a_run_leaves(data: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    outcome = trained(debug(), data, tmp_path / "run", report=lambda step, figures: seen.append(step))
    assert seen == [1, 2, 3, 4, 5, 6]
    assert set(outcome.figures) == {"warp", "final", "pixel", "landmark", "parts", "imagined", "total"}
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "last.pt",
        "tensorboard",
        "weights.safetensors",
    ]
    assert from_file(outcome.weights).config == debug().network
    events = next((tmp_path / "run" / "tensorboard").iterdir()).read_bytes()
    assert b"loss/warp" in events
    assert b"sheet" in events


def test_training_makes_the_loss_smaller(data: Path, tmp_path: Path) -> None:
    totals: list[float] = []
    recipe = replace(with_loop(steps=60, log_every=15, sheet_every=100, save_every=100), warp_only=0)
    trained(recipe, data, tmp_path / "run", report=lambda step, figures: totals.append(figures["total"]))
    assert totals[-1] < 0.9 * totals[0]


def test_the_first_stage_leaves_the_editing_network_alone(data: Path, tmp_path: Path) -> None:
    recipe = with_loop(steps=3)
    trained(recipe, data, tmp_path / "run")
    torch.manual_seed(recipe.loop.seed)
    from countenance.data.dataset import Dataset

    untrained = recipe.build(Dataset(data)).state_dict()
    now = weights_of(tmp_path / "run")
    changed = {name.split(".")[0] for name in now if not torch.equal(now[name], untrained[name])}
    assert changed == {"mapping", "warping"}


def test_accumulation_gives_the_same_gradient(data: Path, tmp_path: Path) -> None:
    for name, parts in (("one", 1), ("two", 2)):
        recipe = with_loop(steps=1, batch_size=8, accumulate=parts, learning_rate=1e-2)
        trained(replace(recipe, imagined_weight=0.0), data, tmp_path / name)  # those are drawn for each part
    one, two = weights_of(tmp_path / "one", "optimizer"), weights_of(tmp_path / "two", "optimizer")
    first, second = one["state"][0]["exp_avg"], two["state"][0]["exp_avg"]  # type: ignore[index]
    torch.testing.assert_close(first, second, rtol=0.2, atol=2e-3)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_stops(sent: signal.Signals, data: Path, tmp_path: Path) -> None:
    run_script(_INTERRUPTED, tmp_path / "script.py", data, tmp_path / "run", int(sent))
    assert torch.load(tmp_path / "run" / LAST, weights_only=True)["step"] == 2


def test_a_loss_that_is_no_number_stops_the_run(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match="lower --learning-rate"):
        trained(with_loop(steps=40, learning_rate=1e30), data, tmp_path / "run")


def test_a_run_of_another_network_is_not_resumed(data: Path, tmp_path: Path) -> None:
    trained(with_loop(steps=1), data, tmp_path / "run")
    other = replace(debug(), network=replace(debug().network, edit_width=6))
    with pytest.raises(WeightsDamaged, match="belongs to"):
        trained(other, data, tmp_path / "run")


def test_a_run_can_start_from_the_weights_of_another(data: Path, tmp_path: Path) -> None:
    first = trained(debug(), data, tmp_path / "first")
    recipe = with_loop(steps=1, learning_rate=0.0)
    again = trained(recipe, data, tmp_path / "second", init=first.weights)
    one, other = (from_file(o.weights).network.state_dict() for o in (first, again))
    assert all(torch.allclose(one[name], other[name], atol=1e-3) for name in one)
    other_size = replace(debug(), network=replace(debug().network, edit_width=6))
    with pytest.raises(WeightsDamaged):
        trained(other_size, data, tmp_path / "third", init=first.weights)


def test_a_dataset_of_another_space_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(MotionSpaceMismatch):
        trained(replace(debug(), network=paper().network), data, tmp_path / "run")


def test_the_papers_schedule() -> None:
    loop = paper().loop
    assert (loop.steps, loop.batch_size, loop.betas) == (400_000, 20, (0.5, 0.999))
    assert [learning_rate(loop, step) for step in (0, 299_999, 300_000)] == pytest.approx([1e-4, 1e-4, 2e-5])
    assert (paper().warp_only, paper().warp_weight, paper().final_weight) == (200_000, 2.5, 4.0)
    assert lite().network.motion_space == "arkit"


def test_an_odd_batch_is_refused() -> None:
    with pytest.raises(BadValue, match="both directions"):
        with_loop(batch_size=6, accumulate=2)


_SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from countenance.renderers.pirenderer.recipe import debug
from countenance.training.loop import train

if __name__ == "__main__":
    data, run, devices, imagined = sys.argv[1:]
    recipe = replace(debug(), warp_only=0, imagined_weight=float(imagined))
    recipe = replace(recipe, loop=replace(recipe.loop, steps=2, batch_size=8))
    train(recipe, Path(data), Path(run), devices=int(devices), accelerator="cpu")
"""


_INTERRUPTED = """
import os, sys
from dataclasses import replace
from pathlib import Path
from countenance.renderers.pirenderer.recipe import debug
from countenance.training.loop import train

os.setsid()  # a terminal, or a batch system, tells the whole group, loaders too
data, run, sent = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
recipe = replace(debug(), loop=replace(debug().loop, workers=1))
outcome = train(recipe, data, run, accelerator="cpu", report=lambda step, _: step == 2 and os.killpg(0, sent))
assert (outcome.step, outcome.finished) == (2, False)
"""


def run_script(content: str, script: Path, *arguments: Path | float) -> None:
    """In a process of its own: signals and process groups must not reach the one that runs the tests."""
    script.write_text(content)
    command = [sys.executable, str(script), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_two_processes_agree(data: Path, tmp_path: Path) -> None:
    """Gloo on one machine: both see other pairs, and their averaged gradient is that of one process with all."""
    for name, devices in (("one", 1), ("two", 2)):
        run_script(_SCRIPT, tmp_path / f"{name}.py", data, tmp_path / name, devices, 0)
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    close = [torch.allclose(one[name], two[name], atol=2e-3) for name in one]
    assert sum(close) > 0.9 * len(close)


def test_two_processes_with_two_calls_of_the_network_a_step(data: Path, tmp_path: Path) -> None:
    run_script(_SCRIPT, tmp_path / "two.py", data, tmp_path / "two", 2, 1)
    assert torch.load(tmp_path / "two" / LAST, weights_only=True)["step"] == 2


_FULL = """
import resource, signal, sys
from dataclasses import replace
from pathlib import Path
from countenance.errors import OutputUnwritable
from countenance.renderers.pirenderer.recipe import debug
from countenance.training import loop
from countenance.training.loop import train

data, run, most, sheets = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # files end as on a full disk, with OSError
loop_ = replace(debug().loop, steps=2, save_every=2, log_every=1, sheet_every=sheets)
try:
    train(replace(debug(), loop=loop_), data, run, accelerator="cpu")
except OutputUnwritable as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits are those of POSIX")
@pytest.mark.parametrize(("most", "sheets", "named"), [(200_000, 9, "last.pt"), (2_000, 1, "tensorboard")])
def test_a_full_disk_is_said_and_keeps_the_last_checkpoint(
    data: Path, tmp_path: Path, most: int, sheets: int, named: str
) -> None:
    run = tmp_path / "run"
    trained(with_loop(steps=1), data, run)
    before = {name: (run / name).read_bytes() for name in (LAST, "weights.safetensors")}
    (tmp_path / "full.py").write_text(_FULL)
    command = [sys.executable, str(tmp_path / "full.py"), str(data), str(run), str(most), str(sheets)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.returncode, "Exception" in told.stderr, "Traceback" in told.stderr) == (0, False, False)
    assert told.stdout.startswith(f"cannot write {run / named}: file too large; free some space")
    assert {name: (run / name).read_bytes() for name in before} == before
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("model", ["pirenderer", "gdpw", "otavatar", "otavatar-joint", "eg3d", "talk-flow"])
def test_what_a_dataset_lacks_is_said_before_anything_is_built(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from countenance.cli.main import main

    folder = write_dataset(tmp_path / "dataset", size=20)
    for path in (folder / "landmarks").iterdir():
        path.unlink()
    arguments = ["train", model, "--preset", "debug", "--data", str(folder), "-o", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    said = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert len(said) == 2
    assert said[0].startswith(f"{model} --preset debug: ")
    assert "needs arkit motion" in said[0]
    lacks = {"talk-flow": "has no clip with sound of 12", "gdpw": "20 px wide", "eg3d": "20 px wide"}
    lacks |= dict.fromkeys(
        ("otavatar", "otavatar-joint"),
        "a_01.npz: it is not there, and this recipe needs arkit motion, landmarks",
    )
    assert lacks.get(model, "px wide") in said[1]
