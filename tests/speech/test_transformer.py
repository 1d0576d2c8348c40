"""The contextual transformer: its decoder, its training, and what it is as a speech driver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from countenance.audio.features import WIDTH, SpeechFeatures
from countenance.data.dataset import Dataset
from countenance.errors import BadValue, MotionSpaceMismatch, WeightsDamaged, WeightsMissing
from countenance.motion.spaces import ARKIT, BFM
from countenance.speech import driver as long_speech
from countenance.speech.catalogue import load_speech_driver
from countenance.speech.expression_loss import ExpressionLoss
from countenance.speech.transformer import SPECS
from countenance.speech.transformer import config as sizes
from countenance.speech.transformer.attention import periodic_positions
from countenance.speech.transformer.config import TransformerConfig
from countenance.speech.transformer.driver import TransformerDriver, from_file
from countenance.speech.transformer.network import ContextualTransformer, DecoderState
from countenance.speech.transformer.recipe import MODEL, PRESETS, TransformerRecipe, debug
from countenance.training.checkpoint import LAST
from countenance.training.loop import Outcome, train
from countenance.weights.weight_files import save_weights
from prepared import write_dataset
from speaking import heard, openings, write_speaking_dataset


def lively(**changes: Any) -> ContextualTransformer:
    """An untrained network that says something: new ones say the mean, whatever they hear."""
    torch.manual_seed(5)
    network = ContextualTransformer(replace(sizes.debug(), **changes))
    nn.init.normal_(network.expression_decoder.weight, std=0.4)
    network.mean.fill_(0.5)
    network.scale.fill_(0.1)
    return network.eval().requires_grad_(False)


def spoken(frames: int, batch: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(batch, frames, WIDTH, generator=torch.Generator().manual_seed(seed)) / 2


def styles(batch: int = 1) -> Tensor:
    return torch.randn(batch, 52, generator=torch.Generator().manual_seed(9))


def all_anew(network: ContextualTransformer, memory: Tensor, style: Tensor) -> Tensor:
    """Every frame from the whole sequence before it, nothing kept from one frame to the next, as in FaceFormer."""
    embedded = network.style_embedding(style)[:, None]
    inputs = embedded
    for count in range(1, memory.shape[1] + 1):
        frames = torch.arange(count)
        x = inputs + periodic_positions(frames, network.config.width, network.config.period)
        for block in network.decoder:
            x, _ = block(x, memory[:, :count], None, network._bias(frames, frames))
        said: Tensor = network.expression_decoder(x)
        inputs = torch.cat([inputs, network.expression_encoder(said[:, -1:]) + embedded], 1)
    return said


@pytest.mark.parametrize("changes", [{"period": 4}, {"period": 7, "layers": 2}, {"per_frame": 2}])
def test_step_by_step_is_the_whole_sequence_anew(changes: dict[str, int]) -> None:
    network = lively(**changes)
    sound, style = spoken(24, batch=2), styles(2)
    expected = all_anew(network, network.hear(sound), style)
    assert expected.std() > 0.1
    torch.testing.assert_close(network(sound, style), expected, rtol=0, atol=1e-5)


def test_what_is_long_past_can_be_forgotten() -> None:
    network = lively(period=4)
    sound, style = spoken(120), styles()
    whole = network(sound, style)
    assert torch.equal(network(sound, style, most=120), whole)
    kept = network(sound, style, most=60)
    torch.testing.assert_close(kept[:, :61], whole[:, :61], rtol=0, atol=1e-6)
    late, expected = kept[:, 61:], whole[:, 61:]
    assert torch.isfinite(late).all()
    assert not torch.equal(late, expected)
    assert (late - expected).abs().max() < 0.1 * expected.std()


def test_what_is_kept_of_the_past_does_not_grow() -> None:
    network = lively(layers=2)
    memory, style = network.hear(spoken(20)), network.style_embedding(styles())
    state = DecoderState()
    for t in range(20):
        network.advance(memory[:, t], style, state, most=6)
    assert (state.frame, len(state.past)) == (20, 2)
    assert all(tensor.shape[2] == 6 for pair in state.past for tensor in pair)


def test_lips_depend_on_what_is_heard() -> None:
    network = lively()
    lips = ARKIT.region_indices("lips")
    said = network(spoken(16), styles())[..., lips]
    other = network(spoken(16, seed=1), styles())[..., lips]
    assert torch.equal(network(spoken(16), styles())[..., lips], said)
    assert (said - other).abs().mean() > 0.02  # of a spread of 1


def test_who_speaks_matters() -> None:
    network = lively()
    assert (network(spoken(8), styles()) - network(spoken(8), -styles())).abs().mean() > 0.01


@pytest.mark.parametrize("forced", [False, True])
def test_a_frame_depends_on_its_own_sound_and_on_the_past(
    forced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder looks around, so the decoder is given what was heard."""
    network, when = lively(), 9
    monkeypatch.setattr(network, "hear", lambda memory: memory)
    memory = torch.randn(1, 16, 1, 8, generator=torch.Generator().manual_seed(2))
    changed = memory.clone()
    changed[:, when] += 1
    truth = torch.zeros(1, 16, 52)
    results = [
        network.forced(m, styles(), truth) if forced else network(m, styles()) for m in (memory, changed)
    ]
    differs = (results[0] - results[1]).abs().amax((0, 2)) > 1e-6
    assert not differs[:when].any()
    assert differs[when]
    assert (
        bool(differs[when + 1 :].any()) is not forced
    )  # given the truth, only the frame itself hears the change


