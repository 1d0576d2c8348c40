"""Biases and positions of the contextual transformer (PIR, Supp. 1.1; FaceFormer, Fan et al. 2022)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def periodic_positions(frames: Tensor, width: int, period: int) -> Tensor:
    """PPE, Eq. 1: sines and cosines of t mod p.

    Args:
        frames: (T,) frame numbers from 0.
        width: d, even.
        period: p.

    Returns:
        (T, d); even columns are sines, odd ones cosines.
    """
    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10_000.0) / width))
    angles = (frames % period).float()[:, None] * rates.to(frames.device)
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)


def head_slopes(heads: int) -> list[float]:
    """m of every head, as in ALiBi (Press et al. 2022): 2^(-8 k / heads).

    For numbers that are no power of two: those of the next lower power, then every second one of twice that power.
    """
    power = 1 << (heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * k / power) for k in range(1, power + 1)]
    if power < heads:
        slopes += head_slopes(2 * power)[::2][: heads - power]
    return slopes


def causal_bias(queries: Tensor, keys: Tensor, heads: int, period: int) -> Tensor:
    """B of Eq. 2, added to the scores: -m floor((i - j) / p), and minus infinity for frames to come.

    The paper prints the bias without its sign; the authors of FaceFormer subtract it, so that what is long past
    counts less.

    Args:
        queries: (I,) frame numbers i.
        keys: (J,) frame numbers j.
        heads: H.
        period: p.

    Returns:
        (H, I, J).
    """
    distance = queries[:, None] - keys
    slopes = torch.tensor(head_slopes(heads), device=keys.device)[:, None, None]
    bias = -slopes * torch.div(distance, period, rounding_mode="floor")
    return bias.masked_fill(distance < 0, -math.inf)


def aligned_mask(frames: int, sounds: int, per_frame: int) -> Tensor:
    """B^A of Eq. 3: (T, S) True where a frame may NOT look: all vectors of sound but its own ``per_frame`` ones."""
    own = torch.arange(sounds) // per_frame
    return own[None] != torch.arange(frames)[:, None]


class Attention(nn.Module):
    """Multi-head attention with an added bias; its weights have the names of torch's own.

    Args:
        width: d.
        heads: H.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def query(self, x: Tensor) -> Tensor:
        """(B, T, d) -> (B, H, T, d / H)."""
        return self._split(self._projected(x, 0, 1))

    def keys_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, d) -> twice (B, H, T, d / H)."""
        keys, values = self._projected(x, 1, 3).chunk(2, -1)
        return self._split(keys), self._split(values)

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """What :meth:`query` and :meth:`keys_and_values` gave, and a bias (H, I, J) -> (B, I, d)."""
        y = F.scaled_dot_product_attention(query, keys, values, bias)
        return self.out_proj(y.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _projected(self, x: Tensor, first: int, last: int) -> Tensor:
        width = x.shape[-1]
        part = slice(first * width, last * width)
        return F.linear(x, self.in_proj_weight[part], self.in_proj_bias[part])

    def _split(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        return x.reshape(batch, count, self.heads, width // self.heads).transpose(1, 2)
