"""Is it still the same person: cosine of dlib's face embeddings."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from countenance.arrays import Doubles, Floats, Image
from countenance.errors import DependencyMissing
from countenance.weights.dlib_files import RECOGNITION, dlib_file

_SHAPE = "shape_predictor_5_face_landmarks.dat"


def identity_cosine_dlib(first: Doubles, second: Doubles) -> float:
    """CSIM on dlib's 128 numbers, in [-1, 1]; higher is better. Different people are often above 0.8: compare, don't
    threshold.

    Args:
        first: (128,) from :func:`face_embedding`.
        second: (128,).
    """
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def face_embedding(image: Image, box_px: Floats) -> Doubles:
    """dlib's face descriptor (128,).

    Args:
        image: H x W x 3.
        box_px: (4,) left, top, right, bottom of the landmarks.

    Raises:
        DependencyMissing: dlib or its weights.
    """
    dlib, shape, network = _networks()
    left, top, right, bottom = (int(v) for v in box_px)
    top += int(0.15 * (bottom - top))  # dlib's own face boxes begin at the brows
    landmarks = shape(image, dlib.rectangle(left, top, right, bottom))
    return np.asarray(network.compute_face_descriptor(np.ascontiguousarray(image), landmarks), np.float64)


def require_dlib() -> None:
    """Fail early where dlib or its weights are absent.

    Raises:
        DependencyMissing: with the way to get them.
    """
    _networks()


@cache
def _networks() -> tuple[Any, Any, Any]:
    needed_for = "the identity metric"
    shape, network = (dlib_file(name, needed_for) for name in (_SHAPE, RECOGNITION))
    try:
        import dlib
    except ImportError as error:
        raise DependencyMissing("dlib-bin", "evaluation", needed_for) from error
    return dlib, dlib.shape_predictor(str(shape)), dlib.face_recognition_model_v1(str(network))
