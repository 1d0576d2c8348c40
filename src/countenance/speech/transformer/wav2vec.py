"""wav2vec 2.0 (Baevski et al. 2020) as the encoder, its features brought to the video's rate (PIR, Supp. 1.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from countenance.audio.features import FPS
from countenance.audio.samples import RATE
from countenance.errors import DependencyMissing, WeightsDamaged, WeightsMissing
from countenance.speech.transformer.config import TransformerConfig
from countenance.stored.content import Malformed, reason_of
from countenance.stored.safetensors_file import read_safetensors
from countenance.weights.assets import assets_folder
from countenance.weights.published import published_tensors

FOLDER = "wav2vec2-large-960h"
SOURCE = "huggingface.co/facebook/wav2vec2-large-960h (Apache-2.0)"
_SAFE, _PICKLED = "model.safetensors", "pytorch_model.bin"
_NORMED = re.compile(r"(pos_conv_embed\.conv)\.weight_([gv])$")
_NEWER = {"g": "original0", "v": "original1"}


class Wav2VecEncoder(nn.Module):
    """Samples -> one vector a video frame (or ``per_frame`` of them).

    Its convolutions give 50 features a second. They are interpolated to the video's rate before the transformer, end
    points kept. The names of its weights are those of ``transformers.Wav2Vec2Model``.

    All but the sizes is as in facebook/wav2vec2-large-960h (Baevski et al. 2020): group norm after the first
    convolution, convolutions without bias, layer norm after each block. With the published sizes, 1024 wide, 24
    blocks, 16 heads and 4096 in between, it is that network. facebook/wav2vec2-base-960h, on which FaceFormer is
    built, is the same with 768, 12, 12 and 3072. Nothing is masked in training.

    Args:
        config: of the whole network.

    Raises:
        DependencyMissing: transformers.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        try:
            from transformers import Wav2Vec2Config, Wav2Vec2Model
        except ImportError:
            raise DependencyMissing("transformers", "wav2vec", "wav2vec 2.0") from None
        self.rate = FPS * config.per_frame
        self.model: Any = Wav2Vec2Model(
            Wav2Vec2Config(
                hidden_size=config.audio_width,
                num_hidden_layers=config.encoder_layers,
                num_attention_heads=config.encoder_heads,
                intermediate_size=4 * config.audio_width,
                feat_extract_norm="group",
                conv_bias=False,
                do_stable_layer_norm=False,
                apply_spec_augment=False,
                mask_time_prob=0.0,
                mask_feature_prob=0.0,
            )
        )

    def forward(self, samples: Tensor) -> Tensor:
        """(B, N) in [-1, 1] at 16 kHz -> (B, T, audio_width), T = N / 640 at 25 frames a second times per_frame."""
        heard = self.model.feature_extractor(levelled(samples))
        count = max(1, round(samples.shape[1] / RATE * self.rate))
        features = at_video_rate(heard.transpose(1, 2), count)
        projected, _ = self.model.feature_projection(features)
        return self.model.encoder(projected).last_hidden_state  # type: ignore[no-any-return]


def levelled(samples: Tensor) -> Tensor:
    """(B, N) -> mean 0 and spread 1, as ``transformers.Wav2Vec2FeatureExtractor`` does it; near silence stays quiet."""
    variance, mean = torch.var_mean(samples, 1, correction=0, keepdim=True)
    return (samples - mean) / (variance + 1e-7).sqrt()


def at_video_rate(features: Tensor, count: int) -> Tensor:
    """(B, S, C) -> (B, count, C), linearly between neighbours; the first and last stay where they are."""
    resampled = F.interpolate(features.transpose(1, 2), count, mode="linear", align_corners=True)
    return resampled.transpose(1, 2)


def published_length(features: int, rate_in: float, rate_out: float) -> int:
    """How many frames FaceFormer's code makes of so many features: seconds times rate, cut off."""
    return int(features / rate_in * rate_out)


def pretrained_encoder(folder: Path | None = None) -> dict[str, Tensor]:
    """Weights for ``Wav2VecEncoder.model`` from the published file, with or without the layers that read letters.

    Args:
        folder: holds model.safetensors or pytorch_model.bin; in the assets' folder by default.

    Raises:
        WeightsMissing: with where to get them.
        WeightsDamaged: they can't be read.
    """
    folder = folder or assets_folder() / FOLDER
    if (folder / _SAFE).is_file():
        state = _safetensors(folder / _SAFE)
    elif (folder / _PICKLED).is_file():
        state = published_tensors(folder / _PICKLED, f"get it again from {SOURCE}")
    else:
        fix = f"get {_SAFE} (or {_PICKLED}) from {SOURCE} and save it in {folder}"
        raise WeightsMissing(FOLDER, fix)
    inner = {n.removeprefix("wav2vec2."): t for n, t in state.items() if not n.startswith("lm_head.")}
    return renamed_encoder(inner)


def renamed_encoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state of ``Wav2Vec2Model`` in the names of today's PyTorch, float32.

    The weight norm of the positional convolution has other names in older files: ``weight_g`` and ``weight_v``. The
    vector that stands for what is masked is dropped, since nothing is.
    """
    return {
        _NORMED.sub(lambda m: f"{m[1]}.parametrizations.weight.{_NEWER[m[2]]}", name): tensor.float()
        for name, tensor in state.items()
        if name != "masked_spec_embed"
    }


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return {name: torch.from_numpy(array) for name, array in read_safetensors(path).arrays.items()}
    except (Malformed, OSError) as error:
        raise WeightsDamaged(path, reason_of(error)) from error
