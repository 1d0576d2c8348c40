"""The state of a training run: everything that the next step depends on, so that a resumed run goes on exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from countenance.atomic import replacing
from countenance.errors import WeightsDamaged
from countenance.weights.torch_files import load_torch_file

LAST = "last.pt"
_KEYS = {"recipe", "step", "minutes", "network", "ema", "optimizer", "rng", "cuda_rng"}


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state; the old file is replaced only by a complete new one.

    Raises:
        OutputUnwritable: the folder can't be written, or the disk is full.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # of its zip writer, which hides that the disk is full
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def load_checkpoint(path: Path, recipe: str) -> dict[str, Any]:
    """Read a state.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: no training checkpoint, or one of another recipe.
    """
    state = load_torch_file(path)
    if not isinstance(state, dict) or not set(state) >= _KEYS:
        raise WeightsDamaged(path, "it is no training checkpoint", "start a new run in another folder")
    if state["recipe"] != recipe:
        fix = "give the same options as before, or start a new run in another folder"
        raise WeightsDamaged(path, f"it belongs to '{state['recipe']}', not to '{recipe}'", fix)
    return state


def rng_state() -> dict[str, Any]:
    """Torch's random states on this machine."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"rng": torch.get_rng_state(), "cuda_rng": cuda}


def restore_rng(state: dict[str, Any]) -> None:
    """Undo to :func:`rng_state`; states of devices that are not here are left out."""
    torch.set_rng_state(state["rng"])
    if torch.cuda.is_available() and len(state["cuda_rng"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda_rng"])
