"""Reads weights as their authors publish them into networks that carry the authors' names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from countenance.errors import WeightsDamaged
from countenance.weights.torch_files import load_torch_file
from countenance.weights.weight_files import fill

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def published_tensors(path: Path, fix: str) -> dict[str, Tensor]:
    """The tensors of a torch file, by name.

    Args:
        path: the file.
        fix: how to get it anew, for errors.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: cut off, with code inside, or it holds other things than tensors.
    """
    content = load_torch_file(path)
    if not isinstance(content, Mapping) or not all(isinstance(t, Tensor) for t in content.values()):
        raise WeightsDamaged(path, "it is no table of tensors", fix)
    return dict(content)


def ready(network: NetworkT, tensors: Mapping[str, Tensor], path: Path) -> NetworkT:
    """``network`` with exactly these weights, for evaluation.

    Args:
        network: any.
        tensors: by its names; only the counters of batch norm, which evaluation doesn't use, may be missing.
        path: where they came from, for errors.

    Raises:
        WeightsDamaged: with the first name or shape that does not fit.
    """
    counters = {n: t for n, t in network.state_dict().items() if n.endswith(".num_batches_tracked")}
    fill(network, counters | dict(tensors), path)
    return network.eval().requires_grad_(False)
