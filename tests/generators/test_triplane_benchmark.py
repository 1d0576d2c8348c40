"""The plain implementation of benchmarks/triplane.py computes what ours does, at debug size."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from countenance.renderers.otavatar.config import debug


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        module = importlib.import_module("triplane")
        patch.setattr(module, "AnimatorConfig", debug)
        yield module


@torch.inference_mode()
def stages(bench: Any) -> list[Any]:
    animator = bench.animator_of("full", None).eval()
    scene = bench.scene_of(animator, torch.device("cpu"))
    return bench.parts(animator, scene, compiled=False) + bench.wholes(
        animator, scene, compiled=False, autocast=True
    )


@torch.inference_mode()
def test_all_forms_agree(bench: Any) -> None:
    rows = [row for stage in stages(bench) for row in bench.measured(stage, 1, lambda: None)]
    differences = {
        (row["stage"], row["form"]): row["largest difference"] for row in rows if "plain : this" in row
    }
    assert len(differences) == 8
    for (_, form), difference in differences.items():
        assert difference < (0.1 if bench.ROUNDED in form else 1e-4)
    assert bench.table(rows).count("\n") == len(rows) + 1


@torch.inference_mode()
def test_noise_is_missed(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = bench.plain_layer
    monkeypatch.setattr(bench, "plain_layer", lambda layer, x, w, *, noise: quiet(layer, x, w, noise=False))
    rows = bench.measured(stages(bench)[1], 1, lambda: None)
    assert rows[1]["largest difference"] > 0.01
