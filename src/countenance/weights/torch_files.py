"""Reads the files that ``torch.save`` wrote, without letting them run code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from countenance.errors import WeightsDamaged, WeightsMissing


def load_torch_file(path: Path) -> Any:
    """Tensors and plain containers of a ``.pt`` or ``.pth`` file.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: cut off, no such file format, or with Python code inside (which is not run).
    """
    import torch

    if not path.is_file():
        raise WeightsMissing(str(path), "check the path")
    fix = "get it again from its authors"
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = "it asks to run Python code, which weights have no need of"
        raise WeightsDamaged(path, reason, fix) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        raise WeightsDamaged(path, f"it is no complete torch file ({type(error).__name__})", fix) from error
