"""What every model that turns speech into motion offers, and the table of what is known of it without loading it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from countenance.audio.features import SpeechFeatures
from countenance.errors import WeightsDamaged
from countenance.motion.sequence import Motion
from countenance.motion.spaces import SPACES
from countenance.weights.weight_files import name_of_weights


@dataclass(frozen=True)
class SpeechSpec:
    """What is known of a model without loading it.

    Attributes:
        name: for ``--voice-model``.
        summary: one line.
        motion_space: of its results.
        licence: of code and weights.
        paper: where it is described.
        samples: another seed gives another performance.
        moves_head: it makes poses, too.
        needs_samples: its features must come with the samples themselves.
    """

    name: str
    summary: str
    motion_space: str
    licence: str
    paper: str
    samples: bool = False
    moves_head: bool = False
    needs_samples: bool = False

    def of_file(self, path: Path, space: str, *, needs_samples: bool = False) -> SpeechSpec:
        """The spec of weights that somebody trained: like this one, with the file's name.

        Raises:
            WeightsDamaged: there is no such motion space.
        """
        if space not in SPACES:
            raise WeightsDamaged(path, f"'{space[:40]}' is no motion space", "update countenance")
        return replace(
            self,
            name=name_of_weights(path),
            motion_space=space,
            licence="that of whoever trained it",
            needs_samples=needs_samples,
        )


class SpeechDriver(Protocol):
    """Speech -> motion at 25 frames a second."""

    @property
    def spec(self) -> SpeechSpec:
        """Name and needs."""
        ...

    def motion(
        self,
        features: SpeechFeatures,
        *,
        first: Motion | None = None,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> Motion:
        """What a face does that says this.

        Args:
            features: T frames.
            first: the motion before the first frame, one frame; a face at rest if None.
            seed: of models that sample.
            temperature: of models that sample: 0 always gives the likeliest, 1 what was learnt.

        Returns:
            T frames at 25 a second. Pose is neutral in models that do not move the head, else relative to ``first``.

        Raises:
            MotionSpaceMismatch: ``first`` is in another space.
        """
        ...


_STRETCH = 500  # frames that are heard at once
_MARGIN = 40  # frames on each side that an encoder may look at


def stretches(count: int) -> Iterator[tuple[int, int, int, int]]:
    """Pieces of a long recording, heard one by one with what lies around them.

    Args:
        count: frames in all.

    Returns:
        First frame to hear and the one after the last, first frame to use and the one after the last.
    """
    for start in range(0, count, _STRETCH):
        end = min(start + _STRETCH, count)
        yield max(0, start - _MARGIN), min(count, end + _MARGIN), start, end
