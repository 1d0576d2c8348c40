"""Checks on the arrays of a model file, so that a wrong file is refused in one line when it is read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Floats, Indices
from countenance.errors import WeightsDamaged, WeightsMissing

Sizes = tuple[int | None, ...]


class ModelFile:
    """The named arrays of one file."""

    def __init__(self, path: Path, arrays: Mapping[str, Any], fix: str) -> None:
        self.path = path
        self._arrays = arrays
        self._fix = fix

    def refuse(self, reason: str) -> WeightsDamaged:
        """The error to raise about this file."""
        return WeightsDamaged(self.path, reason, self._fix)

    def array(self, name: str, shape: Sizes) -> NDArray[Any]:
        """An array of numbers whose shape is as said; None stands for any length."""
        if name not in self._arrays:
            raise self.refuse(f"it has no array '{name}'")
        value = self._arrays[name]
        array = np.asarray(value.toarray() if hasattr(value, "toarray") else value)
        if array.dtype.kind not in "biuf":
            raise self.refuse(f"'{name}' holds {array.dtype}, not numbers")
        fits = len(shape) == array.ndim and all(
            wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
        )
        if not fits:
            wanted = "x".join("any" if side is None else str(side) for side in shape)
            raise self.refuse(f"'{name}' has shape {array.shape} instead of {wanted}")
        return array

    def floats(self, name: str, shape: Sizes) -> Floats:
        """The same as float32, all finite."""
        array = np.ascontiguousarray(self.array(name, shape), dtype=np.float32)
        if not np.isfinite(array).all():
            raise self.refuse(f"'{name}' holds NaN or infinite values")
        return array

    def indices(self, name: str, shape: Sizes, limit: int, first: int = 0) -> Indices:
        """Whole numbers from ``first`` on, returned counting from 0 and below ``limit``."""
        array = self.array(name, shape).astype(np.float64) - first
        if not ((array >= 0) & (array < limit) & (array == np.floor(array))).all():
            raise self.refuse(
                f"'{name}' holds indices that are not whole numbers from {first} to {limit - 1 + first}"
            )
        return array.astype(np.int32)


def read_mat(path: Path, fix: str) -> dict[str, Any]:
    """The arrays of a MATLAB 5 file.

    Raises:
        WeightsMissing: there is no such file.
        WeightsDamaged: it is of another kind, or cut short.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise WeightsMissing(str(path), fix)
    damage = (MatReadError, ArithmeticError, EOFError, LookupError, MemoryError, NotImplementedError, OSError)
    try:
        return dict(loadmat(path))
    except (*damage, TypeError, ValueError, struct.error, zlib.error) as error:
        raise WeightsDamaged(path, f"it is no MATLAB 5 file ({type(error).__name__})", fix) from error
