"""The trackers by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from countenance.errors import DependencyMissing, UnknownName, WeightsMissing
from countenance.trackers.tracker import Tracker


def _mediapipe() -> Tracker:
    from countenance.trackers.mediapipe_tracker import MediaPipeTracker
    from countenance.weights.assets import FACE_LANDMARKER, require_asset

    return MediaPipeTracker(require_asset(FACE_LANDMARKER))


def _deep3d() -> Tracker:
    paths = _authors_files("deep3d", "github.com/sicxu/Deep3DFaceRecon_pytorch", _DEEP3D_FILES)
    from countenance.trackers.deep3d_tracker import Deep3DTracker

    return Deep3DTracker(_mediapipe(), *paths)


def _deca() -> Tracker:
    paths = _authors_files("deca", "github.com/yfeng95/DECA", _DECA_FILES)
    from countenance.trackers.deca_tracker import DecaTracker

    return DecaTracker(_mediapipe(), *paths)


def _authors_files(tracker: str, described_at: str, files: dict[str, str]) -> list[Path]:
    """Where the files are that their authors' licence lets nobody else hand out."""
    if find_spec("torch") is None:
        raise DependencyMissing("torch", "torch", f"tracker '{tracker}'")
    from countenance.weights.assets import assets_folder

    paths = [assets_folder() / name for name in files]
    for path, original in zip(paths, files.values(), strict=True):
        if not path.is_file():
            raise WeightsMissing(
                path.name, f"get {original} as {described_at} describes and save it as {path}"
            )
    return paths


_DEEP3D_FILES = {"deep3d.pth": "epoch_20.pth", "similarity_Lm3D_all.mat": "similarity_Lm3D_all.mat"}
_DECA_FILES = {"deca_model.tar": "deca_model.tar"}
TRACKERS: dict[str, Callable[[], Tracker]] = {"mediapipe": _mediapipe, "deep3d": _deep3d, "deca": _deca}
_BY_SPACE = {"arkit": "mediapipe", "bfm": "deep3d", "flame": "deca"}


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
