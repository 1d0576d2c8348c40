"""Latent vectors and labels to w, and what can be done with w before a picture is made of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from countenance.errors import BadValue
from countenance.generators.stylegan2.layers import FullyConnected
from countenance.generators.stylegan2.ops import second_moment_normalized

_LR_MULTIPLIER = 0.01


class MappingNetwork(nn.Module):
    """f: (z, label) -> w (StyleGAN, Sec. 2); each input is normalised on its own.

    Args:
        z_dim: length of z; 0 for labels alone.
        c_dim: length of the label; 0 without labels.
        w_dim: length of w, and of the embedded label.
        layers: fully connected ones.
    """

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, layers: int) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.layers = z_dim, c_dim, layers
        self.embed = FullyConnected(c_dim, w_dim) if c_dim else None
        inputs = z_dim + (w_dim if c_dim else 0)
        for number in range(layers):
            layer = FullyConnected(w_dim if number else inputs, w_dim, "lrelu", _LR_MULTIPLIER)
            self.add_module(f"fc{number}", layer)

    def normalized_input(self, z: Tensor | None, c: Tensor | None) -> Tensor:
        """z (B, z_dim) and label (B, c_dim) -> (B, z_dim + w_dim of the label).

        Raises:
            BadValue: a label is missing.
        """
        parts = [second_moment_normalized(z)] if z is not None else []
        if self.embed is not None:
            if c is None:
                raise BadValue(f"this network needs a label of {self.c_dim} numbers; give c")
            parts.append(second_moment_normalized(self.embed(c)))
        return torch.cat(parts, 1)

    def forward(self, z: Tensor | None, c: Tensor | None = None) -> Tensor:
        """z (B, z_dim), label (B, c_dim) -> w (B, w_dim)."""
        x = self.normalized_input(z, c)
        for number in range(self.layers):
            x = self.get_submodule(f"fc{number}")(x)
        return x


class StyleMapping(MappingNetwork):
    """The generator's mapping network: one w for all layers, drawn toward the mean w if asked.

    Args:
        z_dim: see :class:`MappingNetwork`.
        c_dim: likewise.
        w_dim: likewise.
        layers: likewise.
        num_ws: w of a picture.
    """

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, layers: int, num_ws: int) -> None:
        super().__init__(z_dim, c_dim, w_dim, layers)
        self.num_ws = num_ws
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.w_avg: Tensor

    def forward(
        self,
        z: Tensor | None,
        c: Tensor | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """z (B, z_dim), label (B, c_dim) -> ws (B, num_ws, w_dim); see :func:`truncated`."""
        ws = super().forward(z, c)[:, None].expand(-1, self.num_ws, -1)
        return truncated(ws, self.w_avg, truncation_psi, truncation_cutoff)


def truncated(ws: Tensor, w_avg: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """The truncation trick (StyleGAN, Sec. B): w_avg + psi (w - w_avg).

    Args:
        ws: (B, num_ws, w_dim).
        w_avg: (w_dim,), mean of w.
        psi: 1 changes nothing, 0 gives the mean.
        cutoff: only the first layers; all if None.
    """
    if psi == 1:
        return ws
    near = torch.lerp(w_avg, ws[:, :cutoff], psi)
    return near if cutoff is None else torch.cat([near, ws[:, cutoff:]], 1)


def mixed(ws: Tensor, other: Tensor, layers: Sequence[int]) -> Tensor:
    """Style mixing (StyleGAN, Sec. 3.1): ws (B, num_ws, w_dim) with these layers taken from ``other``."""
    result = ws.clone()
    result[:, list(layers)] = other[:, list(layers)]
    return result
