"""The default morphable model: MediaPipe's 478 points with an ARKit-named expression basis.

The neutral shape is the canonical mesh of MediaPipe's own bundle (Apache-2.0) with the average irises of our
training clips; ``tools/fit_expression_basis.py`` fitted the basis, and the file's metadata holds its fit error.
It has no identity basis: a person's shape is what the tracker sees, with pose and expression taken out.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

import numpy as np
from safetensors import safe_open

from countenance.arrays import Floats, Indices
from countenance.face.mediapipe_topology import IBUG_68, REGIONS, VERTEX_COUNT
from countenance.face.morphable import LinearModel, as_indices
from countenance.face.surface_points import SurfacePoints
from countenance.motion.spaces import ARKIT_SHAPES

_FILE = "mediapipe_face.safetensors"


@cache
def mediapipe_model() -> LinearModel:
    """The model, loaded once: 478 vertices, 898 triangles, 52 expressions, centimetres."""
    stored = _stored()
    return LinearModel(
        name="mediapipe",
        mean=stored["neutral"],
        identity_basis=np.zeros((0, VERTEX_COUNT, 3), np.float32),
        expression_basis=stored["basis"].astype(np.float32),
        expression_names=ARKIT_SHAPES,
        triangles=stored["triangles"].astype(np.int32),
        landmark_points=SurfacePoints.at_vertices(IBUG_68),
        regions={name: as_indices(np.array(points)) for name, points in REGIONS.items()},
        cm_per_unit=1.0,
    )


@cache
def pose_weights() -> Floats:
    """(478,) weights of the points that MediaPipe's own pose fit uses: those that expressions move least."""
    return _stored()["pose_weights"]


@cache
def mirrored_vertices() -> Indices:
    """(478,) for each point the one that takes its place in the picture's mirror image."""
    mean = mediapipe_model().mean
    flipped = mean * np.array([-1, 1, 1], np.float32)
    return np.asarray(np.linalg.norm(flipped[:, None] - mean[None], axis=2).argmin(1), np.int32)


def fit_report() -> dict[str, dict[str, float]]:
    """Fit error of the basis as measured when it was made: per split, motion and residual in cm."""
    with (
        resources.as_file(resources.files(__package__) / "data" / _FILE) as path,
        safe_open(path, "np") as file,
    ):
        report: dict[str, dict[str, float]] = json.loads(file.metadata()["fit"])
    return report


@cache
def _stored() -> dict[str, Floats]:
    with (
        resources.as_file(resources.files(__package__) / "data" / _FILE) as path,
        safe_open(path, "np") as file,
    ):
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no dict
