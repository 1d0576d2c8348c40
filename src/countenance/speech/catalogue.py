"""The models that turn speech into motion, by name. A new one is a folder here and a line below."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.errors import DependencyMissing, UnknownName, WeightsDamaged, WeightsMissing

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


def speech_names() -> tuple[str, ...]:
    """The names that :func:`load_speech_driver` takes."""
    return tuple(_FOLDERS)


def speech_specs() -> Iterator[SpeechSpec]:
    """Specs of all models; loads none of them."""
    for name, folder in _FOLDERS.items():
        specs: tuple[SpeechSpec, ...] = import_module(f"countenance.speech.{folder}").SPECS
        yield next(spec for spec in specs if spec.name == name)


def load_speech_driver(name: str = DEFAULT) -> SpeechDriver:
    """A model, ready to use.

    Args:
        name: of the catalogue, or the path of a ``.safetensors`` file that `countenance train` wrote.

    Raises:
        UnknownName: with the nearest names.
        WeightsMissing: its weights are not on this machine.
        WeightsDamaged: a file that can't be used.
        DependencyMissing: it needs PyTorch.
    """
    if find_spec("torch") is None:
        raise DependencyMissing("torch", "torch", "turning speech into motion")
    if name.endswith(".safetensors"):
        from countenance.weights.weight_files import read_weights

        model = read_weights(Path(name)).model
        if model not in _MODELS:
            raise WeightsDamaged(name, f"'{model}' does not turn speech into motion", "give it to --model")
        driver: SpeechDriver = _home(_MODELS[model]).from_file(Path(name))
        return driver
    if name not in _FOLDERS:
        raise UnknownName("voice model", name, _FOLDERS)
    home = _home(_FOLDERS[name])
    path = Path(home.__file__).with_name(f"{name}.safetensors")
    if not path.is_file():
        raise WeightsMissing(name, "install countenance again, its weights are part of the package")
    driver = home.from_file(path, next(spec for spec in home.SPECS if spec.name == name))
    return driver


def load_cast(name: str = DEFAULT) -> tuple[SpeechDriver, SpeechDriver | None]:
    """The model that moves the lips, and the one that moves the rest; None where that is the same, or nobody can.

    Args:
        name: of the first, see :func:`load_speech_driver`, whose errors this raises.
    """
    speaker = load_speech_driver(name)
    performer = next(spec for spec in speech_specs() if spec.name == PERFORMER)
    alone = speaker.spec.moves_head or speaker.spec.motion_space != performer.motion_space
    return speaker, None if alone else load_speech_driver(PERFORMER)


def _home(folder: str) -> Any:
    return import_module(f"countenance.speech.{folder}.driver")
