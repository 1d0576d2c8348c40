"""Training the flows from speech to motion by their likelihood (PIRenderer, D.2, Eq. 14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from countenance.arrays import Floats, Image
from countenance.data.dataset import Dataset
from countenance.data.speech_clips import spoken_clips
from countenance.data.speech_samples import SoundAugmentation, SpeechSample, SpeechSampler
from countenance.motion.spaces import get_space
from countenance.speech.curves import curve_sheet
from countenance.speech.expression_loss import ExpressionLoss
from countenance.speech.flow import config as sizes
from countenance.speech.flow.config import TalkFlowConfig
from countenance.speech.flow.talk import Moved, TalkFlow
from countenance.training.recipe import DEBUG_LOOP, Batch, DatasetNeeds, LoopConfig, Losses
from countenance.weights.weight_files import save_weights

MODEL = "talk-flow"
_LEAST_SPREAD = 0.01


@dataclass(frozen=True)
class TalkFlowRecipe:
    """A complete training configuration.

    Attributes:
        network: sizes.
        loop: steps, batch, optimiser ...
        frames: length of a training sequence.
        sound: how far the sound is changed; None as recorded.
        blur: spread of the noise that is added to normalised motion. Trackers give many coefficients as exact zeros,
            on which a density would grow without limit.
        loss: weights of the squared error of the likeliest expression, where the network has one. Not in the paper.
    """

    network: TalkFlowConfig
    loop: LoopConfig
    frames: int = 100
    sound: SoundAugmentation | None = None
    blur: float = 0.05
    loss: ExpressionLoss = field(default_factory=ExpressionLoss)
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

    def build(self, dataset: Dataset) -> TalkFlow:
        """The untrained network; see :class:`countenance.training.recipe.Recipe`."""
        config = self.network
        self.needs.check(dataset)
        network = TalkFlow(config)
        clips = [clip.motion for clip in spoken_clips(dataset)]
        motion = np.concatenate(clips)[:, : config.expressions]
        network.mean.copy_(torch.from_numpy(motion.mean(0)))
        network.basis.copy_(torch.from_numpy(_components(motion, config.components)))
        poses = [clip[:, config.expressions :] for clip in clips]
        translations = [pose[:, 3:] - pose[:1, 3:] for pose in poses]
        spread = np.concatenate([np.concatenate(poses)[:, :3].std(0), np.concatenate(translations).std(0)])
        network.pose_scale.copy_(torch.from_numpy(np.maximum(spread, 1e-3)))
        return network

    def constrain(self, network: nn.Module) -> None:
        """Nothing is constrained."""

    def sampler(self, dataset: Dataset) -> SpeechSampler:
        """Stretches of clips in which somebody speaks."""
        space = get_space(dataset.space)
        return SpeechSampler(spoken_clips(dataset), space, self.frames, self.loop.seed, self.sound)

    def batch(self, items: list[SpeechSample]) -> Batch:
        """``sound`` (B, T, WIDTH), ``motion`` (B, T, D)."""
        return {
            "sound": torch.from_numpy(np.stack([item.log_mel for item in items])),
            "motion": torch.from_numpy(np.stack([item.motion for item in items])),
        }

    def losses(self, network: nn.Module, batch: Batch, step: int, critic: nn.Module | None = None) -> Losses:
        """L_nll of both flows."""
        inner: Any = getattr(network, "module", network)
        moved = inner.normalised(batch["motion"])
        blurred = Moved(*(values + self.blur * torch.randn_like(values) for values in moved))
        expression, pose, likeliest = network(blurred, batch["sound"])
        terms = {"expression_nll": expression.mean(), "pose_nll": pose.mean()}
        if self.network.heard:
            error = (
                (likeliest - moved.expression)
                @ inner.basis
                / inner.basis.square().sum(0).sqrt().clamp(min=_LEAST_SPREAD)
            )
            terms |= self.loss.terms(error, get_space(self.network.space), torch.ones(len(error)))
        return Losses({**terms, "total": torch.stack(list(terms.values())).sum()})

    def sheet(self, network: nn.Module, batch: Batch) -> Image:
        """Curves of the truth and of one sample."""
        count = self.network.expressions
        made = self._sampled(network, batch)  # type: ignore[arg-type]
        truth = batch["motion"][:4, :, :count]
        return curve_sheet(
            get_space(self.network.space), truth.cpu().numpy(), made[:, :, :count].float().cpu().numpy()
        )

    @torch.no_grad()
    def _sampled(self, network: TalkFlow, batch: Batch) -> Tensor:
        moved = network.normalised(batch["motion"][:4])
        heard = network.hear(batch["sound"][:4])
        state = network.begin(Moved(*(values[:, :1] for values in moved)), heard.at(0))
        frames = []
        for t in range(batch["sound"].shape[1]):
            noise = Moved(*(torch.randn_like(values[:, :1]) for values in moved))
            frames.append(network.sample(heard.at(t), noise, state))
        return network.restored(Moved(*(torch.cat(column, 1) for column in zip(*frames, strict=True))))

    def export(self, network: nn.Module, path: Path, notes: Mapping[str, Any]) -> None:
        """Weights for :mod:`countenance.speech.flow.driver`, fp16."""
        save_weights(path, network, MODEL, self.network, notes, half=True)


def _components(motion: Floats, count: int) -> Floats:
    """(K, C) directions of largest spread, each as long as the spread; the coefficients themselves if count is 0."""
    if count == 0:
        return np.asarray(np.diag(np.maximum(motion.std(0), _LEAST_SPREAD)), np.float32)
    _, lengths, directions = np.linalg.svd(motion - motion.mean(0), full_matrices=False)
    spread = np.maximum(lengths[:count] / np.sqrt(len(motion)), _LEAST_SPREAD)
    return np.asarray(spread[:, None] * directions[:count], np.float32)


def paper() -> TalkFlowRecipe:
    """As published, as far as the paper says: K, k and tau; it gives no width, rate, batch or length."""
    return TalkFlowRecipe(
        network=sizes.paper(), loop=LoopConfig(steps=100_000, batch_size=20, learning_rate=1e-4, clip=1.0)
    )


def lite() -> TalkFlowRecipe:
    """The shipped weights: minutes of speech, minutes of training."""
    loop = LoopConfig(
        steps=400,
        batch_size=16,
        learning_rate=2e-3,
        milestones=(200, 300),
        gamma=0.3,
        betas=(0.9, 0.99),
        ema_decay=0.98,
        clip=1.0,
    )
    return TalkFlowRecipe(
        network=sizes.lite(),
        loop=loop,
        frames=32,
        sound=SoundAugmentation(),
        blur=0.2,
        loss=ExpressionLoss(lips_weight=8.0, offset_weight=0.1),
    )


def debug() -> TalkFlowRecipe:
    """Seconds, for tests."""
    loop = DEBUG_LOOP
    return TalkFlowRecipe(network=sizes.debug(), loop=loop, frames=12, sound=SoundAugmentation())


PRESETS = {"paper": paper, "lite": lite, "debug": debug}
