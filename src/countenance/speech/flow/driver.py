"""The normalizing flows as a speech driver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from countenance.arrays import Floats
from countenance.audio.features import FPS, SpeechFeatures
from countenance.errors import BadValue, MotionSpaceMismatch
from countenance.motion.sequence import Motion
from countenance.motion.spaces import MotionSpace, get_space
from countenance.speech.driver import SpeechSpec, stretches
from countenance.speech.flow import SPECS
from countenance.speech.flow.config import TalkFlowConfig
from countenance.speech.flow.network import ConditionalFlow
from countenance.speech.flow.sampler import FlowSampler
from countenance.speech.flow.talk import FARTHEST, Moved, TalkFlow
from countenance.weights.weight_files import built, config_from, read_weights

MODEL = "talk-flow"
_LIPS_SHARE = 0.1
"""Of what the flow adds to the likeliest lips. In full it costs more of the agreement with filmed lips than it gains in
variety (README.md beside this file); head, brows and eyes take all of it."""


class FlowDriver:
    """See :class:`countenance.speech.driver.SpeechDriver`. Memory does not grow with the length of the speech.

    Args:
        network: with its weights.
        spec: name and needs.
        device: where it runs.
    """

    def __init__(self, network: TalkFlow, spec: SpeechSpec, device: str = "cpu") -> None:
        self.network = network.eval().requires_grad_(False).to(device)
        self._spec, self._device = spec, torch.device(device)
        self.space: MotionSpace = get_space(network.config.space)

    @property
    def spec(self) -> SpeechSpec:
        """Name and needs."""
        return self._spec

    def motion(
        self,
        features: SpeechFeatures,
        *,
        first: Motion | None = None,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> Motion:
        """See :class:`~countenance.speech.driver.SpeechDriver`."""
        if not (np.isfinite(temperature) and temperature >= 0):
            raise BadValue(f"temperature is {temperature}; use a number from 0 (calm) to about 1")
        if first is not None and first.space != self.space:
            raise MotionSpaceMismatch(first.space.name, self.space.name, f"'{self._spec.name}'")
        own = self.space.neutral if first is None else first.values[0]
        count = self.network.config.expressions
        rest, likeliest, pose = self._sampled(features, own, np.random.default_rng(seed), temperature)
        values = self._restored(likeliest + rest, pose)
        if self.network.reader is not None:
            calm = self._restored(likeliest, pose)
            lips = self.space.region_indices("lips")
            values[:, lips] = calm[:, lips] + _LIPS_SHARE * (values[:, lips] - calm[:, lips])
        values[:, -3:] += own[-3:]
        values[:, :count] = self.space.clamp(values)[:, :count]
        return Motion(values, self.space, FPS)

    def _sampled(
        self, features: SpeechFeatures, own: Floats, generator: np.random.Generator, temperature: float
    ) -> tuple[Floats, Floats, Floats]:
        """What the flow adds to the likeliest expression (T, C1), that expression, and poses (T, 6); normalised."""
        network, past = self.network, self.network.config.past
        results: list[tuple[Floats, Floats, Floats]] = []
        sequences: list[_Sequence] = []
        for first, last, begin, end in stretches(len(features)):
            with torch.inference_mode():
                sound = torch.from_numpy(np.ascontiguousarray(features.log_mel[first:last]))
                windows, likeliest = (t[0].cpu().numpy() for t in network.hear(sound[None].to(self._device)))
            if not sequences:
                expression, pose = self._start(own)
                sequences = [
                    _Sequence(network.expression, expression - likeliest[0], past),
                    _Sequence(network.pose, pose, past),
                ]
            used = slice(begin - first, end - first)
            noise = generator.standard_normal((end - begin, sum(s.channels for s in sequences)), np.float32)
            split = np.split(noise * np.float32(temperature), [sequences[0].channels], axis=1)
            rest, poses = (s.go_on(n, windows[used]) for s, n in zip(sequences, split, strict=True))
            results.append((rest, likeliest[used], poses))
        rest, likeliest, poses = (np.concatenate(column) for column in zip(*results, strict=True))
        return rest, likeliest, poses

    def _start(self, own: Floats) -> tuple[Floats, Floats]:
        """A frame (D,) of the space as the flows see it: (C1,) and (6,)."""
        with torch.inference_mode():
            moved = self.network.normalised(torch.from_numpy(own.copy())[None, None].to(self._device))
        return moved.expression[0, 0].cpu().numpy(), moved.pose[0, 0].cpu().numpy()

    def _restored(self, expression: Floats, pose: Floats) -> Floats:
        """(T, C1), (T, 6) -> (T, D)."""
        with torch.inference_mode():
            moved = Moved(*(torch.from_numpy(v)[None].to(self._device) for v in (expression, pose)))
            return np.array(self.network.restored(moved)[0].cpu().numpy(), np.float32)


class _Sequence:
    """Frames of one flow, and what the next one depends on."""

    def __init__(self, flow: ConditionalFlow, first: Floats, past: int) -> None:
        self.channels = len(first)
        self._sampler = FlowSampler(flow, past * self.channels, first if flow.config.initial else None)
        self._recent = np.tile(first, past)

    def go_on(self, noise: Floats, windows: Floats) -> Floats:
        """(T, C) noise and (T, F) windows of sound -> (T, C) frames."""
        heard = self._sampler.hear(windows)
        frames = np.empty_like(noise)
        for t in range(len(noise)):
            frames[t] = self._sampler.next(noise[t], self._recent, heard, t).clip(-FARTHEST, FARTHEST)
            self._recent = np.concatenate([self._recent[self.channels :], frames[t]])
        return frames


def from_file(path: Path, spec: SpeechSpec | None = None, device: str = "cpu") -> FlowDriver:
    """A driver of any file of weights that `countenance train talk-flow` wrote.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: damaged, or of another model.
    """
    file = read_weights(path, MODEL)
    config = config_from(file, TalkFlowConfig, path)
    network = built(lambda: TalkFlow(config), file.tensors, path)
    return FlowDriver(network, spec or SPECS[0].of_file(path, config.space), device)
