"""Trackers that measure anew the faces that another tracker finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import nn

from countenance.arrays import Floats, Image
from countenance.media.frames import Frame
from countenance.trackers.tracker import Face, Tracker


class RemeasuringTracker(ABC):
    """Finding and following, for a :class:`countenance.trackers.tracker.Tracker`.

    Args:
        finder: finds faces; its landmarks are MediaPipe's 478.
        network: measures them: (1, 3, H, W) in [0, 1] -> (1, numbers).
        device: where it runs.
    """

    def __init__(self, finder: Tracker, network: nn.Module, device: str = "cpu") -> None:
        self._finder, self._device = finder, torch.device(device)
        self._network = network.eval().requires_grad_(False).to(self._device)

    def faces(self, image: Image) -> list[Face]:
        """All faces in a still picture, largest first."""
        return [self._measured(image, face) for face in self._finder.faces(image)]

    def follow(self, frames: Iterable[Frame], face: int = 1) -> Iterator[Face | None]:
        """One face through consecutive frames."""
        waiting: deque[Image] = deque()

        def remembered() -> Iterator[Frame]:
            for frame in frames:
                waiting.append(frame.image)
                yield frame

        for found in self._finder.follow(remembered(), face):
            image = waiting.popleft()
            yield None if found is None else self._measured(image, found)

    @torch.inference_mode()
    def _numbers(self, crop: Image) -> Floats:
        """(numbers,) that the network gives for a crop."""
        given = torch.from_numpy(crop).to(self._device).permute(2, 0, 1)[None].float() / 255
        numbers: Floats = self._network(given)[0].cpu().numpy()
        return numbers

    @abstractmethod
    def _measured(self, image: Image, face: Face) -> Face:
        """The same face with the coefficients of this tracker's space."""
