"""The models that turn speech into motion, by name: ours, each a folder here and a line, and other packages'."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from countenance.devices import Device, device_named
from countenance.errors import DependencyMissing, PluginBroken, UnknownName, WeightsDamaged, WeightsMissing
from countenance.plugins import BrokenPlugin, broken_plugins, load_plugin, plugin_code, plugins

if TYPE_CHECKING:
    from countenance.speech.driver import SpeechDriver, SpeechSpec

_FOLDERS = {"transformer-lite": "transformer", "flow-lite": "flow"}
_MODELS = {"talk-transformer": "transformer", "talk-flow": "flow"}
DEFAULT = "transformer-lite"
PERFORMER = "flow-lite"
"""Moves head, brows and eyes while another model moves the lips."""
TEMPERATURE = 0.6
"""How lively sampled performances are: 0 calm, 1 as what was learnt from."""
ARTICULATION = 1.6
"""How far lips move, relative to what models say. Trained on squared errors, they move them about half as far as the
people in our test clips, and with this four fifths as far (docs/results.md, "Talking")."""


_GROUP = "countenance.voices"


def speech_names() -> tuple[str, ...]:
    """The names that :func:`load_speech_driver` takes: ours, then those of other packages."""
    return (*_FOLDERS, *(name for name in plugins(_GROUP) if name not in _FOLDERS))


def speech_specs() -> Iterator[SpeechSpec]:
    """Specs of all models that can be asked for theirs; loads none of ours."""
    for name in speech_names():
        try:
            yield _spec(name)
        except PluginBroken:
            continue


def broken_voices() -> list[BrokenPlugin]:
    """Models of other packages that can't be used, and why."""
    return broken_plugins(_GROUP, _FOLDERS, _spec)


def load_speech_driver(name: str = DEFAULT, device: Device | str = "auto") -> SpeechDriver:
    """A model, ready to use.

    Args:
        name: of the catalogue, or the path of a ``.safetensors`` file that `countenance train` wrote.
        device: where it computes: "auto" (the fastest that is here), "cpu", "cuda" or "mps".

    Raises:
        UnknownName: with the nearest names.
        WeightsMissing: its weights are not on this machine.
        WeightsDamaged: a file that can't be used.
        DependencyMissing: it needs PyTorch.
        PluginBroken: another package's, which can't be loaded.
        BadValue: a device that is not here.
    """
    place = device_named(device)
    if name not in _FOLDERS and name in plugins(_GROUP):
        _spec(name)
        with plugin_code(_GROUP, name):
            driver: SpeechDriver = import_module(f"{_folder(name).__name__}.driver").load(name, place)
        return driver
    if find_spec("torch") is None:
        raise DependencyMissing("torch", "torch", "turning speech into motion")
    if name.endswith(".safetensors"):
        from countenance.weights.weight_files import read_weights

        model = read_weights(Path(name)).model
        if model not in _MODELS:
            raise WeightsDamaged(name, f"'{model}' does not turn speech into motion", "give it to --model")
        driver = _home(_MODELS[model]).from_file(Path(name), device=place)
        return driver
    if name not in _FOLDERS:
        raise UnknownName("voice model", name, speech_names())
    home = _home(_FOLDERS[name])
    path = Path(home.__file__).with_name(f"{name}.safetensors")
    if not path.is_file():
        raise WeightsMissing(name, "install countenance again, its weights are part of the package")
    driver = home.from_file(path, next(spec for spec in home.SPECS if spec.name == name), place)
    return driver


def load_cast(name: str = DEFAULT, device: Device | str = "auto") -> tuple[SpeechDriver, SpeechDriver | None]:
    """The model that moves the lips, and the one that moves the rest; None where that is the same, or nobody can.

    Args:
        name: of the first, see :func:`load_speech_driver`, whose errors this raises.
        device: likewise.
    """
    speaker = load_speech_driver(name, device)
    performer = next(spec for spec in speech_specs() if spec.name == PERFORMER)
    alone = speaker.spec.moves_head or speaker.spec.motion_space != performer.motion_space
    return speaker, None if alone else load_speech_driver(PERFORMER, device)


def _folder(name: str) -> ModuleType:
    if name in _FOLDERS:
        return import_module(f"countenance.speech.{_FOLDERS[name]}")
    folder: ModuleType = load_plugin(_GROUP, name)
    return folder


def _spec(name: str) -> SpeechSpec:
    for spec in getattr(_folder(name), "SPECS", ()):
        if getattr(spec, "name", None) == name:
            found: SpeechSpec = spec
            return found
    with plugin_code(_GROUP, name):
        raise LookupError(f"its SPECS hold nothing called '{name}'")


def _home(folder: str) -> Any:
    return import_module(f"countenance.speech.{folder}.driver")
