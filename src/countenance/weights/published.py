"""Reads weights as their authors publish them into networks that carry the authors' names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from countenance.errors import BadValue, WeightsDamaged
from countenance.stored.content import reason_of
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
    return state_of(content, path, fix)


def state_of(content: object, path: Path, fix: str) -> dict[str, Tensor]:
    """Something in a torch file as a table of tensors by name, all finite.

    Args:
        content: anything.
        path: where it came from, for errors.
        fix: how to get it anew, for errors.

    Raises:
        WeightsDamaged: it is none.
    """
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise WeightsDamaged(path, "it is no table of tensors", fix)
    for name, tensor in content.items():
        if not isinstance(tensor, Tensor):
            raise WeightsDamaged(path, f"it is no table of tensors: '{name[:80]}' is no tensor", fix)
        if not tensor.numel():
            raise WeightsDamaged(path, f"'{name[:80]}' is empty", fix)
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsDamaged(path, f"'{name[:80]}' holds NaN or infinity", fix)
    return dict(content)


@contextmanager
def read_off_shapes(path: Path, fix: str) -> Iterator[None]:
    """Within it, sizes are taken from tensors that may have any shapes.

    Args:
        path: where they came from, for errors.
        fix: how to get it anew, for errors.

    Raises:
        WeightsDamaged: whatever goes wrong.
    """
    try:
        yield
    except (ArithmeticError, BadValue, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsDamaged(
            path, f"its tensors have other shapes than this network's ({reason_of(error)})", fix
        ) from error


def ready(network: NetworkT, tensors: Mapping[str, Tensor], path: Path) -> NetworkT:
    """``network`` with exactly these weights, for evaluation.

    Args:
        network: any.
        tensors: by its names.
        path: where they came from, for errors.

    Raises:
        WeightsDamaged: with the first name or shape that does not fit.
    """
    fill(network, tensors, path)
    return network.eval().requires_grad_(False)
