"""Sampling frame by frame in NumPy: the numbers of :meth:`ConditionalFlow.inverse`, many times as fast.

A frame needs K small products of a matrix and a vector, one after the other. In PyTorch, calling them costs far more
than computing them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from countenance.arrays import Floats
from countenance.speech.flow.network import LEAST_SCALE, ConditionalFlow, FlowStep


class FlowSampler:
    """One sequence that is being sampled from one flow.

    Args:
        flow: with its weights.
        past: numbers of previous motions in the condition; they come before the sound.
        initial: (C,) the first frame, the condition's last part; None for flows without.
    """

    def __init__(self, flow: ConditionalFlow, past: int, initial: Floats | None) -> None:
        self._steps = [_Step(step, past, initial) for step in reversed(list(flow.steps))]  # type: ignore[arg-type]

    def hear(self, sound: Floats) -> list[Floats]:
        """(T, F) windows of sound -> what each step makes of them, (T, 4 h) each: one product for many frames."""
        return [step.hear(sound) for step in self._steps]

    def next(self, noise: Floats, recent: Floats, heard: list[Floats], frame: int) -> Floats:
        """The next frame, (C,).

        Args:
            noise: (C,).
            recent: (k C,) the frames before, oldest first.
            heard: of :meth:`hear`.
            frame: its row in ``heard``.
        """
        x = noise
        for step, sound in zip(self._steps, heard, strict=True):
            x = step.inverse(x, recent, sound[frame])
        return x


class _Step:
    """One :class:`FlowStep` as arrays, with the memory of its LSTM."""

    def __init__(self, step: FlowStep, past: int, initial: Floats | None) -> None:
        lstm: Any = step.coupling.lstm
        self._changed = step.coupling.changed
        channels = len(step.norm.bias)
        kept = channels - self._changed
        weights = _array(lstm.weight_ih_l0)
        sound_end = weights.shape[1] - (0 if initial is None else channels)
        self._given = np.ascontiguousarray(weights[:, : kept + past])
        self._sound = np.ascontiguousarray(weights[:, kept + past : sound_end])
        self._bias = _array(lstm.bias_ih_l0) + _array(lstm.bias_hh_l0)
        if initial is not None:
            self._bias = self._bias + weights[:, sound_end:] @ initial
        self._hidden = _array(lstm.weight_hh_l0)
        self._affine, self._shift = _array(step.coupling.affine.weight), _array(step.coupling.affine.bias)
        linear = step.linear.weight().detach().cpu().double().inverse()  # Metal has no doubles
        undone = (-step.norm.log_scale.detach().cpu().double()).exp()
        self._back = _array(undone[:, None] * linear)
        self._back_shift = _array(-undone * step.norm.bias.detach().cpu().double())
        width = self._hidden.shape[1]
        self._h, self._c = np.zeros(width, np.float32), np.zeros(width, np.float32)

    def hear(self, sound: Floats) -> Floats:
        """(T, F) -> (T, 4 h)."""
        return np.asarray(sound @ self._sound.T + self._bias, np.float32)

    def inverse(self, y: Floats, recent: Floats, heard: Floats) -> Floats:
        """(C,) -> (C,), the memory moves on."""
        kept = y[self._changed :]
        gates = heard + self._given @ np.concatenate([kept, recent]) + self._hidden @ self._h
        entering, forgetting, cell, leaving = gates.reshape(4, -1)
        self._c = _sigmoid(forgetting) * self._c + _sigmoid(entering) * np.tanh(cell)
        self._h = _sigmoid(leaving) * np.tanh(self._c)
        raw, shift = (self._affine @ self._h + self._shift).reshape(2, -1)
        scale = LEAST_SCALE + 2 * (1 - LEAST_SCALE) * _sigmoid(raw)
        x = np.concatenate([(y[: self._changed] - shift) / scale, kept])
        return np.asarray(self._back @ x + self._back_shift, np.float32)


def _array(tensor: Tensor) -> Floats:
    return np.ascontiguousarray(tensor.detach().to(torch.float32).cpu().numpy())


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), np.float32)
