"""What computes on another device keeps everything there: tried on torch's device without memory.

An operation on tensors of two devices is an error there as on a GPU, and so is NumPy's reach for one that was not
brought back. Results are made up: only that there are some is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.fx.experimental._config
from skimage import data
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from countenance.audio.features import speech_features
from countenance.data.dataset import Dataset
from countenance.renderers.gdpw import recipe as gdpw_recipe
from countenance.renderers.gdpw import renderer as gdpw
from countenance.renderers.otavatar import renderer as otavatar
from countenance.renderers.pirenderer import recipe as pirenderer_recipe
from countenance.renderers.pirenderer import renderer as pirenderer
from countenance.speech.catalogue import load_speech_driver, speech_names
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.deca_tracker import DecaTracker
from countenance.trackers.portraits import portrait_from_image
from countenance.trackers.remeasured import RemeasuringTracker
from prepared import write_dataset
from seeded import seeded

ELSEWHERE = "meta"


class NoDoubles(TorchDispatchMode):
    """Apple's GPUs have no float64."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            assert not (isinstance(tensor, torch.Tensor) and tensor.is_meta and tensor.dtype == torch.float64)
        return result


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The device without memory answers as if it had some when it is asked for numbers."""

    def asked(real: Any, answer: Any) -> Any:
        return lambda tensor, *args, **kwargs: (
            answer(tensor) if tensor.is_meta else real(tensor, *args, **kwargs)
        )

    def made_up(tensor: torch.Tensor) -> torch.Tensor:
        numbers = torch.zeros(tensor.shape, dtype=tensor.dtype)
        if numbers.ndim == 2:
            numbers.fill_diagonal_(1)  # matrices are inverted
        return numbers

    answers = {
        "cpu": made_up,
        "tolist": lambda tensor: torch.ones(tensor.shape).tolist(),
        "item": lambda tensor: 1.0,
        "__float__": lambda tensor: 1.0,
        "__int__": lambda tensor: 0,
        "__bool__": lambda tensor: True,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.Tensor, name, asked(getattr(torch.Tensor, name), answer))
    monkeypatch.setattr(torch, "equal", lambda a, b: False)
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())
    with torch.fx.experimental._config.patch(meta_nonzero_assume_all_nonzero=True), NoDoubles():
        yield


@pytest.mark.parametrize(
    ("home", "name"),
    [(gdpw, "gdpw-lite"), (pirenderer, "pirenderer-lite"), (otavatar, "otavatar-lite")],
)
def test_renderers(home: Any, name: str) -> None:
    renderer = home.load(name, ELSEWHERE)
    if hasattr(renderer, "inversion"):
        renderer.inversion = replace(
            renderer.inversion, steps_w=1, steps_w_plus=2, large_steps=1, tune_steps=1
        )
    portrait = portrait_from_image(data.astronaut(), load_tracker(), crop_scale=renderer.spec.crop_scale)
    motion = portrait.motion.still(2).set(yaw=np.array([0.1, 0.2]))
    shown = list(renderer.render(renderer.enroll(portrait), motion))
    assert [picture.shape for picture in shown] == [(portrait.crop.side,) * 2 + (3,)] * 2
    assert {parameter.device.type for parameter in renderer.network.parameters()} == {ELSEWHERE}


@pytest.mark.parametrize("name", speech_names())
def test_speech_drivers(name: str) -> None:
    here = load_speech_driver(name)
    driver = type(here)(here.network, here.spec, ELSEWHERE)  # type: ignore[attr-defined,call-arg]
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert len(driver.motion(speech_features(iter([noise])), seed=1)) == 25


def test_trackers(shared: Path, tmp_path: Path) -> None:
    keys = shared / "parity" / "flame" / "encoder-forward" / "keys.tsv"
    torch.save({"E_flame": seeded(keys, 1)}, tmp_path / "deca_model.tar")
    tracker: RemeasuringTracker = DecaTracker(load_tracker(), tmp_path / "deca_model.tar", device=ELSEWHERE)
    assert tracker.faces(data.astronaut())[0].coefficients.shape == (165,)


@pytest.mark.parametrize("home", [gdpw_recipe, pirenderer_recipe])
def test_losses_of_training(home: Any, tmp_path: Path) -> None:
    dataset = Dataset(write_dataset(tmp_path / "dataset"), "train")
    recipe = home.debug()
    network = recipe.build(dataset)
    recipe.constrain(network)
    sampler = recipe.sampler(dataset)
    batch = {name: tensor.to(ELSEWHERE) for name, tensor in recipe.batch([sampler[0], sampler[1]]).items()}
    critics = [recipe.adversary.build().to(ELSEWHERE)] if getattr(recipe, "adversary", None) else []
    losses = recipe.losses(network.to(ELSEWHERE), batch, 0, *critics)
    assert {term.device.type for term in losses.terms.values()} == {ELSEWHERE}


def test_two_devices_are_an_error() -> None:
    """Negative control."""
    with pytest.raises(RuntimeError, match="device"):
        torch.zeros(2, device=ELSEWHERE) + torch.zeros(2)
    with pytest.raises(AssertionError):
        torch.zeros(2, device=ELSEWHERE, dtype=torch.float64)
