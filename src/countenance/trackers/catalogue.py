"""The trackers by name."""

from __future__ import annotations

from collections.abc import Callable

from countenance.errors import UnknownName
from countenance.trackers.tracker import Tracker


def _mediapipe() -> Tracker:
    from countenance.trackers.mediapipe_tracker import MediaPipeTracker
    from countenance.weights.assets import FACE_LANDMARKER, require_asset

    return MediaPipeTracker(require_asset(FACE_LANDMARKER))


TRACKERS: dict[str, Callable[[], Tracker]] = {"mediapipe": _mediapipe}
_BY_SPACE = {"arkit": "mediapipe"}


def load_tracker(name: str = "mediapipe") -> Tracker:
    """A tracker, ready to use; its assets are fetched if need be.

    Raises:
        UnknownName: with the nearest names.
        WeightsMissing: an asset that can't be had.
    """
    if name not in TRACKERS:
        raise UnknownName("tracker", name, TRACKERS)
    return TRACKERS[name]()


def tracker_for(space: str) -> Tracker:
    """The tracker that measures motion in ``space``.

    Raises:
        UnknownName: no tracker does.
    """
    if space not in _BY_SPACE:
        raise UnknownName("motion space with a tracker", space, _BY_SPACE)
    return load_tracker(_BY_SPACE[space])