def test_teacher_forcing_takes_the_truth_of_the_past_only() -> None:
    network, when = lively(), 9
    truth = torch.randn(1, 16, 52, generator=torch.Generator().manual_seed(3))
    changed = truth.clone()
    changed[:, when] += 1
    one, other = (network.forced(spoken(16), styles(), t) for t in (truth, changed))
    differs = (one - other).abs().amax((0, 2)) > 1e-6
    assert not differs[: when + 1].any()
    assert differs[when + 1]


def driver_of(network: ContextualTransformer) -> TransformerDriver:
    return TransformerDriver(network, SPECS[0])


def test_a_long_speech_is_the_same_in_other_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = driver_of(lively())
    log_mel = spoken(1200)[0].numpy()
    features = SpeechFeatures(log_mel, np.ones(1200, np.float32))
    expected = driver.motion(features).values
    assert expected.shape == (1200, ARKIT.size)
    assert expected[:, :52].std(0).min() > 0.005
    for stretch in (333, 1200):
        monkeypatch.setattr(long_speech, "_STRETCH", stretch)
        np.testing.assert_allclose(driver.motion(features).values, expected, rtol=0, atol=2e-5)
    monkeypatch.setattr(long_speech, "_STRETCH", 333)
    monkeypatch.setattr(long_speech, "_MARGIN", 2)
    assert np.abs(driver.motion(features).values - expected).max() > 2e-4  # what lies around is needed


def test_what_a_driver_gives() -> None:
    driver = driver_of(lively())
    features = heard(openings(30, 0))
    motion = driver.motion(features)
    assert (len(motion), motion.fps, motion.space) == (30, 25.0, ARKIT)
    pose = ARKIT.region_indices("pose")
    assert (motion.values[:, pose] == ARKIT.neutral[pose]).all()
    assert (motion.values >= ARKIT.minimum).all()
    assert (motion.values <= ARKIT.maximum).all()
    assert np.array_equal(driver.motion(features, seed=3, temperature=0.5).values, motion.values)
    usual = driver.network.mean.numpy()
    assert np.array_equal(driver.motion(features, style=usual).values, motion.values)
    assert not np.array_equal(driver.motion(features, style=usual + 0.2).values, motion.values)


def test_a_driver_of_samples_needs_them() -> None:
    network = lively()
    network.config = replace(network.config, hearing="wav2vec2")
    features = replace(heard(openings(10, 0)), samples=None)
    with pytest.raises(BadValue, match="keep_samples"):
        driver_of(network).motion(features)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_speaking_dataset(tmp_path / "dataset")


def trained(recipe: TransformerRecipe, data: Path, run: Path, **options: Any) -> Outcome:
    return train(recipe, data, run, accelerator="cpu", **options)


def with_loop(**changes: Any) -> TransformerRecipe:
    return replace(debug(), loop=replace(debug().loop, **changes))


def test_training_and_what_it_leaves(data: Path, tmp_path: Path) -> None:
    outcome = trained(debug(), data, tmp_path / "run")
    assert (outcome.step, outcome.finished) == (4, True)
    assert set(outcome.figures) == {"expression", "offset", "change", "total"}
    driver = load_speech_driver(str(outcome.weights))
    assert isinstance(driver, TransformerDriver)
    assert driver.network.config == debug().network
    assert (driver.spec.name, driver.spec.motion_space) == ("run/weights", "arkit")
    assert not driver.spec.needs_samples
    trained_on = [Dataset(data).motion(clip).values for clip in Dataset(data).clips]
    jaw = ARKIT.index("jawOpen")
    mean = np.concatenate(trained_on)[:, jaw].mean()
    assert driver.network.mean[jaw] == pytest.approx(mean, abs=1e-3)
    assert driver.network.scale.min() == pytest.approx(0.02, abs=1e-4)  # what never moves is not blown up
    assert len(driver.motion(heard(openings(20, 7)))) == 20
    events = next((tmp_path / "run" / "tensorboard").iterdir()).read_bytes()
    assert b"sheet" in events


