"""Training the contextual transformer: mean squared error of the expression (PIR, Sec. 4.1 and Supp. 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from countenance.arrays import Image
from countenance.data.dataset import Dataset
from countenance.data.speech_clips import spoken_clips
from countenance.data.speech_samples import SoundAugmentation, SpeechSample, SpeechSampler
from countenance.motion.spaces import get_space
from countenance.speech.curves import curve_sheet
from countenance.speech.expression_loss import ExpressionLoss
from countenance.speech.spoken_text import spoken_text_clips
from countenance.speech.transformer import config as sizes
from countenance.speech.transformer.config import TransformerConfig
from countenance.speech.transformer.network import ContextualTransformer
from countenance.speech.transformer.wav2vec import pretrained_encoder
from countenance.training.recipe import DEBUG_LOOP, Batch, DatasetNeeds, LoopConfig, Losses
from countenance.weights.weight_files import fill, save_weights

MODEL = "talk-transformer"
_LEAST_SPREAD = 0.02  # of a coefficient: what hardly ever moves must not be blown up


@dataclass(frozen=True)
class TransformerRecipe:
    """A complete training configuration.

    Attributes:
        network: sizes.
        loop: steps, batch, optimiser ...
        frames: k, length of a training sequence (Supp. Tab. 1 compares 1, 10, 50, 100 and 200).
        sound: how far the sound is changed; None as recorded.
        spoken_share: samples whose lips move by rule, from text read by a synthetic voice. Not in the paper.
        loss: weights of the squared error.
        no_style: share of samples that do not say who speaks, so that the network can do without.
    """

    network: TransformerConfig
    loop: LoopConfig
    frames: int = 100
    sound: SoundAugmentation | None = None
    spoken_share: float = 0.0
    loss: ExpressionLoss = field(default_factory=ExpressionLoss)
    no_style: float = 0.0
    item_size: int = field(default=1, init=False)
    adversary: None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """Model, and a digest of what must not change in a resumed run."""
        digest = sha256(repr(asdict(self.network)).encode()).hexdigest()[:8]
        return f"{MODEL}-{digest}"

    @property
    def needs(self) -> DatasetNeeds:
        """Stretches in which somebody speaks."""
        return DatasetNeeds(self.network.space, frames=self.frames, speech=True)

    def build(self, dataset: Dataset) -> ContextualTransformer:
        """The untrained network; see :class:`countenance.training.recipe.Recipe`."""
        self.needs.check(dataset)
        network = ContextualTransformer(self.network)
        motion = np.concatenate([clip.motion for clip in spoken_clips(dataset)])[:, : self.network.outputs]
        network.mean.copy_(torch.from_numpy(motion.mean(0)))
        network.scale.copy_(torch.from_numpy(np.maximum(motion.std(0), _LEAST_SPREAD)))
        if self.network.hearing == "wav2vec2":
            state = pretrained_encoder()
            fill(network.encoder.model, state, Path("wav2vec 2.0"))  # type: ignore[arg-type]
            network.encoder.model.freeze_feature_encoder()  # type: ignore[union-attr, operator]
        return network

    def constrain(self, network: nn.Module) -> None:
        """Nothing is constrained."""

    def sampler(self, dataset: Dataset) -> SpeechSampler:
        """Stretches of clips in which somebody speaks, and of spoken text."""
        spoken = spoken_text_clips() if self.spoken_share else []
        return SpeechSampler(
            spoken_clips(dataset),
            get_space(dataset.space),
            self.frames,
            self.loop.seed,
            self.sound,
            spoken=spoken,
            spoken_share=self.spoken_share,
        )

    def batch(self, items: list[SpeechSample]) -> Batch:
        """``sound``, ``motion`` (B, T, outputs), ``style`` (B, style), ``real`` (B,)."""
        outputs = self.network.outputs
        sounds = [item.log_mel if self.network.hearing == "log-mel" else item.samples for item in items]
        return {
            "sound": torch.from_numpy(np.stack(sounds)),
            "motion": torch.from_numpy(np.stack([item.motion[:, :outputs] for item in items])),
            "style": torch.from_numpy(np.stack([item.style[:outputs] for item in items])),
            "real": torch.tensor([item.real for item in items]),
        }

    def losses(self, network: nn.Module, batch: Batch, step: int, critic: nn.Module | None = None) -> Losses:
        """L_mse; on spoken text of the lips only, since the rest of the face is somebody else's."""
        inner: Any = getattr(network, "module", network)
        truth = (batch["motion"] - inner.mean) / inner.scale
        predicted = network(batch["sound"], self._style(inner, batch, training=network.training))
        terms = self.loss.terms(predicted - truth, get_space(self.network.space), batch["real"])
        return Losses({**terms, "total": torch.stack(list(terms.values())).sum()})

    def _style(self, network: ContextualTransformer, batch: Batch, *, training: bool) -> Tensor:
        style = (batch["style"] - network.mean) / network.scale
        if not (training and self.no_style):
            return style
        known = torch.rand(len(style), 1, device=style.device) >= self.no_style
        return style * known

    def sheet(self, network: nn.Module, batch: Batch) -> Image:
        """Curves of the truth and of what the network says."""
        with torch.no_grad():
            style = self._style(network, batch, training=False)  # type: ignore[arg-type]
            predicted = network(batch["sound"], style) * network.scale + network.mean
        return curve_sheet(
            get_space(self.network.space),
            batch["motion"].cpu().numpy()[:4],
            predicted.float().cpu().numpy()[:4],
        )

    def export(self, network: nn.Module, path: Path, notes: Mapping[str, Any]) -> None:
        """Weights for :mod:`countenance.speech.transformer.driver`, fp16."""
        save_weights(path, network, MODEL, self.network, notes, half=True)


def paper() -> TransformerRecipe:
    """The published configuration: 120 epochs in sequences of 100 frames. Adam's settings are FaceFormer's."""
    return TransformerRecipe(
        network=sizes.paper(),
        loop=LoopConfig(steps=100_000, batch_size=2, learning_rate=1e-4, betas=(0.9, 0.999)),
    )


def lite() -> TransformerRecipe:
    """The shipped weights: minutes of speech, minutes of training."""
    loop = LoopConfig(
        steps=500,
        batch_size=16,
        learning_rate=2e-3,
        milestones=(250, 400),
        gamma=0.3,
        betas=(0.9, 0.98),
        ema_decay=0.98,
        clip=1.0,
    )
    return TransformerRecipe(
        network=sizes.lite(),
        loop=loop,
        frames=32,
        sound=SoundAugmentation(),
        loss=ExpressionLoss(lips_weight=8.0, offset_weight=0.1),
        no_style=0.5,
    )


def debug() -> TransformerRecipe:
    """Seconds, for tests."""
    loop = DEBUG_LOOP
    return TransformerRecipe(
        network=sizes.debug(),
        loop=loop,
        frames=12,
        sound=SoundAugmentation(),
        loss=ExpressionLoss(change_weight=0.5),
        no_style=0.5,
    )


PRESETS = {"paper": paper, "lite": lite, "debug": debug}
