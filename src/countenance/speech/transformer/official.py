"""FaceFormer's checkpoints in our names (Fan et al., CVPR 2022, github EvelynFan/FaceFormer).

The weights of PIR's own transformer are not published; FaceFormer is the network that it follows (PIR, Supp. 1.1).
Container: ``vocaset.pth`` and ``biwi.pth`` are state dicts. What the network says are offsets of vertices from the
person's mesh at rest, in the mesh's unit; that mesh is added outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from countenance.errors import WeightsDamaged
from countenance.speech.transformer.attention import periodic_positions
from countenance.speech.transformer.config import TransformerConfig
from countenance.speech.transformer.wav2vec import renamed_encoder
from countenance.weights.published import state_of

SPACE = "vertices"
"""Stands where a motion space's name would: there is none of this name."""

_FIX = "give vocaset.pth or biwi.pth of FaceFormer's authors"
_ENCODER = "audio_encoder."
_POSITIONS = "PPE.pe"
_EXACT = 1e-4  # what float32 leaves of angles up to p
_OUTER = {
    "audio_feature_map": "audio_projection",
    "vertice_map": "expression_encoder",
    "vertice_map_r": "expression_decoder",
}
_SIZES = (
    "audio_feature_map.weight",
    "vertice_map.weight",
    "vertice_map_r.weight",
    "obj_vector.weight",
    "transformer_decoder.layers.0.linear1.weight",
)
_BLOCK = tuple(
    f"{attention}.{part}"
    for attention in ("self_attn", "multihead_attn")
    for part in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
) + tuple(
    f"{layer}.{part}"
    for layer in ("linear1", "linear2", "norm1", "norm2", "norm3")
    for part in ("weight", "bias")
)


def from_official_names(
    state: Mapping[str, Tensor], path: Path, *, per_frame: int, heads: int = 4, period: int | None = None
) -> tuple[TransformerConfig, dict[str, Tensor]]:
    """Sizes and weights of a published state dict.

    :func:`countenance.weights.weight_files.fill` puts them into a ``ContextualTransformer`` of these sizes. A state
    dict without the audio encoder gives weights without it.

    Args:
        state: in the authors' names.
        path: where it is from, for messages.
        per_frame: vectors of sound a video frame: 1 for vocaset, 2 for BIWI.
        heads: of the decoder's attention, which no shape tells; 4 in the published files.
        period: p; read off the table of positions if None.

    Raises:
        WeightsDamaged: other names than those of the network, NaN, or positions that are not those of ``period``.
        BadValue: ``heads`` does not divide the width.
    """
    names = official_names(_count(state, "transformer_decoder.layers."))
    _check(state, names, path)
    sound, expression, said, speaker, inner = (state[name].shape for name in _SIZES)
    config = TransformerConfig(
        hearing="wav2vec2",
        space=SPACE,
        outputs=said[0],
        style=speaker[1],
        width=expression[0],
        heads=heads,
        layers=_count(state, "transformer_decoder.layers."),
        feed_forward=inner[0],
        encoder_layers=_count(state, f"{_ENCODER}encoder.layers."),
        encoder_heads=max(1, sound[1] // 64),  # all of wav2vec 2.0's published sizes have heads of 64
        audio_width=sound[1],
        period=_checked_period(state[_POSITIONS], expression[0], period, path),
        per_frame=per_frame,
    )
    heard = {n.removeprefix(_ENCODER): t for n, t in state.items() if n.startswith(_ENCODER)}
    tensors = {
        **{ours: state[theirs].float() for theirs, ours in names.items()},
        **{f"encoder.model.{name}": tensor for name, tensor in renamed_encoder(heard).items()},
        "mean": torch.zeros(config.outputs),  # theirs is not normalised
        "scale": torch.ones(config.outputs),
    }
    return config, tensors


def official_names(layers: int) -> dict[str, str]:
    """Our name for each of theirs, all but the audio encoder and the table of positions.

    Args:
        layers: decoder blocks.
    """
    outer = {f"{theirs}.{p}": f"{ours}.{p}" for theirs, ours in _OUTER.items() for p in ("weight", "bias")}
    blocks = {
        f"transformer_decoder.layers.{n}.{name}": f"decoder.{n}.{name}"
        for n in range(layers)
        for name in _BLOCK
    }
    return {**outer, "obj_vector.weight": "style_embedding.weight", **blocks}


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbers follow ``prefix`` in the names."""
    return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})


def _check(state: Mapping[str, Tensor], names: Mapping[str, str], path: Path) -> None:
    state_of(state, path, _FIX)
    wanted = {*names, _POSITIONS, *_SIZES}
    if missing := sorted(wanted - set(state)):
        raise WeightsDamaged(path, f"'{missing[0]}' is missing", _FIX)
    for name, tensor in state.items():
        if name not in wanted and not name.startswith(_ENCODER):
            raise WeightsDamaged(path, f"'{name}' is not part of FaceFormer", _FIX)
        if name in _SIZES and tensor.dim() != 2:
            raise WeightsDamaged(
                path, f"'{name}' has shape {tuple(tensor.shape)}, expected two numbers", _FIX
            )


def _checked_period(table: Tensor, width: int, period: int | None, path: Path) -> int:
    """p of a (1, L, d) table that holds the positions of Eq. 1; we compute them, so it is not kept.

    L is p (floor(600 / p) + 1), which does not tell p: 630 frames are right for 30, 35, 42 and more. Where the first
    row comes again does.
    """
    if table.shape[2:] != (width,) or width % 2 or not table.numel():
        reason = f"'{_POSITIONS}' has shape {tuple(table.shape)}, expected (1, L, {width}) and even"
        raise WeightsDamaged(path, reason, _FIX)
    rows, count = table[0].float(), table.shape[1]
    if period is None:
        again = torch.isclose(rows[1:], rows[:1], atol=_EXACT).all(1).nonzero()
        period = int(again[0]) + 1 if len(again) else count
    expected = periodic_positions(torch.arange(count), width, period)
    if count % period or not torch.allclose(rows, expected, rtol=0, atol=_EXACT):
        raise WeightsDamaged(path, f"'{_POSITIONS}' does not hold the positions of period {period}", _FIX)
    return period
