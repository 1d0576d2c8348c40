"""wav2vec 2.0 as the encoder: its rate, its published files, and training on top of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from countenance.audio.features import SpeechFeatures
from countenance.data.dataset import Dataset
from countenance.errors import DependencyMissing, WeightsDamaged, WeightsMissing
from countenance.speech.transformer import config as sizes
from countenance.speech.transformer import wav2vec
from countenance.speech.transformer.config import TransformerConfig
from countenance.speech.transformer.driver import from_file
from countenance.speech.transformer.network import ContextualTransformer
from countenance.speech.transformer.recipe import TransformerRecipe, paper
from countenance.speech.transformer.wav2vec import (
    FOLDER,
    Wav2VecEncoder,
    at_video_rate,
    levelled,
    pretrained_encoder,
)
from countenance.training.loop import train
from countenance.weights.weight_files import fill
from speaking import write_speaking_dataset

transformers = pytest.importorskip(
    "transformers", reason="transformers is not here: pip install transformers"
)

OLDER = {
    "encoder.pos_conv_embed.conv.parametrizations.weight.original0": "encoder.pos_conv_embed.conv.weight_g",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original1": "encoder.pos_conv_embed.conv.weight_v",
}


def tiny(**changes: Any) -> TransformerConfig:
    return replace(
        sizes.paper(),
        width=8,
        heads=2,
        feed_forward=16,
        audio_width=16,
        encoder_layers=1,
        encoder_heads=2,
        **changes,
    )


def encoder(**changes: Any) -> Wav2VecEncoder:
    torch.manual_seed(1)
    return Wav2VecEncoder(tiny(**changes)).eval().requires_grad_(False)


def samples(frames: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 640 * frames, generator=torch.Generator().manual_seed(frames)) / 8


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder as published, for reading letters, with the vector for what is masked, but tiny."""
    torch.manual_seed(2)
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    transformers.Wav2Vec2ForCTC(config).save_pretrained(tmp_path / FOLDER)
    return tmp_path / FOLDER


def rewritten(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> dict[str, Tensor]:
    tensors = change(load_file(folder / "model.safetensors"))
    save_file(tensors, folder / "model.safetensors")
    return tensors


@pytest.mark.parametrize("per_frame", [1, 2])
def test_one_vector_a_video_frame(per_frame: int) -> None:
    ears = encoder(per_frame=per_frame)
    for frames in (1, 2, 25, 33):
        assert ears(samples(frames, batch=2)).shape == (2, frames * per_frame, 16)
    network = ContextualTransformer(tiny(per_frame=per_frame)).eval()
    assert network.hear(samples(7)).shape == (1, 7, per_frame, 8)
    assert network(samples(7), torch.zeros(1, 64)).shape == (1, 7, 64)


def test_features_get_the_videos_rate_before_the_transformer() -> None:
    ears, sound = encoder(), samples(20)
    features = ears.model.feature_extractor(levelled(sound)).transpose(1, 2)
    assert features.shape == (1, 39, 512)  # 50 a second, less one for the convolutions' width
    projected, _ = ears.model.feature_projection(at_video_rate(features, 20))
    expected = ears.model.encoder(projected).last_hidden_state
    torch.testing.assert_close(ears(sound), expected, rtol=0, atol=1e-6)
    afterwards = at_video_rate(ears.model(levelled(sound)).last_hidden_state, 20)
    assert (ears(sound) - afterwards).abs().max() > 0.01


def test_at_its_own_rate_it_is_transformers_own_network(monkeypatch: pytest.MonkeyPatch) -> None:
    ears, sound = encoder(), samples(20)
    monkeypatch.setattr(wav2vec, "at_video_rate", lambda features, count: features)
    expected = ears.model(levelled(sound)).last_hidden_state
    torch.testing.assert_close(ears(sound), expected, rtol=0, atol=1e-6)


def test_samples_are_levelled_as_published() -> None:
    theirs = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    sound = samples(3, batch=2) + 0.1
    expected = theirs([row.numpy() for row in sound], sampling_rate=16_000, return_tensors="pt").input_values
    torch.testing.assert_close(levelled(sound), expected, rtol=0, atol=1e-5)
    assert not levelled(torch.zeros(1, 640)).any()
    assert levelled(sound * 1e-5).abs().max() < 0.1  # what nobody hears stays quiet


def test_the_published_sizes_are_those_of_the_large_model() -> None:
    """What config.json of facebook/wav2vec2-large-960h says, but for masking."""
    with torch.device("meta"):
        config = Wav2VecEncoder(TransformerConfig()).model.config
    expected = {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "conv_bias": False,
        "conv_dim": 7 * [512],
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "do_stable_layer_norm": False,
        "feat_extract_norm": "group",
        "feat_extract_activation": "gelu",
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
    }
    ours = {name: getattr(config, name) for name in expected}
    assert {n: list(v) if isinstance(v, tuple) else v for n, v in ours.items()} == expected


def same_weights(ears: Wav2VecEncoder, folder: Path) -> bool:
    sound = samples(5)
    theirs = transformers.Wav2Vec2Model.from_pretrained(folder).eval()
    with torch.no_grad():
        return torch.allclose(
            theirs(levelled(sound)).last_hidden_state,
            ears.model(levelled(sound)).last_hidden_state,
            atol=1e-5,
        )


def test_published_weights(published: Path) -> None:
    ears = encoder()
    assert not same_weights(ears, published)
    fill(ears.model, pretrained_encoder(published), published)
    assert same_weights(ears, published)


def test_published_weights_in_the_names_of_an_older_pytorch(published: Path) -> None:
    expected = pretrained_encoder(published)
    older = {f"wav2vec2.{new}": f"wav2vec2.{old}" for new, old in OLDER.items()}
    tensors = rewritten(published, lambda t: {older.get(name, name): v for name, v in t.items()})
    assert set(older.values()) <= set(tensors)
    ours = pretrained_encoder(published)
    assert set(ours) == set(expected)
    assert all(torch.equal(ours[name], expected[name]) for name in ours)
    fill(encoder().model, ours, published)


@pytest.mark.parametrize("masked", [True, False])
def test_the_vector_for_what_is_masked_may_be_there_or_not(masked: bool, published: Path) -> None:
    name = "wav2vec2.masked_spec_embed"
    tensors = rewritten(published, lambda t: {n: v for n, v in t.items() if masked or n != name})
    assert (name in tensors) is masked
    fill(encoder().model, pretrained_encoder(published), published)


def test_a_file_of_torch_and_half_precision(published: Path) -> None:
    expected = pretrained_encoder(published)
    tensors = load_file(published / "model.safetensors")
    (published / "model.safetensors").unlink()
    torch.save({name: tensor.half() for name, tensor in tensors.items()}, published / "pytorch_model.bin")
    ours = pretrained_encoder(published)
    assert {t.dtype for t in ours.values()} == {torch.float32}
    assert all(torch.allclose(ours[name], expected[name], atol=1e-2) for name in expected)
    fill(encoder().model, ours, published)


def test_missing_and_damaged_files(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path / "nothing"))
    with pytest.raises(WeightsMissing, match=r"huggingface\.co/facebook/wav2vec2-large-960h") as missing:
        pretrained_encoder()
    assert str(tmp_path / "nothing" / FOLDER) in str(missing.value)
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    assert set(pretrained_encoder()) == set(encoder().model.state_dict())
    file = published / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsDamaged, match=r"model\.safetensors"):
        pretrained_encoder(published)
    file.unlink()
    (published / "pytorch_model.bin").write_bytes(b"no tensors")
    with pytest.raises(WeightsDamaged, match=r"pytorch_model\.bin"):
        pretrained_encoder(published)


