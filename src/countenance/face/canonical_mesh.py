"""The canonical face mesh that travels inside MediaPipe's ``face_landmarker.task``.

The bundle is a zip; its member ``geometry_pipeline_metadata_landmarks.binarypb`` is a protocol buffer
(``GeometryPipelineMetadata``): field 2 holds the mesh, field 3 the landmarks that MediaPipe fits the head pose
to, with weights. The few wire types in it are read here directly; a protobuf library would need the schema.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from countenance.arrays import Doubles, Indices
from countenance.errors import WeightsDamaged

MEMBER = "geometry_pipeline_metadata_landmarks.binarypb"


@dataclass(frozen=True)
class CanonicalMesh:
    """Vertices (468, 3) in cm (head frame), triangles (898, 3), weights (468,) of the pose landmarks."""

    vertices: Doubles
    triangles: Indices
    pose_weights: Doubles


def read_canonical_mesh(bundle: Path) -> CanonicalMesh:
    """Read the mesh out of a ``face_landmarker.task`` bundle.

    Raises:
        WeightsDamaged: the file is no such bundle.
    """
    try:
        with zipfile.ZipFile(bundle) as archive:
            raw = archive.read(MEMBER)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsDamaged(bundle, f"no {MEMBER} in it ({error})") from error
    messages = [value for _, value in _fields(raw) if isinstance(value, bytes)]
    mesh = max(messages, key=len)
    floats = [value for number, value in _fields(mesh) if number == 3]
    indices = [value for number, value in _fields(mesh) if number == 4]
    vertices = np.array([struct.unpack("<f", f)[0] for f in floats if isinstance(f, bytes)]).reshape(-1, 5)
    weights = np.zeros(len(vertices))
    for message in messages:
        if message is not mesh:
            entry = dict(_fields(message))
            index, weight = entry.get(1, 0), entry.get(2, b"\0\0\0\0")
            if isinstance(index, int) and isinstance(weight, bytes):
                weights[index] = struct.unpack("<f", weight)[0]
    return CanonicalMesh(vertices[:, :3].copy(), np.array(indices, np.int32).reshape(-1, 3), weights)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and raw values of a protocol buffer message (varints as int, the rest as bytes)."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        else:
            size = 4 if wire == 5 else 8
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = message[at]
        at += 1
        result |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return result, at
