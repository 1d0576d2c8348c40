"""The two flows as one model: speech -> expression and pose (PIRenderer, D.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from countenance.speech.flow.config import TalkFlowConfig
from countenance.speech.flow.network import ConditionalFlow, Memory, previous, windows
from countenance.speech.sound_encoder import LogMelEncoder

_HEADS = 4
FARTHEST = 4.0  # spreads from the mean: a sample beyond is held there, so that the next one can come back


class Moved(NamedTuple):
    """Motion as the flows see it: normalised, all channels of spread about 1.

    Attributes:
        expression: (B, T, C1).
        pose: (B, T, 6).
    """

    expression: Tensor
    pose: Tensor


class Heard(NamedTuple):
    """Sound, frame by frame.

    Attributes:
        windows: (B, T, (k + 1 + tau) F), a_(i-k) .. a_(i+tau).
        likeliest: (B, T, C1) the expression that goes with it most; 0 where nothing was learnt of that.
    """

    windows: Tensor
    likeliest: Tensor

    def at(self, frame: int) -> Heard:
        """One frame."""
        return Heard(self.windows[:, frame : frame + 1], self.likeliest[:, frame : frame + 1])


@dataclass(eq=False)
class Performance:
    """Where a sequence that is being sampled stands; one for each flow.

    Attributes:
        recent: (B, k, C) the last k frames, less the likeliest expression.
        initial: (B, C) the first one.
        memories: of the LSTMs.
    """

    recent: Tensor
    initial: Tensor
    memories: list[Memory] | None = field(default=None)


class SoundReader(nn.Module):
    """Learnt features of sound, and the expression that they make likeliest. Not in the paper."""

    def __init__(self, config: TalkFlowConfig) -> None:
        super().__init__()
        self.encoder = LogMelEncoder(config.encoder, _HEADS, 1, config.dropout)
        self.features = nn.Linear(config.encoder, config.heard)
        self.likeliest = nn.Linear(config.heard, config.expression.channels)

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, WIDTH) -> features (B, T, heard), expression (B, T, C1)."""
        features = self.features(self.encoder(sound))
        return features, self.likeliest(features)


class TalkFlow(nn.Module):
    """f_theta1 and f_theta2, and what leads from a motion space's own units to theirs.

    Args:
        config: sizes and options.
    """

    mean: Tensor
    basis: Tensor
    pose_scale: Tensor

    def __init__(self, config: TalkFlowConfig) -> None:
        super().__init__()
        self.config = config
        self.reader = SoundReader(config) if config.heard else None
        self.expression = ConditionalFlow(config.expression, config.condition(config.expression))
        self.pose = ConditionalFlow(config.pose, config.condition(config.pose))
        self.dropout = nn.Dropout(config.dropout)
        channels = config.expression.channels
        self.register_buffer("mean", torch.zeros(config.expressions))
        self.register_buffer("basis", torch.eye(channels, config.expressions))
        self.register_buffer("pose_scale", torch.ones(6))

    def normalised(self, motion: Tensor) -> Moved:
        """Motion (B, T, D) of the space -> what the flows see.

        Poses count relative to the first frame's position and size, since these depend on the crop.

        Args:
            motion: expression first, then rotation (3) and translation (3).
        """
        count = self.config.expressions
        inverse = torch.linalg.pinv(self.basis)
        expression = (motion[..., :count] - self.mean) @ inverse
        pose = motion[..., count:]
        pose = torch.cat([pose[..., :3], pose[..., 3:] - pose[:, :1, 3:]], -1)
        return Moved(expression, pose / self.pose_scale)

    def restored(self, moved: Moved) -> Tensor:
        """(B, T, D); undoes :meth:`normalised` as far as the components go, its translation relative to the start."""
        expression = moved.expression @ self.basis + self.mean
        return torch.cat([expression, moved.pose * self.pose_scale], -1)

    def forward(self, motion: Moved, sound: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Negative log-likelihoods of expression and pose, each (B, T), nats a channel; and the likeliest expression.

        Subtracting the likeliest expression is one more invertible step, of determinant 1.

        Args:
            motion: of a sequence; its first frame stands for the source image.
            sound: (B, T, sound) features.
        """
        heard = self._calmly_heard(sound)
        found = []
        rest = motion.expression - heard.likeliest
        for flow, values in ((self.expression, rest), (self.pose, motion.pose)):
            first = values[:, 0]
            parts = [self.dropout(previous(values, self.config.past, first)), self.dropout(heard.windows)]
            if flow.config.initial:
                parts.append(first[:, None].expand(-1, values.shape[1], -1))
            found.append(flow.negative_log_likelihood(values, torch.cat(parts, -1)))
        return found[0], found[1], self.hear(sound).likeliest

    def hear(self, sound: Tensor) -> Heard:
        """(B, T, sound) -> windows of sound and the likeliest expression."""
        config = self.config
        if self.reader is None:
            features, likeliest = sound, sound.new_zeros(*sound.shape[:2], config.expression.channels)
        else:
            features, likeliest = self.reader(sound)
        return Heard(windows(features, config.past, config.ahead), likeliest)

    @torch.no_grad()
    def _calmly_heard(self, sound: Tensor) -> Heard:
        """What the flows build on: without dropout, as in use, and learnt from the squared error only."""
        training = self.training
        if self.reader is not None:
            self.reader.eval()
        heard = self.hear(sound)
        if self.reader is not None:
            self.reader.train(training)
        return heard

    def begin(self, first: Moved, heard: Heard) -> tuple[Performance, Performance]:
        """Before the first frame of a sequence: all motions before it are ``first`` (D.2).

        Args:
            first: (B, 1, C) each.
            heard: of the sequence's first frame.
        """
        started = []
        for values in (first.expression - heard.likeliest, first.pose):
            started.append(Performance(values.expand(-1, self.config.past, -1), values[:, 0]))
        return started[0], started[1]

    def sample(self, heard: Heard, noise: Moved, state: tuple[Performance, Performance]) -> Moved:
        """The next frame, (B, 1, C) each; ``state`` moves on.

        Args:
            heard: one frame of :meth:`hear`.
            noise: from a normal distribution, (B, 1, C) each.
            state: of :meth:`begin`.
        """
        frames = []
        for flow, drawn, now in zip((self.expression, self.pose), noise, state, strict=True):
            parts = [now.recent.flatten(1)[:, None], heard.windows]
            if flow.config.initial:
                parts.append(now.initial[:, None])
            frame, now.memories = flow.inverse(drawn, torch.cat(parts, -1), now.memories)
            now.recent = torch.cat([now.recent[:, 1:], frame.clamp(-FARTHEST, FARTHEST)], 1)
            frames.append(now.recent[:, -1:])
        return Moved(frames[0] + heard.likeliest, frames[1])
