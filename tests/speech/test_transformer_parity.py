"""Our contextual transformer against numbers from FaceFormer's authors, whose network it follows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from countenance.errors import BadValue, WeightsDamaged
from countenance.speech.transformer.attention import (
    aligned_mask,
    causal_bias,
    head_slopes,
    periodic_positions,
)
from countenance.speech.transformer.config import TransformerConfig
from countenance.speech.transformer.network import ContextualTransformer
from countenance.speech.transformer.official import from_official_names, official_names
from countenance.speech.transformer.wav2vec import at_video_rate, published_length
from countenance.weights.weight_files import fill

PER_FRAME = {"decoder-biwi": 2, "decoder-vocaset": 1}
Tensors = dict[str, Tensor]


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.detach().cpu() - theirs.cpu()).abs().max() / theirs.abs().max())


def numbers(shared: Path, case: str, device: str = "cpu") -> tuple[dict[str, Any], Tensors, Tensors]:
    """Settings, inputs (where there are any) and expected outputs of a case."""
    folder = shared / "parity" / "faceformer" / case
    given = folder / "inputs.safetensors"
    return (
        json.loads((folder / "config.json").read_text()),
        load_file(given, device) if given.is_file() else {},
        load_file(folder / "outputs.safetensors"),
    )


def weights_of(shared: Path, case: str) -> Tensors:
    return load_file(shared / "parity" / "faceformer" / case / "weights.safetensors")


def without_encoder(config: TransformerConfig, tensors: Tensors) -> ContextualTransformer:
    """The network that is told what wav2vec 2.0 heard, as the cases are."""
    network = ContextualTransformer(replace(config, hearing="log-mel", encoder_layers=1))
    network.encoder = nn.Identity()
    fill(network, tensors, Path("official"))
    return network.eval()


def network_of(shared: Path, case: str, **changes: Any) -> ContextualTransformer:
    config, tensors = from_official_names(
        weights_of(shared, case), Path("official"), per_frame=PER_FRAME[case]
    )
    return without_encoder(replace(config, **changes), tensors)


def predicted(network: ContextualTransformer, given: Tensors) -> Tensor:
    with torch.no_grad():
        said: Tensor = network(given["audio_features"], given["style"])
    return said + given["template"][:, None]


def test_biases_masks_and_positions(shared: Path) -> None:
    config, _, expected = numbers(shared, "masks-and-positions")
    assert len(config["settings"]) == len(expected) == 13
    for case in config["settings"]:
        theirs = expected[case["output"]]
        if case["kind"] == "biased_mask":
            frames = torch.arange(case["length"])
            ours = causal_bias(frames, frames, case["heads"], case["period"])
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
            assert torch.equal(ours.isneginf(), theirs.isneginf())
        elif case["kind"] == "alignment_mask":
            per_frame = {"BIWI": 2, "vocaset": 1}[case["dataset"]]
            assert torch.equal(aligned_mask(case["frames"], case["audio_frames"], per_frame), theirs)
        else:
            ours = periodic_positions(torch.arange(theirs.shape[1]), case["dim"], case["period"])
            torch.testing.assert_close(ours[None], theirs, rtol=0, atol=1e-6)


def test_slopes_of_four_heads() -> None:
    assert head_slopes(4) == [1 / 4, 1 / 16, 1 / 64, 1 / 256]


def test_features_at_the_videos_rate(shared: Path, device: str) -> None:
    config, given, expected = numbers(shared, "interpolation", device)
    for run in config["runs"]:
        features = given[run["input"]]
        default = published_length(features.shape[1], run["input_rate"], run["output_rate"])
        ours = at_video_rate(features, run["output_length"] or default)
        assert ours.shape == expected[run["output"]].shape
        assert relative_error(ours, expected[run["output"]]) < 1e-5, run


@pytest.mark.parametrize("rate", [30, 25])
def test_how_many_frames_so_many_features_make(shared: Path, rate: int) -> None:
    config, _, expected = numbers(shared, "interpolation")
    lengths = expected[f"default_length_50_to_{rate}"].tolist()
    assert [published_length(n, 50, rate) for n in range(1, 1001)] == lengths
    rounded_down = config["rounding"][f"to_{rate}"]
    assert [n for n in range(1, 1001) if published_length(n, 50, rate) != n * rate // 50] == rounded_down


@pytest.mark.parametrize("case", PER_FRAME)
def test_sizes_are_read_off_the_weights(shared: Path, case: str) -> None:
    published = numbers(shared, case)[0]["hyper_parameters"]
    config, _ = from_official_names(weights_of(shared, case), Path("official"), per_frame=PER_FRAME[case])
    ours = (config.width, config.outputs, config.period, config.style, config.heads, config.feed_forward)
    names = ("feature_dim", "output_dim", "period", "styles", "heads", "feed_forward")
    assert ours == tuple(published[name] for name in names)
    assert (config.layers, config.audio_width) == (published["layers"], published["audio_features"])
    assert (config.encoder_layers, config.encoder_heads) == (0, 12)


@pytest.mark.parametrize("case", PER_FRAME)
def test_prediction_frame_by_frame(shared: Path, case: str, device: str) -> None:
    _, given, expected = numbers(shared, case, device)
    network = network_of(shared, case).to(device)
    ours = predicted(network, given)
    assert relative_error(ours, expected["prediction"]) < 1e-4
    loss = nn.functional.mse_loss(ours, given["truth"])
    assert relative_error(loss, expected["loss_autoregressive"]) < 1e-4
    memory = network.hear(given["audio_features"]).flatten(1, 2)
    assert relative_error(memory, expected["memory"]) < 1e-4


@pytest.mark.parametrize("case", PER_FRAME)
def test_teacher_forcing(shared: Path, case: str, device: str) -> None:
    _, given, expected = numbers(shared, case, device)
    template = given["template"][:, None]
    forced = (
        network_of(shared, case)
        .to(device)
        .forced(given["audio_features"], given["style"], given["truth"] - template)
    )
    assert relative_error(forced + template, expected["output_teacher_forcing"]) < 1e-4
    loss = nn.functional.mse_loss(forced + template, given["truth"])
    assert relative_error(loss, expected["loss_teacher_forcing"]) < 1e-4


@pytest.mark.parametrize("case", PER_FRAME)
def test_the_block_on_its_own(shared: Path, case: str) -> None:
    _, given, expected = numbers(shared, case)
    network = network_of(shared, case)
    block: Any = network.decoder[0]
    seen: Tensors = {}
    for name in ("norm1", "norm2", "norm3"):
        getattr(block, name).register_forward_hook(lambda _, __, y, name=name: seen.update({name: y}))
    frames = torch.arange(expected["prediction"].shape[1])
    bias = causal_bias(frames, frames, network.config.heads, network.config.period)
    with torch.no_grad():
        memory = network.hear(given["audio_features"])
        ours, _ = block(expected["decoder_input_last_step"], memory, None, bias)
    assert relative_error(ours, expected["decoder_output_last_step"]) < 1e-4
    for name, tensor in seen.items():
        assert relative_error(tensor, expected[f"after_{name}"]) < 1e-4, name
    assert len(seen) == 3


@pytest.mark.parametrize("case", PER_FRAME)
def test_the_weights_of_attention(shared: Path, case: str) -> None:
    """With whole matrices of scores, as the authors have it; the network looks at a frame's own sound only."""
    _, _, expected = numbers(shared, case)
    network = network_of(shared, case)
    config, block = network.config, network.decoder[0]
    memory, frames = expected["memory"], torch.arange(expected["prediction"].shape[1])
    own = torch.zeros(len(frames), memory.shape[1]).masked_fill(
        aligned_mask(len(frames), memory.shape[1], config.per_frame), -torch.inf
    )
    past = causal_bias(frames, frames, config.heads, config.period)
    inputs = expected["decoder_input_last_step"]
    rows = (
        (block.self_attn, inputs, inputs, past, "self_attention"),
        (block.multihead_attn, expected["after_norm1"], memory, own, "cross_attention"),
    )
    for attention, asks, answers, bias, name in rows:
        queries, (keys, _) = attention.query(asks), attention.keys_and_values(answers)
        scores = queries @ keys.transpose(2, 3) / queries.shape[-1] ** 0.5 + bias
        assert relative_error(scores.softmax(-1), expected[f"{name}.weights"]) < 1e-4


