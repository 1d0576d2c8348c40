"""What the tests of the face models share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file


@dataclass(frozen=True)
class ParityCase:
    """Numbers from the authors' published code, as numpy or torch arrays."""

    folder: Path
    given: Mapping[str, Any]
    expected: Mapping[str, np.ndarray]

    def error(self, name: str, found: Any) -> float:
        """Largest difference by the largest magnitude expected; infinite if shapes differ."""
        expected, found = self.expected[name], np.asarray(found)
        if expected.shape != found.shape:
            return float("inf")
        return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.fixture(params=["numpy", "torch"])
def kind(request: pytest.FixtureRequest) -> Callable[[np.ndarray], Any]:
    """Turns a numpy array into the kind of array under test."""
    if request.param == "numpy":
        return np.asarray
    torch = pytest.importorskip("torch")
    return torch.from_numpy


@pytest.fixture
def parity(shared: Path, kind: Callable[[np.ndarray], Any]) -> Callable[[str], ParityCase]:
    """Reads a folder of parity numbers by its name below ``parity/``."""

    def read(name: str) -> ParityCase:
        folder = shared / "parity" / name
        given = load_file(folder / "inputs.safetensors")
        return ParityCase(
            folder,
            {key: kind(value) for key, value in given.items()},
            load_file(folder / "outputs.safetensors"),
        )

    return read
