"""Sizes and options of the normalizing flows; importing this does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from countenance.audio.features import WIDTH
from countenance.errors import BadValue
from countenance.ranges import LAYERS, SHARE, WINDOW


@dataclass(frozen=True)
class FlowConfig:
    """One flow, f_theta1 (expression) or f_theta2 (pose) of PIRenderer's Appendix D.2.

    Attributes:
        channels: c, numbers a frame.
        steps: K.
        hidden: of the LSTM in every coupling layer. The paper does not say how wide it is.
        initial: the condition holds the first frame, too (f_theta2).
    """

    channels: int
    steps: int
    hidden: int = 512
    initial: bool = False

    def __post_init__(self) -> None:
        if self.channels < 2:
            raise BadValue(f"a flow of {self.channels} channels can't be split; use 2 or more")


@dataclass(frozen=True)
class TalkFlowConfig:
    """Both flows. The defaults are the published ones.

    Attributes:
        space: motion space.
        expressions: coefficients of the expression; they come first in the space.
        components: principal components of the expression that the flow models; 0: the coefficients themselves.
        expression_steps: K of f_theta1.
        pose_steps: K of f_theta2.
        hidden: of the LSTMs.
        past: k, previous motions and frames of sound in the condition.
        ahead: tau, frames of sound to come.
        sound: features of sound a frame.
        heard: learnt features a frame that stand for ``sound`` in the condition; 0: the features themselves. Where
            they are learnt, the expression's likeliest value is learnt from them, too, and its flow models the rest.
        encoder: width of the encoder that learns them.
        dropout: of the condition, while training.
    """

    space: str = "bfm"
    expressions: int = 64
    components: int = 0
    expression_steps: Annotated[int, LAYERS] = 10
    pose_steps: Annotated[int, LAYERS] = 8
    hidden: int = 512
    past: Annotated[int, WINDOW] = 5
    ahead: Annotated[int, WINDOW] = 6
    sound: int = WIDTH
    heard: int = 0
    encoder: int = 64
    dropout: Annotated[float, SHARE] = 0.0

    @property
    def expression(self) -> FlowConfig:
        """f_theta1."""
        return FlowConfig(self.components or self.expressions, self.expression_steps, self.hidden)

    @property
    def pose(self) -> FlowConfig:
        """f_theta2: rotation and translation."""
        return FlowConfig(6, self.pose_steps, self.hidden, initial=True)

    def condition(self, flow: FlowConfig) -> int:
        """Numbers in c_i of one of the flows."""
        window = self.past + 1 + self.ahead
        return self.past * flow.channels + window * (self.heard or self.sound) + flow.channels * flow.initial


def paper() -> TalkFlowConfig:
    """The published flows."""
    return TalkFlowConfig()


def lite() -> TalkFlowConfig:
    """For ``arkit`` and minutes of speech: few components, few learnt features of sound."""
    return TalkFlowConfig(space="arkit", expressions=52, components=24, hidden=48, heard=64, dropout=0.5)


def debug() -> TalkFlowConfig:
    """A few thousand weights, for tests."""
    return TalkFlowConfig(
        space="arkit",
        expressions=52,
        components=4,
        expression_steps=2,
        pose_steps=2,
        hidden=8,
        heard=4,
        encoder=8,
    )


PRESETS = {"paper": paper, "lite": lite, "debug": debug}
