"""Checks on the arrays of a model file, so that a wrong file is refused in one line when it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Floats, Indices
from countenance.errors import WeightsDamaged
from countenance.stored.content import Malformed, reason_of
from countenance.weights.files import expect_file

Sizes = tuple[int | None, ...]
ArraysT = TypeVar("ArraysT")
_MOST_NUMBERS: Final = 2**28
_LARGEST: Final = 1e6  # of units from micrometres to metres, and of colours


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
        try:
            array = value if hasattr(value, "toarray") else np.asarray(value)
        except (ValueError, OverflowError) as error:  # a list whose rows differ
            raise self.refuse(f"'{name}' is no array") from error
        if array.dtype.kind not in "biuf":
            raise self.refuse(f"'{name}' holds {str(array.dtype)[:40]}, not numbers")
        fits = len(shape) == array.ndim and all(
            wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
        )
        if not fits or math.prod(array.shape) > _MOST_NUMBERS:  # a sparse one can claim any shape
            wanted = "x".join("any" if side is None else str(side) for side in shape)
            raise self.refuse(f"'{name}' has shape {array.shape} instead of {wanted}")
        return np.asarray(array.toarray()) if hasattr(array, "toarray") else array

    def floats(self, name: str, shape: Sizes) -> Floats:
        """The same as float32, all finite."""
        with np.errstate(over="ignore"):  # becomes infinite
            array = np.ascontiguousarray(self.array(name, shape), dtype=np.float32)
        if not np.isfinite(array).all():
            raise self.refuse(f"'{name}' holds NaN or infinite values")
        if np.abs(array).max(initial=0) > _LARGEST:
            raise self.refuse(f"'{name}' holds values above {_LARGEST:g}, which no face has")
        return array

    def indices(self, name: str, shape: Sizes, limit: int, first: int = 0) -> Indices:
        """Whole numbers from ``first`` on, returned counting from 0 and below ``limit``."""
        array = self.array(name, shape).astype(np.float64) - first
        if not ((array >= 0) & (array < limit) & (array == np.floor(array))).all():
            raise self.refuse(
                f"'{name}' holds indices that are not whole numbers from {first} to {limit - 1 + first}"
            )
        return array.astype(np.int32)


def read_stored(path: Path, read: Callable[[Path], ArraysT], kind: str, fix: str) -> ArraysT:
    """The arrays of a file of another format.

    Args:
        path: the file.
        read: of the format; raises OSError and Malformed.
        kind: of file, for errors.
        fix: what to do, likewise.

    Raises:
        WeightsMissing: there is no such file.
        WeightsDamaged: it is of another kind, cut short, or claims more than it has.
    """
    expect_file(path, fix)
    try:
        return read(path)
    except (Malformed, OSError) as error:
        raise WeightsDamaged(path, f"it is no {kind} ({reason_of(error)})", fix) from error
