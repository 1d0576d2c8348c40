"""Conditional normalizing flow over sequences: noise <-> motion, exactly invertible (PIRenderer, Sec. 3.3, D.2).

Shapes: B sequences of T frames of C channels, under conditions of M numbers a frame.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from countenance.speech.flow.config import FlowConfig

Memory: TypeAlias = tuple[Tensor, Tensor] | None
"""Hidden state of an LSTM: h and c, each (1, B, hidden); None before the first frame."""

LEAST_SCALE = 0.3  # of a coupling: bounded below, so that the inverse can't explode on rare conditions


class ActNorm(nn.Module):
    """y = s x + b for each channel; the first batch sets both so that y has mean 0 and spread 1."""

    ready: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("ready", torch.tensor(False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, C) -> the same, and the log-determinant of one frame, a scalar."""
        if self.training and not self.ready:
            self._fit(x)
        return x * self.log_scale.exp() + self.bias, self.log_scale.sum()

    def inverse(self, y: Tensor) -> Tensor:
        """Undoes :meth:`forward`."""
        return (y - self.bias) * (-self.log_scale).exp()

    @torch.no_grad()
    def _fit(self, x: Tensor) -> None:
        flat = x.detach().flatten(0, 1)
        self.log_scale.copy_(-flat.std(0).clamp(min=1e-3).log())
        self.bias.copy_(-flat.mean(0) * self.log_scale.exp())
        self.ready.fill_(True)


class InvertibleLinear(nn.Module):
    """y = W x with W = P L (U + diag(s)), Glow's decomposition: its determinant is the product of s."""

    permutation: Tensor
    signs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        start = torch.linalg.qr(torch.randn(channels, channels)).Q
        permutation, lower, upper = torch.linalg.lu(start)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("signs", diagonal.sign())
        self.lower = nn.Parameter(lower)
        self.upper = nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(diagonal.abs().log())

    def weight(self) -> Tensor:
        """W, (C, C)."""
        lower, upper = self._triangles()
        return self.permutation @ lower @ upper

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, C) -> the same, and the log-determinant of one frame."""
        return x @ self.weight().T, self.log_diagonal.sum()

    def inverse(self, y: Tensor) -> Tensor:
        """Undoes :meth:`forward`, by two triangular systems."""
        lower, upper = self._triangles()
        columns = (y @ self.permutation).flatten(0, 1).T
        half = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        solved: Tensor = torch.linalg.solve_triangular(upper, half, upper=True)
        return solved.T.reshape(y.shape)

    def _triangles(self) -> tuple[Tensor, Tensor]:
        one = torch.eye(len(self.lower), device=self.lower.device)
        diagonal = torch.diag(self.signs * self.log_diagonal.exp())
        return self.lower.tril(-1) + one, self.upper.triu(1) + diagonal


class AffineCoupling(nn.Module):
    """(x_a, x_b) -> (s x_a + t, x_b), where an LSTM over the frames says s and t from x_b and the condition."""

    def __init__(self, channels: int, condition: int, hidden: int) -> None:
        super().__init__()
        self.changed = channels // 2
        self.lstm = nn.LSTM(channels - self.changed + condition, hidden, batch_first=True)
        self.affine = nn.Linear(hidden, 2 * self.changed)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, condition: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Memory]:
        """(B, T, C), (B, T, M) -> (B, T, C), log-determinants (B, T), memory."""
        first, second = x[..., : self.changed], x[..., self.changed :]
        scale, shift, memory = self._affine(second, condition, memory)
        return torch.cat([scale * first + shift, second], -1), scale.log().sum(-1), memory

    def inverse(self, y: Tensor, condition: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Undoes :meth:`forward`."""
        first, second = y[..., : self.changed], y[..., self.changed :]
        scale, shift, memory = self._affine(second, condition, memory)
        return torch.cat([(first - shift) / scale, second], -1), memory

    def _affine(self, second: Tensor, condition: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Memory]:
        """Scales in (LEAST_SCALE, 2 - LEAST_SCALE), 1 for an untrained network."""
        seen, memory = self.lstm(torch.cat([second, condition], -1), memory)
        raw, shift = self.affine(seen).chunk(2, -1)
        return LEAST_SCALE + 2 * (1 - LEAST_SCALE) * torch.sigmoid(raw), shift, memory


