"""Trackers that measure anew the faces that another tracker finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator

from countenance.arrays import Image
from countenance.media.frames import Frame
from countenance.trackers.tracker import Face, Tracker


class RemeasuringTracker(ABC):
    """Finding and following, for a :class:`countenance.trackers.tracker.Tracker`.

    Args:
        finder: finds faces; its landmarks are MediaPipe's 478.
    """

    def __init__(self, finder: Tracker) -> None:
        self._finder = finder

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

    @abstractmethod
    def _measured(self, image: Image, face: Face) -> Face:
        """The same face with the coefficients of this tracker's space."""
