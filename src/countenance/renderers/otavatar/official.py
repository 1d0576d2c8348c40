"""The authors' checkpoints: their names, their container, the controller's configuration read off the shapes.

Container: a dict with ``net_Warp`` (the controller) and ``net_G`` (the generator), and their moving averages
``net_Warp_ema`` and ``net_G_ema``, which inference uses, beside optimiser states and counters. Names may begin with
``module.``, the wrapper of distributed training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from countenance.errors import WeightsDamaged
from countenance.renderers.otavatar.config import ControllerConfig
from countenance.renderers.otavatar.controller import MotionController
from countenance.weights.torch_files import load_torch_file
from countenance.weights.weight_files import fill

_FIX = "give the checkpoint of OTAvatar's authors"
_CODES = 14  # of EG3D's generator of 512 px


class OfficialCheckpoint(NamedTuple):
    """What a published file holds.

    Attributes:
        controller: ready for use.
        generator: EG3D's state dict, in its authors' names.
    """

    controller: MotionController
    generator: dict[str, Tensor]


def load_official(path: Path, *, averaged: bool = True, shortcut: bool = True) -> OfficialCheckpoint:
    """Both networks of a published or training checkpoint.

    Args:
        path: a ``.pt`` file.
        averaged: the moving averages, or the networks as the last step left them.
        shortcut: see :class:`ControllerConfig`; the file does not say.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: no checkpoint of these networks, cut off, with code, or with NaN.
    """
    content = load_torch_file(path)
    suffix = "_ema" if averaged else ""
    controller, generator = (_state(content, f"net_{kind}{suffix}", path) for kind in ("Warp", "G"))
    return OfficialCheckpoint(from_official_names(controller, path, shortcut=shortcut), generator)


def from_official_names(
    state: Mapping[str, Tensor], path: Path, *, shortcut: bool = True
) -> MotionController:
    """The controller of a state dict in the authors' names.

    Raises:
        WeightsDamaged: other names or shapes than those of the network.
    """
    config = config_of(state, path, shortcut)
    names = official_names(config)
    renamed = {names.get(name, name): tensor.float() for name, tensor in state.items()}
    for name in names:
        if name not in state:
            raise WeightsDamaged(path, f"'{name}' is missing", _FIX)
    controller = MotionController(config)
    fill(controller, renamed, path)
    return controller.eval()


def to_official_names(controller: MotionController) -> dict[str, Tensor]:
    """The controller's state dict as the authors' code reads it: a layer that is used often is listed as often."""
    state = controller.state_dict()
    return {theirs: state[ours] for theirs, ours in official_names(controller.config).items()}


def official_names(config: ControllerConfig) -> dict[str, str]:
    """Their names, in their order -> ours."""
    modules = {"mapping_3DMM.first.0": "first"}
    modules |= {f"mapping_3DMM.encoder{i}.1": f"encoders.{i}" for i in range(config.smoothing_layers)}
    modules |= {
        f"mapping_Refine.{2 * i}": f"mlp.{0 if config.one_layer else i}" for i in range(config.mlp_layers)
    }
    modules |= {f"mapping_Refine.{2 * config.mlp_layers}": "last"}
    names = {f"{theirs}.{p}": f"{ours}.{p}" for theirs, ours in modules.items() for p in ("weight", "bias")}
    return names | {"direction.weight": "codebook"}


def config_of(state: Mapping[str, Tensor], path: Path, shortcut: bool = True) -> ControllerConfig:
    """Sizes read off the shapes; layers that are all the same are one layer.

    Raises:
        WeightsDamaged: the tensors that tell the sizes are missing, or make no controller of 14 codes.
    """
    refine = _counted(state, "mapping_Refine.{}.weight", step=2)
    smoothing = _counted(state, "mapping_3DMM.encoder{}.1.weight", step=1)
    first, directions = state.get("mapping_3DMM.first.0.weight"), state.get("direction.weight")
    known = len(refine) > 1 and smoothing and first is not None and directions is not None
    if not known or first is None or first.ndim != 3 or directions is None or directions.ndim != 2:
        raise WeightsDamaged(path, "it is no motion controller of OTAvatar", _FIX)
    bases, rows = directions.shape[1], refine[-1].shape[0]
    one, both = (1 + _CODES) * bases, 2 * (1 + _CODES) * bases
    if rows not in (one, both):
        raise WeightsDamaged(
            path, f"{rows} magnitudes are not those of {_CODES} codes and {bases} bases", _FIX
        )
    biases = [state.get(f"mapping_Refine.{2 * i}.bias") for i in range(len(refine) - 1)]
    return ControllerConfig(
        coefficients=first.shape[1],
        width=first.shape[0],
        smoothing_layers=len(smoothing),
        mlp_layers=len(refine) - 1,
        one_layer=_all_equal(refine[:-1]) and _all_equal(biases),
        shortcut=shortcut,
        bases=bases,
        code_width=directions.shape[0],
        scaling=rows == both,
    )


def _counted(state: Mapping[str, Tensor], pattern: str, step: int) -> list[Tensor]:
    found = list[Tensor]()
    while (tensor := state.get(pattern.format(step * len(found)))) is not None:
        found.append(tensor)
    return found


def _all_equal(tensors: list[Any]) -> bool:
    return all(t is not None and torch.equal(t, tensors[0]) for t in tensors)


def _state(content: Any, kind: str, path: Path) -> dict[str, Tensor]:
    """One network's tensors, without the wrapper's prefix."""
    if not isinstance(content, dict) or not isinstance(content.get(kind), Mapping):
        raise WeightsDamaged(path, f"it has no '{kind}'", _FIX)
    state = {str(name).removeprefix("module."): tensor for name, tensor in content[kind].items()}
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise WeightsDamaged(path, f"'{name}' of '{kind}' is no tensor", _FIX)
        if not torch.isfinite(tensor).all():
            raise WeightsDamaged(path, f"'{name}' of '{kind}' holds NaN or infinity", _FIX)
    return state
