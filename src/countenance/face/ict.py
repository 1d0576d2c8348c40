"""ICT-FaceKit (Li et al. 2020; MIT licence): a full head with eyes, teeth and 53 named expressions.

Lengths are centimetres and the axes are the head frame's. The origin lies inside the head, between the ears.
Its expressions carry ARKit's names, with ``_L`` and ``_R`` for the person's left and right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Floats, Indices
from countenance.face.landmark_regions import landmark_regions
from countenance.face.model_files import ModelFile, read_stored
from countenance.face.morphable import LinearModel, as_indices
from countenance.face.surface_points import SurfacePoints
from countenance.stored.json_text import parsed_json
from countenance.stored.npz import read_npz

SPLIT_IN_ICT: Final = ("browInnerUp", "cheekPuff")
"""ARKit has one of these, ICT a left and a right one. ARKit's ``tongueOut`` has no counterpart in ICT."""

_MATERIALS: Final[dict[str, tuple[str, ...]]] = {
    "face": ("M_Face",),
    "back_head": ("M_BackHead",),
    "gums_tongue": ("M_GumsTongue",),
    "teeth": ("M_Teeth",),
    "left_eyeball": ("M_ScleraLeft", "M_IrisLeft"),
    "right_eyeball": ("M_ScleraRight", "M_IrisRight"),
    "left_iris": ("M_IrisLeft",),
    "right_iris": ("M_IrisRight",),
    "eye_overlays": ("M_LacrimalFluid", "M_EyeBlend", "M_EyeOcclusion"),
    "eyelashes": ("M_EyeLashes",),
}
_FIX = "make ict_facekit_light.npz anew from ICT-FaceKit's light model"


@dataclass(frozen=True, kw_only=True, eq=False)
class IctModel(LinearModel):
    """ICT-FaceKit's linear head.

    Attributes:
        triangle_materials: (F,) index into ``material_names`` for every triangle.
        material_names: the model's surfaces: skin, teeth, sclera, lashes ...
    """

    triangle_materials: Indices
    material_names: tuple[str, ...]


def arkit_name(ict_name: str) -> str:
    """The ARKit shape that an ICT expression belongs to: ``eyeBlink_L`` -> ``eyeBlinkLeft``."""
    base, _, side = ict_name.partition("_")
    if not side or base in SPLIT_IN_ICT:
        return base
    return base + {"L": "Left", "R": "Right"}[side]


def ict_from_arkit(ict_names: Sequence[str], arkit_names: Sequence[str]) -> Floats:
    """Matrix M with ``ict = arkit @ M``: each side of a split shape gets ARKit's one weight.

    Args:
        ict_names: E names, as in ``IctModel.expression_names``.
        arkit_names: A names, in the order of the weights to convert.

    Returns:
        (A, E); rows of names that ICT lacks (``tongueOut``) are zero.
    """
    matches = [[arkit_name(ict) == arkit for ict in ict_names] for arkit in arkit_names]
    return np.array(matches, np.float32).reshape(len(arkit_names), len(ict_names))


def arkit_from_ict(ict_names: Sequence[str], arkit_names: Sequence[str]) -> Floats:
    """Matrix M with ``arkit = ict @ M``: a split shape gets the mean of its two sides.

    Returns:
        (E, A); columns of names that ICT lacks are zero.
    """
    matches = ict_from_arkit(ict_names, arkit_names).T
    sides: Floats = np.maximum(matches.sum(axis=0), 1)
    return np.divide(matches, sides)


def load_ict(path: Path | str) -> IctModel:
    """Reads ``ict_facekit_light.npz``: 26719 vertices, 100 identities, 53 expressions.

    Raises:
        WeightsMissing: there is no such file.
        WeightsDamaged: arrays missing, of other shapes, with NaN or with indices out of range.
    """
    path = Path(path)
    arrays = read_stored(path, read_npz, ".npz file of arrays", _FIX)
    file = ModelFile(path, arrays, _FIX)
    mean = file.floats("neutral", (None, 3))
    count = len(mean)
    names = _names(file, arrays, "expression_names")
    materials = _names(file, arrays, "material_names")
    quads = file.indices("quads", (None, 4), count)
    triangles, quad_of_triangle = _triangles(quads)
    surface = file.indices("material", (len(quads),), len(materials))[quad_of_triangle]
    landmarks = _landmarks(file, arrays, count)
    regions = {
        region: as_indices(
            triangles[np.isin(surface, [materials.index(m) for m in members if m in materials])]
        )
        for region, members in _MATERIALS.items()
    }
    skin = np.isin(np.arange(count), regions["face"])
    return IctModel(
        name="ict",
        mean=mean,
        identity_basis=file.floats("identities", (None, count, 3)),
        expression_basis=file.floats("expressions", (len(names), count, 3)),
        expression_names=names,
        triangles=triangles,
        landmark_points=SurfacePoints.at_vertices(landmarks),
        regions=regions | landmark_regions(mean, mean[landmarks], among=skin),
        cm_per_unit=1.0,
        triangle_materials=surface,
        material_names=materials,
    )


def _names(file: ModelFile, arrays: dict[str, NDArray[Any]], key: str) -> tuple[str, ...]:
    if key not in arrays or arrays[key].dtype.kind != "U" or arrays[key].ndim != 1:
        raise file.refuse(f"it has no list of names '{key}'")
    return tuple(arrays[key].tolist())


def _landmarks(file: ModelFile, arrays: dict[str, NDArray[Any]], count: int) -> Indices:
    """The 68 vertices that ICT-FaceKit's own index names as iBUG landmarks."""
    try:
        found = parsed_json(str(arrays["index_json"]))["idx_to_landmark_verts"]
        return ModelFile(file.path, {"landmarks": found}, _FIX).indices("landmarks", (68,), count)
    except (KeyError, TypeError, ValueError) as error:
        raise file.refuse("its 'index_json' names no landmarks") from error


def _triangles(quads: Indices) -> tuple[Indices, NDArray[np.intp]]:
    """Two triangles a quad, and the quad that each is from. A quad that repeats a corner is one triangle."""
    both = quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
    a, b, c = both.T
    kept = np.flatnonzero((a != b) & (b != c) & (c != a))
    return np.ascontiguousarray(both[kept]), kept // 2
