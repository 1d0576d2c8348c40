"""The authors' checkpoints: their names, their container, sizes read off the shapes.

Container: a dict with ``net_Warp`` (the controller) and ``net_G`` (the generator), and their moving averages
``net_Warp_ema`` and ``net_G_ema``, which inference uses, beside optimiser states and counters. Names may begin with
``module.``, the wrapper of distributed training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from countenance.errors import WeightsDamaged
from countenance.generators.eg3d.config import PLANES, EG3DConfig, Enlarging
from countenance.generators.eg3d.generator import EG3D
from countenance.renderers.otavatar.config import AnimatorConfig, ControllerConfig, RenderingConfig
from countenance.renderers.otavatar.controller import MotionController
from countenance.renderers.otavatar.network import Animator
from countenance.weights.published import read_off_shapes, state_of
from countenance.weights.torch_files import load_torch_file
from countenance.weights.weight_files import built

_FIX = "give the checkpoint of OTAvatar's authors"
_CODES = 14  # that the controller gives, whatever the generator takes
_BLOCK = re.compile(r"backbone\.synthesis\.b(\d+)\.conv1\.weight")


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
    with read_off_shapes(path, _FIX):
        return OfficialCheckpoint(from_official_names(controller, path, shortcut=shortcut), generator)


def load_animator(path: Path, *, averaged: bool = True) -> Animator:
    """Both networks of a published checkpoint, joined; rays and clamps are those that the authors drive avatars with.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: as :func:`load_official`; or names and shapes of the generator are others.
    """
    checkpoint = load_official(path, averaged=averaged)
    with read_off_shapes(path, _FIX):
        config = AnimatorConfig(generator_config(checkpoint.generator, path), checkpoint.controller.config)
    tensors = {name: tensor.float() for name, tensor in checkpoint.generator.items()}
    generator = built(lambda: EG3D(config.generator), tensors, path)
    animator = Animator(config)
    animator.controller.load_state_dict(checkpoint.controller.state_dict())
    animator.generator.load_state_dict(generator.state_dict())
    return animator.eval()


def generator_config(state: Mapping[str, Tensor], path: Path) -> EG3DConfig:
    """Sizes of a generator, read off its shapes; how it draws, from :class:`RenderingConfig`.

    Raises:
        WeightsDamaged: the tensors that tell the sizes are missing.
    """
    widths = {int(found[1]): len(t) for name, t in state.items() if (found := _BLOCK.fullmatch(name))}
    drawing = RenderingConfig()
    try:
        side, widest = max(widths), widths[4]
        embed, first = (state[f"backbone.mapping.{name}.weight"] for name in ("embed", "fc0"))
        enlarger = "superresolution.{}.conv1.weight"
        four = "superresolution.resample_filter" in state
        kind: Enlarging = "4X" if four else "8XDC"
        return EG3DConfig(
            z_dim=first.shape[1] - len(embed),
            c_dim=embed.shape[1],
            w_dim=len(embed),
            plane_resolution=side,
            feature_channels=len(state[f"backbone.synthesis.b{side}.torgb.weight"]) // PLANES,
            channel_base=side * widths[side],
            channel_max=widest,
            mapping_layers=len(_counted(state, "backbone.mapping.fc{}.weight", step=1)),
            conv_clamp=drawing.clamp,
            neural_rendering_resolution=drawing.rays,
            superresolution=kind,
            sr_input_resolution=len(state["superresolution.block0.conv0.noise_const"]) // (1 if four else 2),
            sr_inner_channels=len(state[enlarger.format("block0")]),
            sr_outer_channels=len(state[enlarger.format("block1")]),
            sr_conv_clamp=drawing.inference_super_resolution_clamp,
            ray_start=drawing.near,
            ray_end=drawing.far,
            box_warp=drawing.box,
            depth_resolution=drawing.samples[0],
            depth_resolution_importance=drawing.samples[1],
        )
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsDamaged(path, f"it holds no generator of EG3D: {error}", _FIX) from error


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
    return built(lambda: MotionController(config), renamed, path).eval()


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
    return state_of(state, path, _FIX)
