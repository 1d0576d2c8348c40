"""Is it still the same person: CSIM, the cosine of ArcFace's face embeddings, as the papers report it.

Papers differ in the model they take (InsightFace's of several data sets and depths), and seldom say which; compare
figures of one model only.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from countenance.arrays import Doubles, Floats, Image
from countenance.errors import BadValue, DependencyMissing
from countenance.face.alignment import ARCFACE_PX, five_points
from countenance.face.mediapipe_topology import IBUG_68, VERTEX_COUNT
from countenance.face.procrustes import similarity

if TYPE_CHECKING:
    from countenance.evaluation.metrics.iresnet import IResNet

SIDE_PX: Final = 112


def identity_cosine_arcface(first: Doubles, second: Doubles) -> float:
    """CSIM in [-1, 1]; higher is better. Different people are about 0.

    Args:
        first: (512,) from :func:`face_embedding_arcface`.
        second: (512,) of the same network.
    """
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def face_embedding_arcface(image: Image, landmarks_px: Floats, network: IResNet | None = None) -> Doubles:
    """ArcFace's embedding (512,), not of unit length.

    Args:
        image: H x W x 3, RGB.
        landmarks_px: (478, 2 or 3), MediaPipe's, in px of the picture.
        network: from :func:`countenance.evaluation.metrics.iresnet.load_arcface`; None loads r50.

    Raises:
        BadValue: other landmarks.
        DependencyMissing: PyTorch.
        WeightsMissing: ArcFace's weights are not on this machine.
        WeightsDamaged: they are not what they should be.
    """
    face = aligned_face(image, landmarks_px)
    network = _network() if network is None else network
    import torch

    with torch.inference_mode():
        given = torch.tensor(face).permute(2, 0, 1)[None].float() / 127.5 - 1
        return np.asarray(network(given)[0], np.float64)


def aligned_face(image: Image, landmarks_px: Floats) -> Image:
    """The face as ArcFace was trained: 112 x 112, eyes, nose and mouth near ``ARCFACE_PX``; black outside.

    The five points are fitted by a similarity, as in InsightFace's ``face_align.norm_crop``. InsightFace has them from
    its face detector; here they are MediaPipe's, an eye being the middle of its corners.

    Args:
        image: H x W x 3.
        landmarks_px: (478, 2 or 3), MediaPipe's, in px of the picture.

    Raises:
        BadValue: another number of landmarks, NaN, or all in one point.
    """
    import cv2

    if landmarks_px.ndim != 2 or len(landmarks_px) != VERTEX_COUNT:
        raise BadValue(f"ArcFace takes MediaPipe's landmarks ({VERTEX_COUNT}, 3), not {landmarks_px.shape}")
    points = five_points(landmarks_px[list(IBUG_68), :2])
    if not np.isfinite(points).all() or np.ptp(points, axis=0).max() < 1:
        raise BadValue("landmarks to align hold NaN or infinite values, or lie all in one point")
    # in px of this package the first pixel's centre is (0.5, 0.5), in OpenCV's (0, 0)
    scale, rotation, shift = similarity(points - 0.5, np.array(ARCFACE_PX))
    matrix = np.column_stack([scale * rotation, shift])
    return np.asarray(cv2.warpAffine(image, matrix, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR), np.uint8)


@cache
def _network() -> IResNet:
    try:
        from countenance.evaluation.metrics.iresnet import load_arcface
    except ImportError as error:
        raise DependencyMissing("torch", "torch", "the identity metric with ArcFace") from error
    return load_arcface()
