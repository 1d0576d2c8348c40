"""Pairs of frames and what the default tracker's mesh says about them: what training takes."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from countenance.arrays import Floats, Image
from countenance.data.pairs import Pair, as_batch
from countenance.errors import BadValue
from countenance.face.rasterizer import Raster
from countenance.face.rasterizer_torch import RasterBatch, interpolate
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.crop import Crop
from countenance.renderers.gdpw.head_guidance import guide, source_view
from countenance.renderers.geometric.avatar import GeometricAvatar
from countenance.training.recipe import Batch

_EXPLAINED = 8.0  # mean difference in levels of 255 below which a place counts as found


def head_batch(pairs: list[Pair], size: int, *, flow: bool) -> Batch:
    """Pairs, and what their meshes say, from first frames to second ones and then back.

    Args:
        pairs: B pairs with landmarks.
        size: h = w of the patterns in px.
        flow: also look for the way from the targets to the start pictures.

    Returns:
        That of :func:`countenance.data.pairs.as_batch`, and
        ``start`` (2B, 3, S, S) uint8, the geometric renderer's pictures;
        ``displacement`` (2B, 2, h, w), where 2 is the whole picture;
        ``places`` (2B, 478, 2), the targets' landmarks, -1 to 1;
        ``index`` (2, 2B, h, w) and ``shares`` (2, 2B, h, w, 3), views of the driving and the source mesh;
        ``triangles`` (T, 3); and with ``flow`` ``optical_flow`` (2B, 2, h, w) and ``trusted`` (2B, h, w).
    """
    directions = [(pair, a, 1 - a) for a in (0, 1) for pair in pairs]
    drawn, sources = [], list[Raster]()
    for pair, a, b in directions:
        avatar = avatar_of(pair, a)
        drawn.append(guide(avatar, pair.own[b], size))
        sources.append(source_view(avatar, size))
    views = [[frame.driving for frame in drawn], sources]
    targets = [pair.pictures[b] for pair, _, b in directions]
    side = targets[0].shape[0]
    places = np.stack([landmarks_of(pair, b)[:, :2] for pair, _, b in directions]) * (2 / side) - 1
    batch: dict[str, Tensor] = {
        **as_batch(pairs),
        "start": _planes([frame.start for frame in drawn]),
        "displacement": _planes([frame.displacement for frame in drawn]),
        "index": torch.from_numpy(np.stack([[v.triangle_index for v in side] for side in views])),
        "shares": torch.from_numpy(np.stack([[v.barycentric for v in side] for side in views])),
        "triangles": torch.from_numpy(avatar.mesh.triangles),
        "places": torch.from_numpy(places),
    }
    if flow:
        found = [optical_flow(t, frame.start, size) for t, frame in zip(targets, drawn, strict=True)]
        batch["optical_flow"] = _planes([way for way, _ in found])
        batch["trusted"] = torch.from_numpy(np.stack([right for _, right in found]))
    return batch


def _planes(pictures: list[Image] | list[Floats]) -> Tensor:
    """(N, H, W, C) -> (N, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2)))


def optical_flow(target: Image, start: Image, size: int) -> tuple[Floats, Floats]:
    """Where each place of the target is found in the start picture (DIS, Kroeger et al. 2016), and where that is right.

    Args:
        target: S x S x 3.
        start: S x S x 3.
        size: h = w of the results.

    Returns:
        (h, w, 2) in px of that grid, and (h, w): 1 where going there explains the target, 0 elsewhere.
    """
    wanted, given = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (target, start))
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = np.asarray(finder.calc(wanted, given, np.zeros((*wanted.shape, 2), np.float32)), np.float32)
    side = target.shape[0]
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    columns, rows = columns + flow[..., 0], rows + flow[..., 1]
    moved = cv2.remap(given, columns, rows, cv2.INTER_LINEAR)
    after, before = (cv2.blur(cv2.absdiff(p, wanted).astype(np.float32), (7, 7)) for p in (moved, given))
    inside = (np.minimum(columns, rows) >= 0) & (np.maximum(columns, rows) < side)
    right = (after < _EXPLAINED) & (after <= before + 1) & inside
    small = cv2.resize(flow, (size, size), interpolation=cv2.INTER_AREA) * (size / side)
    trusted = cv2.resize(right.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32), np.asarray(trusted, np.float32)


def landmarks_of(pair: Pair, which: int) -> Floats:
    """(478, 3) in px of the picture."""
    if pair.landmarks_px is None:
        raise BadValue("the pair was drawn without landmarks; ask the sampler for them")
    return np.asarray(pair.landmarks_px[which], np.float32)


def avatar_of(pair: Pair, which: int) -> GeometricAvatar:
    """One frame of a pair as the mesh's source."""
    picture, side = pair.pictures[which], pair.pictures.shape[1]
    return GeometricAvatar(
        picture, landmarks_of(pair, which), Motion(pair.own[which][None], ARKIT, 25.0), Crop(0, 0, side)
    )


def drawn_codes(
    codes: Tensor | None, index: Tensor, shares: Tensor, triangles: Tensor
) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """Codes (V, d) on the driving and the source mesh, each (B, d, h, w)."""
    if codes is None:
        return None, None
    driving, source = (
        interpolate(RasterBatch(i, s, s[..., 0], triangles.long()), codes).permute(0, 3, 1, 2)
        for i, s in zip(index, shares, strict=True)
    )
    return driving, source
