"""wav2vec 2.0 (Baevski et al. 2020) as the encoder, its features brought to the video's rate (PIR, Supp. 1.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from countenance.audio.features import FPS
from countenance.audio.samples import RATE
from countenance.errors import DependencyMissing, WeightsDamaged, WeightsMissing
from countenance.speech.transformer.config import TransformerConfig
from countenance.weights.assets import assets_folder

FOLDER = "wav2vec2-large-960h"
SOURCE = "huggingface.co/facebook/wav2vec2-large-960h (Apache-2.0)"
_FILES = ("config.json", "model.safetensors")


class Wav2VecEncoder(nn.Module):
    """Samples -> one vector a video frame (or ``per_frame`` of them).

    Its convolutions give 50 features a second. They are interpolated to the video's rate before the transformer, end
    points kept. The names of its weights are those of ``transformers.Wav2Vec2Model``.

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
                apply_spec_augment=False,
            )
        )

    def forward(self, samples: Tensor) -> Tensor:
        """(B, N) in [-1, 1] at 16 kHz -> (B, T, audio_width), T = N / 640 at 25 frames a second."""
        spread = samples.std(1, keepdim=True).clamp(min=1e-7)
        heard = self.model.feature_extractor((samples - samples.mean(1, keepdim=True)) / spread)
        count = max(1, round(samples.shape[1] / RATE * self.rate))
        features = at_video_rate(heard.transpose(1, 2), count)
        projected, _ = self.model.feature_projection(features)
        return self.model.encoder(projected).last_hidden_state  # type: ignore[no-any-return]


def at_video_rate(features: Tensor, count: int) -> Tensor:
    """(B, S, C) -> (B, count, C), linearly between neighbours; the first and last stay where they are."""
    resampled = F.interpolate(features.transpose(1, 2), count, mode="linear", align_corners=True)
    return resampled.transpose(1, 2)


def published_length(features: int, rate_in: float, rate_out: float) -> int:
    """How many frames FaceFormer's code makes of so many features: seconds times rate, cut off."""
    return int(features / rate_in * rate_out)


def pretrained_encoder(folder: Path | None = None) -> dict[str, Tensor]:
    """State of ``transformers.Wav2Vec2Model`` from the published files.

    Args:
        folder: holds config.json and model.safetensors; in the assets' folder by default.

    Raises:
        WeightsMissing: with where to get them.
        WeightsDamaged: they can't be read.
    """
    folder = folder or assets_folder() / FOLDER
    for name in _FILES:
        if not (folder / name).is_file():
            raise WeightsMissing(FOLDER, f"get {name} from {SOURCE} and save it as {folder / name}")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError) as error:
        raise WeightsDamaged(folder / "model.safetensors", str(error)) from error
    return {
        name.removeprefix("wav2vec2."): tensor.to(torch.float32)
        for name, tensor in tensors.items()
        if not name.startswith("lm_head.")
    }
