"""Reading parity cases of generators, and comparing with them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from seeded import listed

Tensors = dict[str, Tensor]


class Case:
    """A folder of numbers from the authors' network; what is given lies on ``device``, what is expected does not."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.folder, self.device = folder, device
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.hyper: dict[str, Any] = self.config.get("hyper_parameters", {})

    @property
    def given(self) -> Tensors:
        return load_file(self.folder / "inputs.safetensors", self.device)

    @property
    def expected(self) -> Tensors:
        return load_file(self.folder / "outputs.safetensors")

    @property
    def weights(self) -> Tensors:
        return load_file(self.folder / "weights.safetensors")

    @property
    def keys(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(shape) for name, shape in listed(self.folder / "keys.tsv")}

    @property
    def tolerance(self) -> float:
        return float(self.config["tolerance"].split()[0])

    def compare(self, ours: Mapping[str, Tensor]) -> None:
        """All of ``ours`` is what the case expects."""
        expected = self.expected
        for name, tensor in ours.items():
            assert tensor.shape == expected[name].shape, name
            assert relative_error(tensor, expected[name]) < self.tolerance, name


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    if not theirs.abs().max():
        return float(ours.abs().max())
    return float((ours.detach().cpu() - theirs.cpu()).abs().max() / theirs.abs().max())


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@contextmanager
def layers_heard(network: nn.Module) -> Iterator[dict[str, Any]]:
    """What every module says while it runs, as ``layer.<its name>``, and what it hears, as ``input.<its name>``."""
    heard: dict[str, Any] = {}

    def listener(name: str) -> Any:
        def listen(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            heard[f"input.{name}"] = inputs[0]
            heard[f"layer.{name}"] = output.clone() if isinstance(output, Tensor) else output

        return listen

    hooks = [module.register_forward_hook(listener(name)) for name, module in network.named_modules() if name]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def meta(build: Any) -> nn.Module:
    """A network without memory, for its names and shapes."""
    with torch.device("meta"):
        network: nn.Module = build()
    return network
