from __future__ import annotations

import pytest
import torch

from countenance.training.precision import Autocast, precision_plugin


def test_full_precision_changes_nothing() -> None:
    plugin = precision_plugin("32-true", "cpu")
    with plugin.forward_context():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_layers_are_rounded_and_inputs_are_not() -> None:
    plugin = precision_plugin("bf16-mixed", "cpu")
    assert isinstance(plugin, Autocast)
    pictures = torch.full((2, 2), 1.001)
    given = plugin.convert_input(pictures)
    assert given is pictures
    assert given.dtype == torch.float32
    with plugin.forward_context():
        assert torch.nn.Linear(2, 2)(given).dtype == torch.bfloat16


@pytest.mark.skipif(torch.cuda.is_available(), reason="only without a GPU 'auto' is the CPU")
def test_auto_without_a_gpu_is_the_cpu() -> None:
    assert precision_plugin("bf16-mixed", "auto").device == "cpu"  # type: ignore[attr-defined]
    assert precision_plugin("bf16-mixed", "cuda").device == "cuda"  # type: ignore[attr-defined]
