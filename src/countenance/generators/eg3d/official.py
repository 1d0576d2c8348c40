"""NVIDIA's pickles (``ffhqrebalanced512-128.pkl`` ...), OTAvatar's ``.pth`` of the same network, and files of ours.

Names of weights are kept. The size of the rendered picture and the rendering options are in the pickles alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from countenance.errors import WeightsDamaged
from countenance.generators.eg3d.config import PLANES, EG3DConfig
from countenance.generators.eg3d.generator import EG3D
from countenance.generators.stylegan2.official import generator_config
from countenance.weights.network_pickle import PickledModule, read_network
from countenance.weights.torch_files import load_torch_file
from countenance.weights.weight_files import built, config_from, fill, read_weights, save_weights

MODEL = "eg3d"
_FIX = "give a network pickle of EG3D with features enlarged by 4X or 8XDC, such as ffhqrebalanced512-128.pkl"
_BY_REFERENCE: Final = (
    "torch.nn.modules.activation.Softplus",
    "torch.nn.modules.container.Sequential",
    "training.triplane.OSGDecoder",
    "training.volumetric_rendering.ray_marcher.MipRayMarcher2",
    "training.volumetric_rendering.ray_sampler.RaySampler",
    "training.volumetric_rendering.renderer.ImportanceRenderer",
)
_ENLARGING: Final = {"SuperresolutionHybrid8XDC": "8XDC", "SuperresolutionHybrid4X": "4X"}
_RENDERING: Final = {  # by name, what stands where the file does not tell
    "ray_start": None,
    "ray_end": None,
    "box_warp": None,
    "depth_resolution": None,
    "depth_resolution_importance": None,
    "disparity_space_sampling": False,
    "white_back": False,
    "c_gen_conditioning_zero": False,
    "c_scale": 0,
    "decoder_lr_mul": 1,
}


def load_official(path: Path, name: str = "G_ema") -> EG3D:
    """The generator of a published pickle; no code of the file is run.

    Args:
        path: a ``.pkl`` file.
        name: which of its generators, ``G_ema`` or ``G``.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: no pickle of this network, cut off, or with code.
    """
    network = read_network(path, name, _BY_REFERENCE)
    config = _config(network, path)
    return built(lambda: EG3D(config), network.state_dict(), path).eval()


def load_state(path: Path, config: EG3DConfig, name: str = "G_ema") -> EG3D:
    """The generator of a ``.pth`` file of state dicts, as OTAvatar distributes it.

    Args:
        path: the file.
        config: sizes and rendering options, which it lacks.
        name: which of its state dicts.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: no such state dict, other names or shapes, cut off, or with code.
    """
    content = load_torch_file(path)
    if not isinstance(content, dict) or not isinstance(content.get(name), dict):
        raise WeightsDamaged(path, f"it has no '{name}'", _FIX)
    generator = EG3D(config)
    fill(generator, content[name], path)
    return generator.eval()


def save(generator: EG3D, path: Path, notes: Mapping[str, Any], *, half: bool = False) -> None:
    """Write a generator as a safetensors file with its configuration inside.

    Args:
        generator: the network.
        path: ends in .safetensors.
        notes: where the weights come from.
        half: store fp16.

    Raises:
        OutputUnwritable: the path can't be written.
    """
    save_weights(path, generator, MODEL, generator.config, notes, half=half)


def load(path: Path) -> EG3D:
    """Read what :func:`save` wrote.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: cut off, of another model, or with NaN.
    """
    file = read_weights(path, MODEL)
    config = config_from(file, EG3DConfig, path)
    return built(lambda: EG3D(config), file.tensors, path).eval()


def _config(network: PickledModule, path: Path) -> EG3DConfig:
    try:
        backbone = generator_config(network.children["backbone"], path)
        enlarger, given = network.children["superresolution"], network.attributes["rendering_kwargs"]
        inner, outer = (enlarger.children[block].children["conv1"] for block in ("block0", "block1"))
        known = {name: given.get(name, default) for name, default in _RENDERING.items()}
        known |= {
            "neural_rendering_resolution": network.attributes["neural_rendering_resolution"],
            "superresolution": _ENLARGING[enlarger.class_name],
            "sr_input_resolution": enlarger.attributes["input_resolution"],
            "sr_inner_channels": inner.attributes["out_channels"],
            "sr_outer_channels": outer.attributes["out_channels"],
            "sr_conv_clamp": inner.attributes["conv_clamp"],
            "sr_antialias": enlarger.attributes["sr_antialias"],
        }
    except (KeyError, AttributeError) as error:
        raise WeightsDamaged(path, f"it is no generator of EG3D that is known here: {error}", _FIX) from error
    for name, value in known.items():
        words = {"ray_start": ("auto",), "ray_end": ("auto",), "superresolution": _ENLARGING.values()}
        if value not in words.get(name, ()) and not isinstance(value, int | float):
            if value is None and name == "sr_conv_clamp":
                continue
            raise WeightsDamaged(path, f"its {name} is {value!r}", _FIX)
    return EG3DConfig(
        z_dim=backbone.z_dim,
        c_dim=backbone.c_dim,
        w_dim=backbone.w_dim,
        plane_resolution=backbone.img_resolution,
        feature_channels=backbone.img_channels // PLANES,
        channel_base=backbone.channel_base,
        channel_max=backbone.channel_max,
        mapping_layers=backbone.mapping_layers,
        conv_clamp=backbone.conv_clamp,
        **known,
    )
