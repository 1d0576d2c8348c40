"""The contextual transformer: sound and past expressions -> the next expression (PIR, Sec. 3.1 and Supp. 1.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from countenance.speech.sound_encoder import LogMelEncoder
from countenance.speech.transformer.attention import Attention, causal_bias, periodic_positions
from countenance.speech.transformer.config import TransformerConfig


class DecoderBlock(nn.Module):
    """Self-attention to the past, attention to the frame's own sound, feed-forward; each added, then normalised."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.self_attn = Attention(width, config.heads)
        self.multihead_attn = Attention(width, config.heads)
        self.linear1 = nn.Linear(width, config.feed_forward)
        self.linear2 = nn.Linear(config.feed_forward, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, sound: Tensor, past: tuple[Tensor, Tensor] | None, bias: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Frames (B, I, d), their sound (B, I, per_frame, d), keys and values of the past -> the same, one further."""
        keys, values = self.self_attn.keys_and_values(x)
        if past is not None:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        seen = self.self_attn.attend(self.self_attn.query(x), keys, values, bias)
        x = self.norm1(x + self.dropout(seen))
        x = self.norm2(x + self.dropout(self._heard(x, sound)))
        y = self.linear2(self.dropout(F.relu(self.linear1(x))))
        return self.norm3(x + self.dropout(y)), (keys, values)

    def _heard(self, x: Tensor, sound: Tensor) -> Tensor:
        """A frame attends to its own sound only (Eq. 3): every frame is a sequence of one query."""
        batch, count = x.shape[:2]
        attention = self.multihead_attn
        keys, values = attention.keys_and_values(sound.flatten(0, 1))
        heard = attention.attend(attention.query(x.reshape(batch * count, 1, -1)), keys, values, None)
        return heard.reshape(batch, count, -1)


@dataclass(eq=False)
class DecoderState:
    """Where a sequence stands.

    Attributes:
        frame: number of the next frame.
        last: (B, outputs) the expression before it; None before the first.
        past: keys and values of each block.
    """

    frame: int = 0
    last: Tensor | None = None
    past: list[tuple[Tensor, Tensor]] = field(default_factory=list)


class ContextualTransformer(nn.Module):
    """The whole network. Expressions are normalised: ``mean`` and ``scale`` lead back to the space's own units.

    Args:
        config: sizes and options.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        self.audio_projection = nn.Linear(config.audio_width, config.width)
        self.style_embedding = nn.Linear(config.style, config.width, bias=False)
        self.expression_encoder = nn.Linear(config.outputs, config.width)
        self.decoder = nn.ModuleList(DecoderBlock(config) for _ in range(config.layers))
        self.expression_decoder = nn.Linear(config.width, config.outputs)
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("mean", torch.zeros(config.outputs))
        self.register_buffer("scale", torch.ones(config.outputs))
        nn.init.zeros_(self.expression_decoder.weight)
        nn.init.zeros_(self.expression_decoder.bias)

    def hear(self, sound: Tensor) -> Tensor:
        """Sound -> what the decoder attends to.

        Args:
            sound: (B, T, WIDTH) features; or, with wav2vec 2.0, (B, 640 T) samples.

        Returns:
            (B, T, per_frame, width).
        """
        heard = self.audio_projection(self.encoder(sound))
        return heard.unflatten(1, (-1, self.config.per_frame))  # type: ignore[no-any-return]

    def forward(self, sound: Tensor, style: Tensor, most: int | None = None) -> Tensor:
        """Frame by frame, each from those before it; this is also how it is trained.

        Args:
            sound: see :meth:`hear`.
            style: (B, style).
            most: frames of the past that are kept; all if None.

        Returns:
            (B, T, outputs), normalised.
        """
        memory, state = self.hear(sound), DecoderState()
        embedded = self.style_embedding(style)
        frames = [self.advance(memory[:, t], embedded, state, most) for t in range(memory.shape[1])]
        return torch.stack(frames, 1)

    def advance(self, sound: Tensor, style: Tensor, state: DecoderState, most: int | None = None) -> Tensor:
        """The next expression, (B, outputs); ``state`` moves on.

        Args:
            sound: (B, per_frame, width), of :meth:`hear`.
            style: (B, width), embedded.
            state: begin with a new one.
            most: see :meth:`forward`. The bias knows distances only, so what is forgotten changes little.
        """
        x = style if state.last is None else self.expression_encoder(state.last) + style
        now = torch.tensor([state.frame], device=x.device)
        x = self.dropout(x + periodic_positions(now, x.shape[-1], self.config.period))[:, None]
        for number, block in enumerate(self.decoder):
            past = state.past[number] if number < len(state.past) else None
            length = 1 + (past[0].shape[2] if past else 0)
            bias = self._bias(now, torch.arange(state.frame + 1 - length, state.frame + 1, device=x.device))
            x, cache = block(x, sound[:, None], past, bias)
            if most is not None:
                cache = (cache[0][:, :, -most:], cache[1][:, :, -most:])
            state.past[number : number + 1] = [cache]
        state.last = self.expression_decoder(x[:, 0])
        state.frame += 1
        return state.last

    def forced(self, sound: Tensor, style: Tensor, truth: Tensor) -> Tensor:
        """All frames at once, each from the true ones before it (teacher forcing, as FaceFormer's code has it).

        Args:
            sound: see :meth:`hear`.
            style: (B, style).
            truth: (B, T, outputs), normalised.

        Returns:
            (B, T, outputs).
        """
        before = F.pad(truth[:, :-1], (0, 0, 1, 0))
        frames = torch.arange(truth.shape[1], device=truth.device)
        x = self.expression_encoder(before) + self.style_embedding(style)[:, None]
        x = self.dropout(x + periodic_positions(frames, x.shape[-1], self.config.period))
        memory, bias = self.hear(sound), self._bias(frames, frames)
        for block in self.decoder:
            x, _ = block(x, memory, None, bias)
        return self.expression_decoder(x)  # type: ignore[no-any-return]

    def _bias(self, queries: Tensor, keys: Tensor) -> Tensor:
        return causal_bias(queries, keys, self.config.heads, self.config.period)


def _encoder(config: TransformerConfig) -> nn.Module:
    if config.hearing == "log-mel":
        return LogMelEncoder(config.audio_width, config.encoder_heads, config.encoder_layers, config.dropout)
    from countenance.speech.transformer.wav2vec import Wav2VecEncoder

    return Wav2VecEncoder(config)
