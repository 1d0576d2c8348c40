"""Where one shot of a film ends and the next begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from countenance.arrays import Floats, Image
from countenance.media.frames import Frame

_SIDE = 24  # px of the thumbnails that are compared: motion within a shot hardly shows
_CUT = 26.0  # mean change of a thumbnail's pixels, of 255, from which on it can be a cut
_ABOVE_USUAL = 4.0  # and so many times what the shot's frames usually change, as in hand-held films


def shots(frames: Iterable[Frame]) -> Iterator[Iterator[Frame]]:
    """Split a film at its hard cuts.

    Args:
        frames: of the film, in order; one at a time is held.

    Returns:
        The shots; each must be used up before the next is asked for, as with ``itertools.groupby``.
    """
    detector = _CutDetector()
    coming = iter(frames)
    waiting: list[Frame] = list(_first(coming))

    def shot() -> Iterator[Frame]:
        yield waiting.pop()
        for frame in coming:
            if detector.cuts_before(frame.image):
                waiting.append(frame)
                return
            yield frame

    if waiting:
        detector.cuts_before(waiting[0].image)
    while waiting:
        yield shot()


def _first(frames: Iterator[Frame]) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        return


class _CutDetector:
    """Compares thumbnails of neighbouring frames."""

    def __init__(self) -> None:
        self._last: Floats | None = None
        self._usual = 0.0

    def cuts_before(self, image: Image) -> bool:
        """Whether a new shot begins with this frame."""
        small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        before, self._last = self._last, small
        if before is None or before.shape != small.shape:
            return False
        change = float(np.abs(small - before).mean())
        if change > max(_CUT, _ABOVE_USUAL * self._usual):
            self._usual = 0.0
            return True
        self._usual = 0.9 * self._usual + 0.1 * change
        return False
