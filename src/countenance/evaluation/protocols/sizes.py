"""How much of each clip a protocol takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from countenance.errors import BadValue


@dataclass(frozen=True)
class Sizes:
    """Limits of a case.

    Attributes:
        frames: most frames of a driver that are rendered.
        compared: most frames at which pictures are compared.

    Raises:
        BadValue: less than one.
    """

    frames: int = 100
    compared: int = 10

    def __post_init__(self) -> None:
        """Checks the numbers."""
        if min(self.frames, self.compared) < 1:
            raise BadValue(
                f"{self.frames} frames with {self.compared} compared can't be evaluated; give 1 or more"
            )


def spread(frames: list[int], most: int) -> tuple[int, ...]:
    """At most so many of some frames, evenly spread; the first is left out if there are others, as it often is the
    source itself.
    """
    others = frames[1:] or frames
    picked = np.unique(np.linspace(0, len(others) - 1, min(most, len(others))).round().astype(int))
    return tuple(others[i] for i in picked.tolist()) if others else ()
