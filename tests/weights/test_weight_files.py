"""Our own files of weights: what they say of themselves is checked before a network is built."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from countenance.errors import WeightsDamaged
from countenance.renderers.catalogue import load_renderer
from countenance.renderers.gdpw.config import debug as gdpw
from countenance.renderers.gdpw.network import GDPW
from countenance.renderers.otavatar.config import AnimatorConfig
from countenance.renderers.otavatar.config import debug as otavatar
from countenance.renderers.otavatar.network import Animator
from countenance.renderers.pirenderer.config import PIRendererConfig
from countenance.renderers.pirenderer.config import debug as pirenderer
from countenance.renderers.pirenderer.network import PIRenderer
from countenance.speech.catalogue import load_speech_driver
from countenance.speech.flow.config import debug as flow
from countenance.speech.flow.talk import TalkFlow
from countenance.speech.transformer.config import debug as transformer
from countenance.speech.transformer.network import ContextualTransformer
from countenance.weights.weight_files import built, config_from, read_weights

MODELS: dict[str, tuple[Callable[[Any], torch.nn.Module], Any, Callable[[str], Any]]] = {
    "pirenderer": (PIRenderer, pirenderer(), load_renderer),
    "gdpw": (GDPW, gdpw(), load_renderer),
    "otavatar": (Animator, otavatar(), load_renderer),
    "talk-flow": (TalkFlow, flow(), load_speech_driver),
    "talk-transformer": (ContextualTransformer, transformer(), load_speech_driver),
}


def written(path: Path, model: str, change: Callable[[dict[str, Any]], Any] = dict, **notes: Any) -> Path:
    """A file whose configuration was changed after the network was made."""
    make, config, _ = MODELS[model]
    changed = change(json.loads(json.dumps(asdict(config))))
    tensors = {name: tensor.contiguous() for name, tensor in make(config).state_dict().items()}
    texts = {"model": model, "config": json.dumps(changed), "notes": json.dumps(notes)}
    save_file(tensors, path, {"countenance": "1", **texts})
    return path


@pytest.mark.parametrize("model", MODELS)
def test_honest_files_load(tmp_path: Path, model: str) -> None:
    MODELS[model][2](str(written(tmp_path / "a.safetensors", model)))


@pytest.mark.parametrize("model", MODELS)
def test_every_field_of_every_configuration_is_checked(tmp_path: Path, model: str) -> None:
    """A text, a list, a very large and a negative number in each place: one line, and no giant network."""
    _, config, load = MODELS[model]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, value in asdict(config).items():
        for wrong in ("many", [1, 2], 10**9, -1, 1e300, {}):
            if isinstance(value, float | None) and wrong == -1:
                continue
            changed = written(tmp_path / "a.safetensors", model, lambda c, n=name, w=wrong: c | {n: w})
            with pytest.raises(WeightsDamaged) as refused:
                load(str(changed))
            assert "\n" not in str(refused.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KB


def test_a_wide_network_of_a_small_file_is_not_built(tmp_path: Path) -> None:
    """Every field is in its range; together they would take more than 100 GB."""
    wide = {"max_width": 2**20, "edit_width": 2**16, "warp_width": 2**16}
    path = written(tmp_path / "a.safetensors", "pirenderer", lambda config: config | wide)
    with pytest.raises(WeightsDamaged, match=r"has shape|is missing|not part"):
        load_renderer(str(path))


def test_a_deep_network_of_a_small_file_is_not_built(tmp_path: Path) -> None:
    file = read_weights(written(tmp_path / "a.safetensors", "pirenderer"))

    def endless() -> torch.nn.Module:
        return torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in range(10**9)))

    with pytest.raises(WeightsDamaged, match="more layers than there are tensors"):
        built(endless, file.tensors, tmp_path)


def test_a_built_network_is_that_of_the_file(tmp_path: Path) -> None:
    file = read_weights(written(tmp_path / "a.safetensors", "pirenderer"))
    config = config_from(file, PIRendererConfig, tmp_path)
    network = built(lambda: PIRenderer(config), file.tensors, tmp_path)
    assert config == pirenderer()
    assert all(torch.equal(t, file.tensors[name]) for name, t in network.state_dict().items())
    assert not any(parameter.is_meta for parameter in network.parameters())


def test_nested_configurations_come_back(tmp_path: Path) -> None:
    file = read_weights(written(tmp_path / "a.safetensors", "otavatar"))
    assert config_from(file, AnimatorConfig, tmp_path) == otavatar()


@pytest.mark.parametrize("scale", ["wide", None, 1e9, 0, -1, True, [1]])
def test_the_crop_is_checked(tmp_path: Path, scale: object) -> None:
    with pytest.raises(WeightsDamaged, match="crop_scale"):
        load_renderer(str(written(tmp_path / "a.safetensors", "pirenderer", crop_scale=scale)))


def test_the_crop_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", "pirenderer", crop_scale=1.25)
    assert load_renderer(str(path)).spec.crop_scale == 1.25


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"config": "[" * 100_000}, "nested"),
        ({"config": "[]"}, "no table"),
        ({"notes": "7"}, "no table"),
        ({"config": '{"size": 1e999}'}, "larger than any"),
        ({"model": "poem"}, "no renderer"),
    ],
)
def test_metadata_of_other_kinds(tmp_path: Path, texts: dict[str, str], says: str) -> None:
    usual = {"countenance": "1", "model": "pirenderer", "config": "{}", "notes": "{}"}
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", usual | texts)
    with pytest.raises(WeightsDamaged, match=says):
        load_renderer(str(tmp_path / "a.safetensors"))
