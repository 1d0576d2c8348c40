"""Log-mel features -> what speech models condition on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from countenance.audio.features import MELS, SPECTRA

_HEARD = 12  # frames on each side: half a second


class LogMelEncoder(nn.Module):
    """Our features -> one vector a frame: convolutions over spectra, then over frames, then transformer blocks.

    The lite networks' stand-in for wav2vec 2.0: it is learnt from minutes of speech, so it is small.

    Args:
        width: of its vectors.
        heads: of the attention.
        layers: transformer blocks, 1 or more.
        dropout: while training.
    """

    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.spectra = nn.ModuleList(
            nn.Conv1d(MELS if not k else width, width, 5, padding=2 * max(k, 1), dilation=max(k, 1))
            for k in range(3)
        )
        self.frames = nn.Conv1d(width, width, SPECTRA, stride=SPECTRA)
        self.context = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=gap, dilation=gap) for gap in (1, 2, 4)
        )
        block = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, T, WIDTH) -> (B, T, width)."""
        batch, count = log_mel.shape[:2]
        x = log_mel.reshape(batch, count * SPECTRA, MELS).transpose(1, 2)
        x = F.gelu(self.spectra[0](x))
        for layer in list(self.spectra)[1:]:
            x = x + F.gelu(layer(self.dropout(x)))
        x = self.frames(x)
        for layer in self.context:
            x = x + F.gelu(layer(self.dropout(x)))
        x = x.transpose(1, 2)
        return self.blocks(x, mask=_nearby(count, x.device))  # type: ignore[no-any-return]


def _nearby(count: int, device: torch.device) -> Tensor:
    """(T, T) True where a frame may not look: farther than what training stretches show."""
    frames = torch.arange(count, device=device)
    return (frames[:, None] - frames).abs() > _HEARD
