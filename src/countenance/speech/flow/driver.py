"""The normalizing flows as a speech driver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from countenance.arrays import Floats
from countenance.audio.features import FPS, SpeechFeatures
from countenance.errors import BadValue, MotionSpaceMismatch, WeightsMissing
from countenance.motion.sequence import Motion
from countenance.motion.spaces import MotionSpace, get_space
from countenance.speech.driver import SpeechSpec, stretches
from countenance.speech.flow import SPECS
from countenance.speech.flow.config import TalkFlowConfig
from countenance.speech.flow.talk import Heard, Moved, TalkFlow
from countenance.weights.weight_files import config_from, fill, read_weights

MODEL = "talk-flow"
_LIPS_SHARE = 0.3
"""Of what the flow adds to the likeliest lips. In full it costs more of the agreement with filmed lips than it gains in
variety (docs/results.md); head, brows and eyes take all of it."""
_SHIPPED = Path(__file__).with_name("flow-lite.safetensors")


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
        self._lips = torch.from_numpy(self.space.region_indices("lips"))

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
        network, generator = self.network, torch.Generator().manual_seed(seed)
        values = np.empty((len(features), self.space.size), np.float32)
        with torch.inference_mode():
            start = torch.from_numpy(own.copy())[None, None].to(self._device)
            state = None
            for first_heard, last_heard, begin, end in stretches(len(features)):
                sound = torch.from_numpy(np.ascontiguousarray(features.log_mel[first_heard:last_heard]))
                heard = network.hear(sound[None].to(self._device))
                state = state or network.begin(network.normalised(start), heard.at(0))
                for frame in range(begin, end):
                    noise = self._noise(generator, temperature)
                    moved = network.sample(heard.at(frame - first_heard), noise, state)
                    values[frame] = self._held_back(moved, heard.at(frame - first_heard))
        values[:, -3:] += own[-3:]
        count = network.config.expressions
        values[:, :count] = self.space.clamp(values)[:, :count]
        return Motion(values, self.space, FPS)

    def _held_back(self, moved: Moved, heard: Heard) -> Floats:
        """(D,) of the space, lips nearer to the likeliest ones."""
        network = self.network
        frame = network.restored(moved)[0, 0]
        if network.reader is not None:
            likeliest = network.restored(Moved(heard.likeliest, moved.pose))[0, 0]
            frame[self._lips] = torch.lerp(likeliest[self._lips], frame[self._lips], _LIPS_SHARE)
        return np.asarray(frame.cpu(), np.float32)

    def _noise(self, generator: torch.Generator, temperature: float) -> Moved:
        config = self.network.config
        drawn: list[Tensor] = [
            torch.randn(1, 1, flow.channels, generator=generator) * temperature
            for flow in (config.expression, config.pose)
        ]
        return Moved(*(noise.to(self._device) for noise in drawn))


def load(name: str = "flow-lite", device: str = "cpu") -> FlowDriver:
    """For the catalogue.

    Raises:
        WeightsMissing: they are not here.
    """
    spec = next(spec for spec in SPECS if spec.name == name)
    if not _SHIPPED.is_file():
        raise WeightsMissing(name, "install countenance again, its weights are part of the package")
    return from_file(_SHIPPED, spec, device)


def from_file(path: Path, spec: SpeechSpec | None = None, device: str = "cpu") -> FlowDriver:
    """A driver of any file of weights that `countenance train talk-flow` wrote.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: damaged, or of another model.
    """
    file = read_weights(path, MODEL)
    config = config_from(file, TalkFlowConfig, path)
    network = TalkFlow(config)
    fill(network, file.tensors, path)
    if spec is None:
        known = SPECS[0]
        spec = SpeechSpec(
            path.stem, known.summary, config.space, "that of whoever trained it", known.paper, True, True
        )
    return FlowDriver(network, spec, device)
