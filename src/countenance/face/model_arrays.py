"""A model's constants, served in the kind of array that the caller works with."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace, device, is_torch_namespace
from numpy.typing import NDArray

Array: TypeAlias = Any
"""A numpy array or a torch tensor; what goes in decides what comes out."""


class ModelArrays:
    """Named numpy arrays, converted once for every kind, device and precision in which they are asked for."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = dict(arrays)
        self._converted: dict[tuple[str, str, str], SimpleNamespace] = {}

    def like(self, reference: Array) -> SimpleNamespace:
        """The arrays as attributes: of ``reference``'s kind, device and float type; indices as int64."""
        xp, place = array_namespace(reference), device(reference)
        key = (xp.__name__, str(place), str(reference.dtype))
        if key not in self._converted:
            # A tensor made in inference mode could not be used in training later, and these outlive the mode.
            mode = xp.inference_mode(False) if is_torch_namespace(xp) else contextlib.nullcontext()
            with mode:
                self._converted[key] = SimpleNamespace(
                    **{
                        name: xp.asarray(array, dtype=_dtype(xp, array, reference), device=place)
                        for name, array in self._arrays.items()
                    }
                )
        return self._converted[key]


def _dtype(xp: Any, array: NDArray[Any], reference: Array) -> Any:
    return xp.int64 if np.issubdtype(array.dtype, np.integer) else reference.dtype
