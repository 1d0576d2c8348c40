"""Sizes and options of the contextual transformer; importing this does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from countenance.audio.features import WIDTH
from countenance.errors import BadValue
from countenance.ranges import HEADS, LAYERS, PATCH, PERIOD, SHARE

Hearing = Literal["log-mel", "wav2vec2"]


@dataclass(frozen=True)
class TransformerConfig:
    """Everything that decides the shapes of the weights. The defaults are the published network but for ``style``.

    Attributes:
        hearing: what the encoder takes: wav2vec 2.0 (paper), or our features through a few convolutions.
        space: motion space of the result.
        outputs: coefficients that are predicted: the expression, without pose.
        style: numbers that say who speaks. The paper takes 80 identity coefficients; motion has none, so the recipe
            gives the person's mean expression, as many numbers as ``outputs``.
        width: of decoder and encoder blocks.
        heads: of the decoder's attention.
        layers: N_d, decoder blocks.
        feed_forward: width inside them.
        encoder_layers: N_e, transformer blocks of the encoder.
        encoder_heads: of their attention.
        audio_width: of what the encoder gives.
        period: p of the positions and of the bias, in frames.
        per_frame: vectors of sound a video frame that the decoder attends to.
        dropout: while training.
    """

    hearing: Hearing = "wav2vec2"
    space: str = "bfm"
    outputs: int = 64
    style: int = 64
    width: int = 1024
    heads: Annotated[int, HEADS] = 4
    layers: Annotated[int, LAYERS] = 1
    feed_forward: int = 2048
    encoder_layers: Annotated[int, LAYERS] = 24
    encoder_heads: Annotated[int, HEADS] = 16
    audio_width: int = 1024
    period: Annotated[int, PERIOD] = 25
    per_frame: Annotated[int, PATCH] = 1
    dropout: Annotated[float, SHARE] = 0.1

    def __post_init__(self) -> None:
        if self.width % self.heads or self.audio_width % self.encoder_heads:
            raise BadValue("width must be a multiple of heads, and audio_width of encoder_heads")

    @property
    def sound_width(self) -> int:
        """Of the features that the encoder takes; samples have none."""
        return WIDTH if self.hearing == "log-mel" else 1


def paper() -> TransformerConfig:
    """The published network, on wav2vec 2.0 large."""
    return TransformerConfig()


def lite() -> TransformerConfig:
    """On our own features, for ``arkit``: real time many times over on two CPU cores."""
    return TransformerConfig(
        hearing="log-mel",
        space="arkit",
        outputs=52,
        style=52,
        width=64,
        feed_forward=128,
        encoder_layers=1,
        encoder_heads=4,
        audio_width=64,
        dropout=0.5,
    )


def debug() -> TransformerConfig:
    """A few thousand weights, for tests."""
    return TransformerConfig(
        hearing="log-mel",
        space="arkit",
        outputs=52,
        style=52,
        width=8,
        heads=2,
        feed_forward=16,
        encoder_layers=1,
        encoder_heads=2,
        audio_width=8,
    )


PRESETS = {"paper": paper, "lite": lite, "debug": debug}
