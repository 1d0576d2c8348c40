"""Networks as dlib writes them (``.dat``), from the wheel ``face-recognition-models``, without dlib itself.

Such a file has no names and no index: layers follow each other from the input on, each begins with its kind, and tells
its numbers in a packed form of dlib's own (``dlib/serialize.h``, ``dlib/dnn/tensor.h``). Only numbers are read.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from countenance.arrays import Floats
from countenance.errors import DependencyMissing, WeightsDamaged, WeightsMissing

WHEEL: Final = "face-recognition-models"
RECOGNITION: Final = "dlib_face_recognition_resnet_model_v1.dat"
"""The network that tells people apart."""
_FIX: Final = f"get it again: pip install --force-reinstall --no-deps {WHEEL}"
_LEARNT = re.compile(rb"\x01[\x01-\x1f](con|affine|fc)_\d?")  # a text begins with the size of its own size
_NEGATIVE: Final = 0x80
_TENSOR_VERSION: Final = 2
_MOST: Final = 1 << 26  # numbers of one layer


class DlibLayer(NamedTuple):
    """A layer that has learnt something.

    Attributes:
        kind: "con" (convolution), "affine" (scale and shift of each channel), "fc" (fully connected).
        numbers: (N,) float32, weights and what follows them, in one row.
    """

    kind: str
    numbers: Floats


def dlib_file(name: str, needed_for: str) -> Path:
    """A file of the wheel, whose own import is broken where ``pkg_resources`` is gone.

    Args:
        name: such as :data:`RECOGNITION`.
        needed_for: what can't be done without it, for the error.

    Raises:
        DependencyMissing: the wheel is not installed.
        WeightsMissing: it is, without the file.
    """
    try:
        found = next(Path(str(f.locate())) for f in files(WHEEL) or () if f.name == name)
    except (PackageNotFoundError, StopIteration) as error:
        raise DependencyMissing(WHEEL, "evaluation", needed_for) from error
    if not found.is_file():
        raise WeightsMissing(name, _FIX)
    return found


def read_layers(path: Path) -> list[DlibLayer]:
    """What a network has learnt, from its input to its output.

    Raises:
        WeightsDamaged: cut off, or no such file of dlib's.
    """
    content = path.read_bytes()
    layers, at = list[DlibLayer](), 0
    while found := _LEARNT.search(content, at):
        try:
            at = found.end()
            if found[1] == b"fc":  # tells its sizes twice
                for _ in range(2):
                    _, at = _integer(content, at)
            numbers, at = _tensor(content, at)
        except (IndexError, ValueError) as error:
            raise not_the_one(path, "a layer of it can't be read") from error
        layers.append(DlibLayer(found[1].decode(), numbers))
    if not layers:
        raise not_the_one(path, "it is no network of dlib's")
    return layers


def not_the_one(path: Path, reason: str) -> WeightsDamaged:
    """The error that says how to get the file again."""
    return WeightsDamaged(path, reason, _FIX)


def _tensor(content: bytes, at: int) -> tuple[Floats, int]:
    """Version, four sizes, and as many little-endian floats."""
    version, at = _integer(content, at)
    if version != _TENSOR_VERSION:
        raise ValueError(version)
    count = 1
    for _ in range(4):
        size, at = _integer(content, at)
        count *= size
    if not 0 < count <= _MOST:
        raise ValueError(count)
    return np.frombuffer(content, "<f4", count, at).astype(np.float32), at + 4 * count


def _integer(content: bytes, at: int) -> tuple[int, int]:
    """One byte with the sign and how many bytes follow, then these, the lowest first."""
    head = content[at]
    end = at + 1 + (head & 0x0F)
    size = int.from_bytes(content[at + 1 : end], "little")
    return (-size if head & _NEGATIVE else size), end
