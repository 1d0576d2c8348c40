"""What OTAvatar's loss has of its own (Sec. 3.4): eyes and mouth, the same person.

The perceptual and style terms are :mod:`countenance.losses.perceptual`'s, those of the density
:mod:`countenance.generators.eg3d.density_losses`'s. Landmarks are the 68 of iBUG, (x, y) in px of
a picture of 512 x 512, whatever the pictures' own size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from countenance.arrays import Doubles
from countenance.face.alignment import ARCFACE_PX, five_points
from countenance.face.procrustes import similarity
from countenance.losses.arcface import SIDE as GREY_SIDE
from countenance.losses.arcface import GreyArcFace
from countenance.losses.dlib_face import CHIP_IBUG, CHIP_PX, DlibFace
from countenance.losses.dlib_face import SIDE as CHIP_SIDE

Recogniser: TypeAlias = GreyArcFace | DlibFace

LANDMARK_SIDE = 512
_REGIONS = {  # points, and padding in px of 512
    "mouth": (slice(48, 68), 10),
    "right_eye": (slice(36, 42), 20),
    "left_eye": (slice(42, 48), 20),
    "nose": (slice(27, 36), 10),
}
_MOUTH_PX, _EYE_PX = 120, 80
_GREY = (0.2989, 0.5870, 0.1140)


def region_boxes(landmarks: Tensor, side: int) -> dict[str, Tensor]:
    """Boxes of mouth, eyes (the person's left and right) and nose.

    Args:
        landmarks: (B, 68, 2).
        side: of the pictures, in px.

    Returns:
        Name -> (B, 4) whole px of the picture: left, top, right, bottom; they can reach beyond it.
    """
    whole = (landmarks * (side / LANDMARK_SIDE)).long()
    boxes = {}
    for name, (points, padding) in _REGIONS.items():
        margin = padding * side // LANDMARK_SIDE
        corner, opposite = whole[:, points].amin(1), whole[:, points].amax(1)
        boxes[name] = torch.cat([corner - margin, opposite + margin], 1)
    return boxes


def region_mask(landmarks: Tensor, side: int, outside: float) -> Tensor:
    """(B, 1, side, side): 1 in the boxes of :func:`region_boxes`, ``outside`` elsewhere."""
    at = torch.arange(side, device=landmarks.device)
    inside = torch.zeros(len(landmarks), side, side, dtype=torch.bool, device=landmarks.device)
    for box in region_boxes(landmarks, side).values():
        left, top, right, bottom = box[:, :, None].unbind(1)
        across, down = (at >= left) & (at < right), (at >= top) & (at < bottom)
        inside |= down[:, :, None] & across[:, None, :]
    return torch.where(inside, 1.0, outside)[:, None]


def roi_align(pictures: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Boxes cut out and resized by bilinear samples (He et al., "Mask R-CNN", Sec. 3), as the authors cut them.

    Pixel centres lie at whole numbers, and boxes are not shifted by the half pixel ("aligned" is off). A cell takes as
    many samples as pixels that it covers, at least one. Beyond the picture's edge by more than a pixel there is black.

    Args:
        pictures: (B, C, H, W).
        boxes: (B, 4), one a picture: left, top, right, bottom.
        side: of the result.

    Returns:
        (B, C, side, side), with gradients for the pictures.
    """
    height, width = pictures.shape[2:]
    corners = boxes.tolist()
    across = torch.stack([_cells(left, right, side, width) for left, _, right, _ in corners]).to(pictures)
    down = torch.stack([_cells(top, bottom, side, height) for _, top, _, bottom in corners]).to(pictures)
    return down[:, None] @ pictures @ across[:, None].mT


def _cells(start: float, end: float, cells: int, size: int) -> Tensor:
    """(cells, size): what each of ``size`` pixels in a row counts in the cells between ``start`` and ``end``."""
    cell = max(end - start, 1) / cells
    samples = math.ceil(cell)
    within = (torch.arange(samples) + 0.5) * (cell / samples)
    at = (
        (start + torch.arange(cells) * cell)[:, None] + within
    ).flatten()  # rounded in the order of torchvision
    tent = torch.relu(1 - (at.clamp(0, size - 1)[:, None] - torch.arange(size)).abs())
    tent = tent * ((at >= -1) & (at <= size))[:, None]
    return tent.reshape(cells, samples, size).mean(1)


def local_loss(predicted: Tensor, target: Tensor, landmarks: Tensor, *, eyes: bool) -> Tensor:
    """L_m, Eq. 13: the mean distance of the mouths plus that of the eyes, each cut out and enlarged.

    Args:
        predicted: (B, C, S, S) in [-1, 1].
        target: the same.
        landmarks: (B, 68, 2) of the target.
        eyes: False leaves the eyes out. In the authors' code both of an eye's crops come from the target, so that they
            never differ.
    """
    boxes = region_boxes(landmarks, predicted.shape[-1])
    sizes = {"mouth": _MOUTH_PX} | ({"right_eye": _EYE_PX, "left_eye": _EYE_PX} if eyes else {})
    crops = ((roi_align(p, boxes[name], side) for p in (predicted, target)) for name, side in sizes.items())
    return torch.stack([(ours - theirs).abs().mean() for ours, theirs in crops]).sum()


def face_alignment(landmarks: Tensor, side: int) -> Tensor:
    """(B, 2, 3): from px of pictures of ``side`` to px of ArcFace's input, pixel centres at whole numbers.

    The template is made for pictures of 112 px, but the authors lay it into those of 128 px; so faces sit a little to
    the upper left.

    Args:
        landmarks: (B, 68, 2).
        side: of the pictures, in px.
    """
    return _alignment(landmarks, side, five_points, ARCFACE_PX)


def chip_alignment(landmarks: Tensor, side: int) -> Tensor:
    """(B, 2, 3): the same to px of dlib's aligned faces ("chips")."""
    return _alignment(landmarks, side, lambda points: points[list(CHIP_IBUG)], CHIP_PX)


def _alignment(
    landmarks: Tensor,
    side: int,
    choose: Callable[[Doubles], Doubles],
    template: Sequence[tuple[float, float]],
) -> Tensor:
    matrices = []
    for points in (landmarks.detach().cpu().double() * (side / LANDMARK_SIDE)).numpy():
        scale, rotation, shift = similarity(choose(points), np.array(template))
        matrices.append(np.column_stack([scale * rotation, shift]))
    return torch.from_numpy(np.stack(matrices)).to(landmarks)


def aligned_grey(pictures: Tensor, matrices: Tensor) -> Tensor:
    """(B, 3, S, S) in [-1, 1] -> (B, 1, 128, 128) grey faces for ArcFace, 0 beyond the pictures."""
    grey = (pictures * torch.tensor(_GREY).to(pictures)[:, None, None]).sum(1, keepdim=True)
    return _aligned(grey, matrices, GREY_SIDE)


def aligned_chips(pictures: Tensor, matrices: Tensor) -> Tensor:
    """(B, 3, S, S) in [-1, 1] -> (B, 3, 150, 150) faces for dlib, black beyond the pictures."""
    return _aligned(pictures + 1, matrices, CHIP_SIDE) - 1


def _aligned(pictures: Tensor, matrices: Tensor, side: int) -> Tensor:
    at = torch.arange(side, device=pictures.device, dtype=matrices.dtype)
    there = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).reshape(-1, 2)
    source = (there - matrices[:, None, :, 2]) @ torch.linalg.inv(matrices[:, :, :2]).mT
    grid = (source * (2 / (pictures.shape[-1] - 1)) - 1).reshape(-1, side, side, 2)
    return F.grid_sample(
        pictures, grid.to(pictures), mode="bilinear", padding_mode="zeros", align_corners=True
    )


def embedded(network: Recogniser, pictures: Tensor, landmarks: Tensor) -> Tensor:
    """E of Eq. 14: (B, D), who is seen.

    Args:
        network: ArcFace's, as the paper has it (:func:`countenance.losses.arcface.load_grey_arcface`), or dlib's
            (:func:`countenance.losses.dlib_face.load_dlib_face`), whose vectors differ much less between people.
        pictures: (B, 3, S, S) in [-1, 1].
        landmarks: (B, 68, 2), by which they are aligned.
    """
    if isinstance(network, DlibFace):
        faces = aligned_chips(pictures, chip_alignment(landmarks, pictures.shape[-1]))
    else:
        faces = aligned_grey(pictures, face_alignment(landmarks, pictures.shape[-1]))
    vectors: Tensor = network(faces)
    return vectors


def identity_loss(ours: Tensor, theirs: Tensor) -> Tensor:
    """L_id, Eq. 14: the mean of 1 - cos of what :func:`embedded` gives, (B, D), 0 to 2; no gradient flows into
    ``theirs``.
    """
    return (1 - F.cosine_similarity(ours, theirs.detach(), dim=1)).mean()
