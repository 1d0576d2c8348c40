"""Weights of full size made from a seed, by the recipe in the parity cases' config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import torch


def listed(keys: Path) -> list[tuple[str, list[int]]]:
    """Names and shapes of a ``keys.tsv``."""
    lines = [line.split("\t") for line in keys.read_text().splitlines()[1:]]
    return [(line[0], json.loads(line[1])) for line in lines]


def seeded(keys: Path, seed: int) -> dict[str, torch.Tensor]:
    """A state dict with these names."""
    rng = np.random.Generator(np.random.PCG64(seed))
    state = {}
    for name, shape in listed(keys):
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros((), dtype=torch.int64)
            continue
        state[name] = _scaled(name, rng.standard_normal(shape))
    return state


def seeded_by_name(shapes: Mapping[str, Sequence[int]]) -> dict[str, torch.Tensor]:
    """A state dict with these names and shapes, whatever their order: each name is its own seed."""
    state = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros((), dtype=torch.int64)
            continue
        rng = np.random.Generator(np.random.PCG64(crc32(name.encode())))
        state[name] = _scaled(name, rng.standard_normal(tuple(shape), np.float32))
    return state


def _scaled(name: str, z: np.ndarray) -> torch.Tensor:
    """Numbers of a normal distribution, made fit for their place so that features neither grow nor fade."""
    if name.endswith("running_mean"):
        z = 0.1 * z
    elif name.endswith("running_var"):
        z = np.exp(0.2 * z)
    elif z.ndim in (2, 4):
        z = z * np.sqrt(2 / np.prod(z.shape[1:])).astype(z.dtype)
    elif name.endswith("bn3.weight"):
        z = 0.25 * (1 + 0.1 * z)
    elif name.endswith("prelu.weight"):
        z = 0.25 + 0.1 * z
    elif name.endswith(".weight"):
        z = 1 + 0.1 * z
    else:
        z = 0.1 * z
    return torch.from_numpy(z.astype(np.float32))
