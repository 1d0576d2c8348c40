"""The contextual transformer as a speech driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from countenance.arrays import Floats
from countenance.audio.features import FPS, SpeechFeatures
from countenance.audio.samples import RATE
from countenance.errors import BadValue
from countenance.motion.sequence import Motion
from countenance.motion.spaces import get_space
from countenance.speech.driver import SpeechSpec, stretches
from countenance.speech.transformer import SPECS
from countenance.speech.transformer.config import TransformerConfig
from countenance.speech.transformer.network import ContextualTransformer, DecoderState
from countenance.threads import one_thread
from countenance.weights.weight_files import built, config_from, read_weights

MODEL = "talk-transformer"
_KEPT = 100  # frames of the past: k of the paper
_PER_FRAME = round(RATE / FPS)


class TransformerDriver:
    """See :class:`countenance.speech.driver.SpeechDriver`. Memory does not grow with the length of the speech.

    Args:
        network: with its weights.
        spec: name and needs.
        device: where it runs.
    """

    def __init__(self, network: ContextualTransformer, spec: SpeechSpec, device: str = "cpu") -> None:
        self.network = network.eval().requires_grad_(False).to(device)
        self._spec, self._device = spec, torch.device(device)

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
        style: Floats | None = None,
    ) -> Motion:
        """See :class:`~countenance.speech.driver.SpeechDriver`; the same whatever seed, temperature and ``first``.

        Args:
            features: T frames.
            first: not used.
            seed: not used.
            temperature: not used.
            style: (style,) the speaker's own mean expression; unknown if None.
        """
        network = self.network
        space = get_space(network.config.space)
        values = np.tile(space.neutral, (len(features), 1))
        with torch.inference_mode(), one_thread():
            if style is None:
                given = torch.zeros(1, network.config.style, device=self._device)
            else:
                own = torch.tensor(style, dtype=torch.float32, device=self._device)
                given = (own[None] - network.mean) / network.scale
            embedded, state, frame = network.style_embedding(given), DecoderState(), 0
            for sound in self._heard(features):
                for t in range(sound.shape[1]):
                    said = network.advance(sound[:, t], embedded, state, _KEPT)
                    values[frame, : network.config.outputs] = (said * network.scale + network.mean)[0].cpu()
                    frame += 1
        return Motion(space.clamp(values), space, FPS)

    def _heard(self, features: SpeechFeatures) -> Iterator[Tensor]:
        """(1, t, per_frame, width) blocks that together are all frames."""
        for first, last, start, end in stretches(len(features)):
            sound = torch.from_numpy(np.ascontiguousarray(self._sound(features, first, last)))
            memory = self.network.hear(sound[None].to(self._device))
            yield memory[:, start - first : end - first]

    def _sound(self, features: SpeechFeatures, first: int, last: int) -> Floats:
        if self.network.config.hearing == "log-mel":
            return features.log_mel[first:last]
        if features.samples is None:
            raise BadValue(f"'{self._spec.name}' needs samples; make the features with keep_samples=True")
        return features.samples[first * _PER_FRAME : last * _PER_FRAME]


def from_file(path: Path, spec: SpeechSpec | None = None, device: str = "cpu") -> TransformerDriver:
    """A driver of any file of weights that `countenance train talk-transformer` wrote.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: damaged, or of another model.
    """
    file = read_weights(path, MODEL)
    config = config_from(file, TransformerConfig, path)
    network = built(lambda: ContextualTransformer(config), file.tensors, path)
    own = SPECS[0].of_file(path, config.space, needs_samples=config.hearing == "wav2vec2")
    return TransformerDriver(network, spec or own, device)
