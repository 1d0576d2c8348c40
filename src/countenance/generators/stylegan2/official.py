"""NVIDIA's pickles (``ffhq.pkl``, ``metfaces.pkl``, ``network-snapshot-*.pkl`` ...), and files of ours.

Container: a pickle of ``{"G": ..., "D": ..., "G_ema": ...}``; G_ema is the generator to use. Names of weights are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from countenance.errors import WeightsDamaged
from countenance.generators.stylegan2.config import DiscriminatorConfig, StyleGAN2Config
from countenance.generators.stylegan2.discriminator import Discriminator
from countenance.generators.stylegan2.synthesis import Generator
from countenance.weights.network_pickle import PickledModule, read_network
from countenance.weights.weight_files import built, config_from, read_weights, save_weights

MODEL = "stylegan2"
_FIX = "give a network pickle of StyleGAN2-ADA (PyTorch)"
_NUMBER_OR_NONE = (int, float, type(None))
_KINDS: Mapping[str, tuple[type, ...]] = {
    "architecture": (str,),
    "conv_clamp": _NUMBER_OR_NONE,
    "cmap_dim": _NUMBER_OR_NONE,
    "mbstd_group_size": _NUMBER_OR_NONE,
}
ConfigT = TypeVar("ConfigT", StyleGAN2Config, DiscriminatorConfig)


def load_official(path: Path, name: str = "G_ema") -> Generator:
    """The generator of a published pickle; no code of the file is run.

    Args:
        path: a ``.pkl`` file.
        name: which of its generators, ``G_ema`` or ``G``.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: no pickle of this network, cut off, or with code.
    """
    network = read_network(path, name)
    config = generator_config(network, path)
    return built(lambda: Generator(config), network.state_dict(), path).eval()


def load_official_discriminator(path: Path) -> Discriminator:
    """The discriminator of a published pickle, for training on.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: no pickle of this network, cut off, or with code.
    """
    network = read_network(path, "D")
    config = _discriminator_config(network, path)
    return built(lambda: Discriminator(config), network.state_dict(), path).eval()


def save(generator: Generator, path: Path, notes: Mapping[str, Any], *, half: bool = False) -> None:
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


def load(path: Path) -> Generator:
    """Read what :func:`save` wrote.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: cut off, of another model, or with NaN.
    """
    file = read_weights(path, MODEL)
    config = config_from(file, StyleGAN2Config, path)
    return built(lambda: Generator(config), file.tensors, path).eval()


def generator_config(network: PickledModule, path: Path) -> StyleGAN2Config:
    """Sizes of a pickled generator.

    Raises:
        WeightsDamaged: it is another network.
    """
    try:
        synthesis, mapping = network.children["synthesis"], network.children["mapping"]
        known = {name: network.attributes[name] for name in ("z_dim", "c_dim", "w_dim")}
        known |= {name: synthesis.attributes[name] for name in ("img_resolution", "img_channels")}
        known["mapping_layers"] = mapping.attributes["num_layers"]
        known["conv_clamp"] = synthesis.children["b4"].children["conv1"].attributes["conv_clamp"]
    except KeyError as error:
        raise WeightsDamaged(path, f"it is no StyleGAN2 generator: it has no {error}", _FIX) from error
    return _checked(StyleGAN2Config, known | _settings(synthesis, "channel_base", "channel_max"), path)


def _discriminator_config(network: PickledModule, path: Path) -> DiscriminatorConfig:
    try:
        last = network.children["b4"]
        known = {name: network.attributes[name] for name in ("c_dim", "img_resolution", "img_channels")}
        known["architecture"] = last.attributes["architecture"]
        known["conv_clamp"] = last.children["conv"].attributes["conv_clamp"]
        spread = last.children.get("mbstd")
        known["mbstd_num_channels"] = spread.attributes["num_channels"] if spread is not None else 0
        if spread is not None:
            known["mbstd_group_size"] = spread.attributes["group_size"]
        if known["c_dim"]:
            known["cmap_dim"] = last.attributes["cmap_dim"]
            known["mapping_layers"] = network.children["mapping"].attributes["num_layers"]
    except KeyError as error:
        raise WeightsDamaged(path, f"it is no StyleGAN2 discriminator: it has no {error}", _FIX) from error
    return _checked(DiscriminatorConfig, known | _settings(network, "channel_base", "channel_max"), path)


def _settings(network: PickledModule, *names: str) -> dict[str, Any]:
    return {name: network.settings[name] for name in names if name in network.settings}


def _checked(kind: type[ConfigT], known: Mapping[str, Any], path: Path) -> ConfigT:
    """``known`` as a configuration, if every value is of a kind that its field may have."""
    for name, value in known.items():
        if not isinstance(value, _KINDS.get(name, (int,))):
            raise WeightsDamaged(path, f"its {name} is {value!r}", _FIX)
    return kind(**known)
