"""The motion controller C: a window of motion becomes a motion code in the generator's space W+ (Sec. 3.1, Fig. 6)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.renderers.otavatar.config import ControllerConfig

_SLOPE = 0.1
_DILATION = 3
_CUT = 3  # frames that a dilated convolution of kernel 3 loses on either side
_INITIAL_GAIN = 0.02
_OFF_ZERO = 1e-8  # the authors add it to the codebook, against a column of zeros


class MotionCode(NamedTuple):
    """What the controller says about one moment.

    Attributes:
        motion: (B, codes, code_width) w_x of Eq. 4, to be added to the identity code.
        magnitudes: (B, codes, bases) its coordinates in the codebook.
        scaling: (B, codes, code_width) how far to scale the identity code beforehand, 0 for not at all; None without
            that option.
    """

    motion: Tensor
    magnitudes: Tensor
    scaling: Tensor | None = None


class MotionController(nn.Module):
    """C of Eq. 6: w_x = D * F_M(F_T(x)). Its weights begin as the authors' do.

    Args:
        config: sizes and options.
    """

    def __init__(self, config: ControllerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.first = nn.Conv1d(config.coefficients, width, 7)
        self.encoders = nn.ModuleList(
            nn.Conv1d(width, width, 3, dilation=_DILATION) for _ in range(config.smoothing_layers)
        )
        layers = 1 if config.one_layer else config.mlp_layers
        self.mlp = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.last = nn.Linear(width, config.magnitudes)
        length = 1 if config.orthogonal else config.code_width**0.5  # of what is not made of length 1 anyway
        self.codebook = nn.Parameter(torch.randn(config.code_width, config.bases) / length)
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                nn.init.xavier_normal_(layer.weight, _INITIAL_GAIN)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def smoothed(self, window: Tensor) -> Tensor:
        """F_T: (B, coefficients or more, T) -> (B, width); T is 27 and must exceed 6 + 6 smoothing_layers."""
        x = self.first(window[:, : self.config.coefficients])
        for convolution in self.encoders:
            x = convolution(F.leaky_relu(x, _SLOPE)) + x[:, :, _CUT : x.shape[2] - _CUT]
        return x.mean(2)  # type: ignore[no-any-return]

    def projected(self, feature: Tensor) -> Tensor:
        """F_M: (B, width) -> (B, magnitudes)."""
        x = feature
        for use in range(self.config.mlp_layers):
            layer = self.mlp[0 if self.config.one_layer else use]
            x = layer(F.leaky_relu(x, _SLOPE) if use else x)
        if self.config.shortcut:
            x = feature + x
        return self.last(F.leaky_relu(x, _SLOPE))  # type: ignore[no-any-return]

    def basis(self) -> Tensor:
        """D: (code_width, bases), columns of length 1 at right angles, made of the codebook by Householder reflections;
        or the codebook itself, see :class:`ControllerConfig`.

        LAPACK's signs matter: R may have negative numbers on its diagonal. With the other common choice, a positive
        diagonal, some of the released directions would turn round.
        """
        if not self.config.orthogonal:
            return self.codebook
        q, _ = torch.linalg.qr(self.codebook.float() + _OFF_ZERO)
        return q  # type: ignore[no-any-return]

    def forward(self, window: Tensor) -> MotionCode:
        """The motion code of a moment.

        Args:
            window: (B, coefficients or more, 27), the coefficients of the moment and of 13 frames on either side, edges
                clamped, as :meth:`countenance.motion.sequence.Motion.descriptor` gives them in ``bfm``.
        """
        rows = self.projected(self.smoothed(window)).reshape(len(window), -1, self.config.bases)
        basis = self.basis()
        halves = rows.chunk(2, 1) if self.config.scaling else (rows,)
        codes = self.config.codes
        magnitudes = [
            half.expand(-1, codes, -1) if self.config.motion_in_w else half[:, :1] + half[:, 1:]
            for half in halves
        ]
        made = [half @ basis.T for half in magnitudes]
        return MotionCode(made[-1], magnitudes[-1], made[0] if self.config.scaling else None)


def combined(identity: Tensor, code: MotionCode) -> Tensor:
    """w = w_id + w_x (Eq. 4): (B, codes, code_width) for the generator.

    Args:
        identity: w_id, (B, 1, code_width) in W or (B, codes, code_width) in W+.
        code: of the moment.
    """
    kept = identity if code.scaling is None else identity * (1 + code.scaling)
    return kept + code.motion


def within_reach(w: Tensor, mean: Tensor, reach: float) -> Tensor:
    """Codes (..., code_width), no number farther than ``reach`` from the generator's mean code (code_width,).

    For training and inversion; the authors drive avatars without it.
    """
    return torch.clamp(w, mean - reach, mean + reach)


def interpolated_identity(first: Tensor, second: Tensor, share: float) -> Tensor:
    """An identity between two: ``share`` of the first and the rest of the second (Eq. 15)."""
    return torch.lerp(second, first, share)