def test_training_makes_the_loss_smaller(data: Path, tmp_path: Path) -> None:
    """What is heard is how far the jaw opens, in a voice that the network has not heard before, too."""
    totals: list[float] = []
    recipe = replace(
        with_loop(steps=60, log_every=10, sheet_every=100, save_every=100, learning_rate=2e-2, ema_decay=0.9),
        network=replace(sizes.debug(), dropout=0.0),
        sound=None,
    )
    outcome = trained(
        recipe, data, tmp_path / "run", report=lambda step, figures: totals.append(figures["total"])
    )
    assert totals[-1] < 0.5 * totals[0]
    opened = openings(40, 11)
    jaw = from_file(outcome.weights).motion(heard(opened)).values[:, ARKIT.index("jawOpen")]
    assert np.corrcoef(jaw, opened)[0, 1] > 0.5


def test_a_resumed_run_is_the_run_that_was_never_stopped(data: Path, tmp_path: Path) -> None:
    whole = trained(debug(), data, tmp_path / "whole")
    stopped = trained(debug(), data, tmp_path / "parts", max_minutes=0)
    assert (stopped.step, stopped.finished) == (1, False)
    rest = trained(debug(), data, tmp_path / "parts")
    assert (rest.step, rest.finished, rest.figures) == (4, True, whole.figures)
    one, other = (torch.load(tmp_path / name / LAST, weights_only=True)["ema"] for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_of_another_network_is_not_resumed(data: Path, tmp_path: Path) -> None:
    trained(with_loop(steps=1), data, tmp_path / "run")
    with pytest.raises(WeightsDamaged, match="belongs to"):
        trained(replace(debug(), network=replace(sizes.debug(), period=7)), data, tmp_path / "run")


def one_line(error: pytest.ExceptionInfo[Exception]) -> bool:
    return "\n" not in str(error.value)


def test_a_dataset_without_sound_is_refused(tmp_path: Path) -> None:
    silent = write_dataset(tmp_path / "dataset", frames=14)
    with pytest.raises(BadValue, match="no clip with sound") as error:
        trained(debug(), silent, tmp_path / "run")
    assert one_line(error)


def test_clips_that_are_too_short_are_refused(tmp_path: Path) -> None:
    short = write_speaking_dataset(tmp_path / "dataset", frames=11)
    with pytest.raises(BadValue, match="12 frames") as error:
        trained(debug(), short, tmp_path / "run")
    assert one_line(error)


def test_a_dataset_of_another_space_is_refused(data: Path, tmp_path: Path) -> None:
    other = replace(debug(), network=replace(sizes.debug(), space="bfm"))
    with pytest.raises(MotionSpaceMismatch, match="'bfm'") as error:
        trained(other, data, tmp_path / "run")
    assert one_line(error)


@dataclass(frozen=True)
class _NoConfig:
    size: int = 2


def test_weights_of_other_models_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_weights(path, nn.Linear(2, 2), "pirenderer", _NoConfig(), {}, half=False)
    with pytest.raises(WeightsDamaged, match="'pirenderer' does not turn speech into motion") as error:
        load_speech_driver(str(path))
    assert one_line(error)
    with pytest.raises(WeightsDamaged, match=f"not of '{MODEL}'"):
        from_file(path)
    with pytest.raises(WeightsMissing):
        load_speech_driver(str(tmp_path / "nowhere.safetensors"))


def test_the_shipped_weights_move_lips() -> None:
    driver = load_speech_driver("transformer-lite")
    opened = openings(50, 0)
    values = driver.motion(heard(opened)).values
    assert np.isfinite(values).all()
    assert values[:, ARKIT.region_indices("lips")].std(0).max() > 0.01


def terms_of(recipe: TransformerRecipe, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(term) for name, term in recipe.losses(network, batch, 0).terms.items()}


def batch_of(recipe: TransformerRecipe, data: Path) -> dict[str, Tensor]:
    sampler = recipe.sampler(Dataset(data))
    return dict(recipe.batch([sampler[k] for k in range(4)]))


def test_a_batch(data: Path) -> None:
    batch = batch_of(debug(), data)
    shapes = {name: tuple(tensor.shape) for name, tensor in batch.items()}
    assert shapes == {"sound": (4, 12, WIDTH), "motion": (4, 12, 52), "style": (4, 52), "real": (4,)}
    assert {t.dtype for t in batch.values()} == {torch.float32}


def test_who_speaks_can_be_left_out(data: Path) -> None:
    network = lively(dropout=0.0)
    for share, told in ((0.0, True), (1.0, False)):
        recipe = replace(debug(), no_style=share)
        batch = batch_of(recipe, data)
        other = {**batch, "style": batch["style"] + 0.3}
        one, another = (terms_of(recipe, network.train(), b)["total"] for b in (batch, other))
        assert (one != another) is told
        one, another = (terms_of(recipe, network.eval(), b)["total"] for b in (batch, other))
        assert one != another  # left out while training only
    unknown = {**batch, "style": network.mean.expand(4, -1)}
    assert terms_of(recipe, network.train(), batch) == pytest.approx(
        terms_of(recipe, network.eval(), unknown), rel=1e-5
    )


def test_some_samples_only_do_not_say_who_speaks(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = lively(dropout=0.0).train(), list[Tensor]()
    batch = batch_of(debug(), data)
    batch["style"] = batch["style"] + 1.0
    monkeypatch.setattr(
        network.style_embedding, "forward", lambda x: seen.append(x) or torch.zeros(len(x), 8)
    )
    torch.manual_seed(0)
    for _ in range(20):
        debug().losses(network, batch, 0)
    known = torch.cat(seen).abs().sum(1) > 0
    assert 0.3 < known.float().mean() < 0.7


def test_the_usual_weights_make_the_mean_squared_error() -> None:
    """The mean of squares is the square of the mean and the spread about it."""
    error = torch.randn(3, 10, 52, generator=torch.Generator().manual_seed(0)) + 0.4
    terms = ExpressionLoss().terms(error, ARKIT, torch.ones(3))
    assert set(terms) == {"expression", "offset"}
    torch.testing.assert_close(sum(terms.values()), error.square().mean())


def test_of_spoken_text_only_the_lips_count() -> None:
    lips = ARKIT.region_indices("lips")
    loss = ExpressionLoss(lips_weight=3.0, offset_weight=0.5, change_weight=0.2)
    error = torch.zeros(2, 10, 52)
    elsewhere = error.clone()
    elsewhere[1, ::2] = 1
    elsewhere[1, :, lips] = 0
    by_text, filmed = torch.tensor([1.0, 0.0]), torch.ones(2)
    assert all(float(term) == 0 for term in loss.terms(elsewhere, ARKIT, by_text).values())
    assert all(float(term) > 0 for term in loss.terms(elsewhere, ARKIT, filmed).values())
    error[1, ::2, lips[0]] = 1
    on_lips = loss.terms(error, ARKIT, by_text)
    assert {name: float(term) for name, term in on_lips.items()} == pytest.approx(
        {
            "expression": 3 * 10 * 0.25 / (2 * 10 * 52),
            "offset": 0.5 * 3 * 0.25 / (2 * 52),
            "change": 0.2 * 3 * 9 / (2 * 9 * 52),
        }
    )
    assert loss.terms(error, ARKIT, filmed) == on_lips


def test_a_space_without_lips_has_a_loss() -> None:
    error = torch.ones(2, 4, 64)
    terms = ExpressionLoss(lips_weight=8.0).terms(error, BFM, torch.ones(2))
    assert float(terms["expression"] + terms["offset"]) == 1


@pytest.mark.parametrize("preset", PRESETS)
def test_the_style_is_a_mean_expression(preset: str) -> None:
    """Recipes give one, and the driver takes one, of the size of what is predicted."""
    recipe = PRESETS[preset]()
    assert recipe.network.style == recipe.network.outputs
    assert recipe.network == sizes.PRESETS[preset]()


def test_the_papers_sizes() -> None:
    config = TransformerConfig()
    assert (config.width, config.heads, config.layers, config.feed_forward) == (1024, 4, 1, 2048)
    assert (config.encoder_layers, config.encoder_heads, config.audio_width) == (24, 16, 1024)
    assert (config.outputs, config.period, PRESETS["paper"]().frames) == (64, 25, 100)
    with pytest.raises(BadValue, match="heads"):
        TransformerConfig(width=1023)
