"""A small variational autoencoder of real motions, to draw new ones from (PIRenderer, Sec. 4.2)."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.arrays import Floats
from countenance.errors import BadValue

LATENT, WIDTH = 8, 64
STEPS, BATCH, RATE = 600, 128, 2e-3
KL_WEIGHT = 0.02  # of the squared error's mean over coefficients; more, and all draws look alike
_FEWEST = 2


class MotionVAE(nn.Module):
    """Kingma and Welling 2014, with one hidden layer each way, on normalised coefficients.

    The paper says no more of its autoencoder than that it was fitted to real motions; sizes and length are ours.

    Args:
        mean: (D,) of the real motions.
        spread: (D,) their standard deviation.
        low: (D,) the least that was seen of each coefficient.
        high: (D,) the most.
    """

    def __init__(self, mean: Floats, spread: Floats, low: Floats, high: Floats) -> None:
        super().__init__()
        size = len(mean)
        self.encoder = nn.Sequential(nn.Linear(size, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, WIDTH), nn.Tanh(), nn.Linear(WIDTH, size))
        self._mean, self._spread, self._low, self._high = mean, spread, low, high

    @classmethod
    def fitted(cls, motions: Floats, seed: int) -> Self:
        """Fit one; a second or two on a CPU. The same motions and seed give the same model on the same machine.

        Args:
            motions: (N, D) real coefficients.
            seed: of weights, batches and noise.

        Raises:
            BadValue: fewer than 2 motions.
        """
        if len(motions) < _FEWEST:
            raise BadValue(f"{len(motions)} frames are too few to learn motions from; give more clips")
        mean, spread = motions.mean(0), motions.std(0) + 1e-4
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = cls(mean, spread, motions.min(0), motions.max(0))
            real = torch.tensor((motions - mean) / spread, dtype=torch.float32)
            optimizer = torch.optim.Adam(model.parameters(), RATE)
            for _ in range(STEPS):
                batch = real[torch.randint(len(real), (BATCH,))]
                optimizer.zero_grad()
                model.loss(batch).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return model

    def loss(self, batch: Tensor) -> Tensor:
        """Squared error and the weighted divergence from the standard normal distribution; batch (B, D)."""
        mean, log_variance = self.encoder(batch).chunk(2, 1)
        latent = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        divergence = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        whole: Tensor = F.mse_loss(self.decoder(latent), batch) + KL_WEIGHT * divergence
        return whole

    def drawn(self, count: int, seed: int) -> Floats:
        """(count, D) new motions, within what was seen of each coefficient."""
        noise = np.random.default_rng(seed).standard_normal((count, LATENT))
        with torch.inference_mode():
            values = self.decoder(torch.tensor(noise, dtype=torch.float32)).numpy()
        return np.asarray((values * self._spread + self._mean).clip(self._low, self._high), np.float32)
