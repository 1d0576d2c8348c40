"""MATLAB 5 files: the arrays of numbers in them. What else they can hold (cells, structures, texts) is passed over."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from countenance.stored.content import Malformed, read_bytes

_MOST_BYTES: Final = 2**29
_HEADER: Final = 128
_KINDS: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_CLASSES_OF_NUMBERS: Final = range(6, 16)


class _Element(NamedTuple):
    kind: int
    content: bytes


def read_mat(path: Path) -> dict[str, NDArray[Any]]:
    """All real arrays of numbers of a file, by name, in the kinds of numbers that they are stored as.

    Raises:
        OSError: it can't be read.
        Malformed: no MATLAB 5 file, cut off, or it unpacks to more than any model.
    """
    content = read_bytes(path, _MOST_BYTES)
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None or content[124:126] not in (b"\x00\x01", b"\x01\x00"):
        raise Malformed("it does not begin as one of version 5")
    left, arrays = _MOST_BYTES, dict[str, NDArray[Any]]()
    for element in _elements(content[_HEADER:], order):
        if element.kind == _COMPRESSED:
            unpacked = _unpacked(element.content, left)
            left -= len(unpacked)
            element = next(_elements(unpacked, order), element)
        if element.kind != _MATRIX:
            raise Malformed("it holds something that is no array")
        name, array = _array(element.content, order)
        if array is not None:
            arrays[name] = array
    return arrays


def _unpacked(packed: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, most)
    except zlib.error as error:
        raise Malformed("it is damaged") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise Malformed("it is cut off, or unpacks to more than any model")
    return content


def _elements(content: bytes, order: str) -> Iterator[_Element]:
    """One behind the other; all but compressed ones fill eight bytes."""
    at = 0
    while at < len(content):
        kind, size = np.frombuffer(content[at : at + 8].ljust(8, b"\0"), f"{order}u4").tolist()
        start = at + 8
        if kind >> 16:  # four bytes or fewer stand in the second half of the tag
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
        if start + size > len(content) or (start < at + 8 and size > 4):
            raise Malformed("it is cut off")
        yield _Element(kind, content[start : start + size])
        at = start + size if kind == _COMPRESSED else -(-(start + size) // 8) * 8


def _array(content: bytes, order: str) -> tuple[str, NDArray[Any] | None]:
    """Name and numbers; None for what is no array of real numbers."""
    parts = _elements(content, order)
    flags, sides, name = (next(parts, _Element(0, b"")) for _ in range(3))
    if (flags.kind, sides.kind, name.kind) != (_UINT32, _INT32, _INT8) or len(flags.content) != 8:
        raise Malformed("an array in it has a damaged header")
    about = int(np.frombuffer(flags.content, f"{order}u4")[0])
    if about & 0xFF not in _CLASSES_OF_NUMBERS or about & 0x800:  # complex
        return "", None
    shape = [int(side) for side in np.frombuffer(sides.content[: len(sides.content) // 4 * 4], f"{order}i4")]
    numbers = next(parts, _Element(0, b""))
    dtype = np.dtype(order + _KINDS.get(numbers.kind, "u1"))
    fits = math.prod(shape) * dtype.itemsize == len(numbers.content) and min(shape, default=-1) >= 0
    if numbers.kind not in _KINDS or not fits:
        raise Malformed("an array in it has other sizes than it says")
    try:
        array = np.ndarray(shape, dtype, bytearray(numbers.content), order="F")
    except ValueError as error:
        raise Malformed("an array in it has an impossible shape") from error
    return name.content.decode("latin1"), array