class FlowStep(nn.Module):
    """f_j^-1: actnorm, linear map, coupling."""

    def __init__(self, config: FlowConfig, condition: int) -> None:
        super().__init__()
        self.norm = ActNorm(config.channels)
        self.linear = InvertibleLinear(config.channels)
        self.coupling = AffineCoupling(config.channels, condition, config.hidden)

    def forward(self, x: Tensor, condition: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Memory]:
        """Towards noise: (B, T, C) -> (B, T, C), log-determinants (B, T), memory."""
        x, scaled = self.norm(x)
        x, turned = self.linear(x)
        x, coupled, memory = self.coupling(x, condition, memory)
        return x, coupled + scaled + turned, memory

    def inverse(self, y: Tensor, condition: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Towards motion; undoes :meth:`forward`."""
        y, memory = self.coupling.inverse(y, condition, memory)
        return self.norm.inverse(self.linear.inverse(y)), memory


class ConditionalFlow(nn.Module):
    """f_theta of Eq. 10 and 12, K steps.

    Args:
        config: sizes.
        condition: M.
    """

    def __init__(self, config: FlowConfig, condition: int) -> None:
        super().__init__()
        self.config = config
        self.steps = nn.ModuleList(FlowStep(config, condition) for _ in range(config.steps))

    def forward(self, motion: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Motion -> noise n = f^-1(p, c), all frames at once.

        Args:
            motion: (B, T, C).
            condition: (B, T, M).

        Returns:
            (B, T, C), and the log-determinant of each frame's map, (B, T): the sum of Eq. 13.
        """
        x, total = motion, motion.new_zeros(motion.shape[:2])
        for step in self.steps:
            x, determinant, _ = step(x, condition, None)
            total = total + determinant
        return x, total

    def inverse(
        self, noise: Tensor, condition: Tensor, memories: list[Memory] | None = None
    ) -> tuple[Tensor, list[Memory]]:
        """Noise -> motion p = f(n, c).

        Args:
            noise: (B, T, C).
            condition: (B, T, M).
            memories: of the frames before, one a step, as this returned them; None at the start.

        Returns:
            (B, T, C), and memories for the frames that follow.
        """
        memories = list(memories or [None] * len(self.steps))
        x = noise
        for number in reversed(range(len(self.steps))):
            step: FlowStep = self.steps[number]  # type: ignore[assignment]
            x, memories[number] = step.inverse(x, condition, memories[number])
        return x, memories

    def negative_log_likelihood(self, motion: Tensor, condition: Tensor) -> Tensor:
        """(B, T) Eq. 14, with a standard normal p_n, in nats a channel."""
        noise, determinant = self(motion, condition)
        gauss = 0.5 * (noise.square() + math.log(2 * math.pi)).sum(-1)
        return (gauss - determinant) / self.config.channels  # type: ignore[no-any-return]


def windows(values: Tensor, before: int, after: int) -> Tensor:
    """(B, T, F) -> (B, T, (before + 1 + after) F): each frame with its neighbours, ends repeated."""
    padded = F.pad(values.transpose(1, 2), (before, after), mode="replicate")
    around: Tensor = padded.unfold(2, before + 1 + after, 1)
    return around.permute(0, 2, 3, 1).flatten(2)


def previous(motion: Tensor, count: int, first: Tensor) -> Tensor:
    """(B, T, C) -> (B, T, count C): the ``count`` frames before each, oldest first; before the start stands ``first``.

    Args:
        motion: the sequence.
        count: k.
        first: (B, C), the motion of the source image (D.2).
    """
    start = first[:, None].expand(-1, count, -1)
    padded = torch.cat([start, motion[:, :-1]], 1)
    return padded.unfold(1, count, 1).transpose(2, 3).flatten(2)