def test_the_first_frame_is_the_style_alone(shared: Path) -> None:
    _, given, expected = numbers(shared, "decoder-vocaset")
    network = network_of(shared, "decoder-vocaset")
    first = predicted(network, given)[:, 0] - given["template"]
    theirs = network.expression_decoder(expected["decoder_output_first_step"][:, 0])
    assert relative_error(first, theirs.detach()) < 1e-4


@pytest.mark.parametrize("changes", [{"period": 5}, {"heads": 2}, {"per_frame": 2}])
def test_a_wrong_setting_is_noticed(shared: Path, changes: dict[str, int]) -> None:
    _, given, expected = numbers(shared, "decoder-vocaset")
    ours = predicted(network_of(shared, "decoder-vocaset", **changes), given)
    frames = ours.shape[1]
    assert relative_error(ours, expected["prediction"][:, :frames]) > 1e-3


def test_a_missing_bias_is_noticed(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, given, expected = numbers(shared, "decoder-vocaset")
    network = network_of(shared, "decoder-vocaset")
    monkeypatch.setattr(network, "_bias", lambda queries, keys: torch.zeros(4, len(queries), len(keys)))
    assert relative_error(predicted(network, given), expected["prediction"]) > 1e-3


def test_the_period_is_that_of_the_table(shared: Path) -> None:
    weights, path = weights_of(shared, "decoder-vocaset"), Path("vocaset.pth")
    with pytest.raises(WeightsDamaged, match="period 5"):
        from_official_names(weights, path, per_frame=1, period=5)
    # 630 rows have room for whole periods of 30 and of 42
    for period in (30, 42):
        weights["PPE.pe"] = periodic_positions(torch.arange(630), 16, period)[None]
        assert from_official_names(weights, path, per_frame=1)[0].period == period


def test_what_is_no_checkpoint_is_refused(shared: Path) -> None:
    weights, path = weights_of(shared, "decoder-vocaset"), Path("vocaset.pth")
    mapped = "vertice_map.weight"
    broken: dict[str, dict[str, Any]] = {
        "is missing": {"conv.weight": torch.zeros(1)},
        "'vertice_map_r.bias' is missing": {n: t for n, t in weights.items() if n != "vertice_map_r.bias"},
        "'PPE.pe' is missing": {n: t for n, t in weights.items() if n != "PPE.pe"},
        "layers.0.linear1.weight' is missing": {
            n: t for n, t in weights.items() if not n.startswith("transformer_decoder")
        },
        "'transformer_decoder.norm.weight' is not part": {
            **weights,
            "transformer_decoder.norm.weight": torch.ones(16),
        },
        "NaN": {**weights, mapped: torch.full_like(weights[mapped], torch.nan)},
        "no tensor": {**weights, mapped: "text"},
        "expected two numbers": {**weights, mapped: torch.zeros(16)},
        "positions of period 4": {**weights, "PPE.pe": weights["PPE.pe"] + torch.arange(604)[:, None] * 1e-3},
        "has shape": {**weights, "PPE.pe": weights["PPE.pe"][..., :8]},
    }
    for message, state in broken.items():
        with pytest.raises(WeightsDamaged, match=message):
            from_official_names(state, path, per_frame=1, period=4)
    with pytest.raises(BadValue, match="heads"):
        from_official_names(weights, path, per_frame=1, heads=3)


def test_tensors_of_another_shape_do_not_fit(shared: Path) -> None:
    weights = weights_of(shared, "decoder-vocaset")
    weights["transformer_decoder.layers.0.linear2.weight"] = torch.zeros(16, 31)
    config, tensors = from_official_names(weights, Path("vocaset.pth"), per_frame=1)
    with pytest.raises(WeightsDamaged, match=r"decoder\.0\.linear2\.weight"):
        without_encoder(config, tensors)


def test_all_names_but_encoder_and_positions_are_told(shared: Path) -> None:
    for case in PER_FRAME:
        assert set(official_names(1)) | {"PPE.pe"} == set(weights_of(shared, case))


def test_a_whole_checkpoint_with_its_encoder(shared: Path) -> None:
    """FaceFormer's files hold wav2vec 2.0 base in the names of an older PyTorch."""
    transformers = pytest.importorskip("transformers", reason="no transformers: pip install transformers")
    sizes = {"hidden_size": 768, "num_hidden_layers": 1, "intermediate_size": 3072}
    model = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**sizes))
    older = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    heard = dict(model.state_dict())
    for new, old in older.items():
        heard[f"encoder.pos_conv_embed.conv.{old}"] = heard.pop(f"encoder.pos_conv_embed.conv.{new}")
    assert "masked_spec_embed" in heard
    weights = {f"audio_encoder.{name}": tensor for name, tensor in heard.items()}
    weights |= weights_of(shared, "decoder-biwi")
    config, tensors = from_official_names(weights, Path("biwi.pth"), per_frame=2)
    assert (config.encoder_layers, config.encoder_heads) == (1, 12)
    network = ContextualTransformer(config)
    fill(network, tensors, Path("biwi.pth"))
    with torch.no_grad():
        said = network.eval()(torch.randn(1, 3200), torch.zeros(1, 6))
    assert said.shape == (1, 5, 12)
    del weights["audio_encoder.feature_projection.projection.bias"]
    with pytest.raises(WeightsDamaged, match=r"feature_projection\.projection\.bias' is missing"):
        fill(network, from_official_names(weights, Path("biwi.pth"), per_frame=2)[1], Path("biwi.pth"))
