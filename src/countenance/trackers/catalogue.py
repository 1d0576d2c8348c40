"""The trackers by name: ours, and those of other packages."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from countenance.devices import Device, device_named
from countenance.errors import DependencyMissing, UnknownName, WeightsMissing, expect_type
from countenance.plugins import BrokenPlugin, broken_plugins, load_plugin, plugin_code, plugins
from countenance.trackers.tracker import Tracker


def _mediapipe(device: str) -> Tracker:
    """On the CPU, always: its network takes less time there than a picture's way to a GPU and back."""
    if device != "auto":
        device_named(device)
    from countenance.trackers.mediapipe_tracker import MediaPipeTracker
    from countenance.weights.assets import FACE_LANDMARKER, require_asset

    return MediaPipeTracker(require_asset(FACE_LANDMARKER))


def _deep3d(device: str) -> Tracker:
    paths = _authors_files("deep3d", "github.com/sicxu/Deep3DFaceRecon_pytorch", _DEEP3D_FILES)
    from countenance.trackers.deep3d_tracker import Deep3DTracker

    return Deep3DTracker(_mediapipe("cpu"), *paths, device=device_named(device))


def _deca(device: str) -> Tracker:
    paths = _authors_files("deca", "github.com/yfeng95/DECA", _DECA_FILES)
    from countenance.trackers.deca_tracker import DecaTracker

    return DecaTracker(_mediapipe("cpu"), *paths, device=device_named(device))


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
TRACKERS: dict[str, Callable[[str], Tracker]] = {"mediapipe": _mediapipe, "deep3d": _deep3d, "deca": _deca}
_BY_SPACE = {"arkit": "mediapipe", "bfm": "deep3d", "flame": "deca"}
_GROUP = "countenance.trackers"


def tracker_names() -> tuple[str, ...]:
    """The names that :func:`load_tracker` takes: ours, then those of other packages."""
    return (*TRACKERS, *(name for name in plugins(_GROUP) if name not in TRACKERS))


def broken_trackers() -> list[BrokenPlugin]:
    """Trackers of other packages that can't be used, and why; the others are imported, but not made."""
    return broken_plugins(_GROUP, TRACKERS, lambda name: load_plugin(_GROUP, name))


def load_tracker(name: str = "mediapipe", device: Device | str = "auto") -> Tracker:
    """A tracker, ready to use; its assets are fetched if need be.

    Args:
        name: of the catalogue.
        device: where it computes, as in :func:`countenance.renderers.catalogue.load_renderer`; MediaPipe's always
            uses the CPU.

    Raises:
        UnknownName: with the nearest names.
        WeightsMissing: an asset that can't be had.
        PluginBroken: another package's, which can't be loaded.
        BadValue: a device that is not here.
    """
    expect_type(name, str, "the tracker", "give its name")
    if name in TRACKERS:
        return TRACKERS[name](device)
    if name not in plugins(_GROUP):
        raise UnknownName("tracker", name, tracker_names())
    make = load_plugin(_GROUP, name)
    with plugin_code(_GROUP, name):
        tracker: Tracker = make(device_named(device))
    return tracker


def tracker_for(space: str, device: Device | str = "auto") -> Tracker:
    """The tracker that measures motion in ``space``.

    Raises:
        UnknownName: no tracker does.
        CountenanceError: as :func:`load_tracker`.
    """
    if space not in _BY_SPACE:
        raise UnknownName("motion space with a tracker", space, _BY_SPACE)
    return load_tracker(_BY_SPACE[space], device)