def test_weights_of_another_size_or_kind_do_not_fit(published: Path) -> None:
    with pytest.raises(WeightsDamaged, match="shape"):
        fill(Wav2VecEncoder(replace(tiny(), audio_width=32)).model, pretrained_encoder(published), published)
    rewritten(published, lambda t: {**t, "quantizer.codevectors": torch.zeros(1)})
    with pytest.raises(WeightsDamaged, match=r"quantizer\.codevectors"):
        fill(encoder().model, pretrained_encoder(published), published)


def test_without_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(DependencyMissing, match="transformers"):
        Wav2VecEncoder(tiny())


def test_the_papers_recipe_in_small(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From samples to ``bfm``, on published weights; its convolutions stay as they are."""
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(published.parent))
    recipe: TransformerRecipe = paper()
    loop = replace(recipe.loop, steps=2, log_every=1, save_every=2, sheet_every=2, workers=0, ema_decay=0.0)
    recipe = replace(recipe, network=tiny(), frames=12, loop=loop)
    data = write_speaking_dataset(tmp_path / "dataset", "bfm", frames=14)
    ears: Any = recipe.build(Dataset(data)).train().encoder
    assert not ears.model.feature_extractor(samples(2)).requires_grad  # nor is memory kept for them
    assert ears(samples(2)).requires_grad
    outcome = train(recipe, data, tmp_path / "run", accelerator="cpu")
    assert set(outcome.figures) == {"expression", "offset", "total"}
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["network"]
    before = {f"encoder.model.{name}": tensor for name, tensor in pretrained_encoder(published).items()}
    moved = {name for name, tensor in before.items() if not torch.equal(state[name], tensor)}
    convolutions = {name for name in before if ".feature_extractor." in name}
    assert convolutions
    assert not moved & convolutions
    assert not {n for n in state if "expression_decoder" in n and not state[n].any()}
    driver = from_file(outcome.weights)
    assert driver.spec.needs_samples
    sound = samples(15)[0].numpy()
    features = SpeechFeatures(np.zeros((15, 160), np.float32), np.ones(15, np.float32), sound)
    motion = driver.motion(features)
    assert (len(motion), motion.space.name) == (15, "bfm")
    assert np.isfinite(motion.values).all()
