"""``.npz`` and ``.npy`` files: what they declare is checked before any of it is unpacked, and objects are refused."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from countenance.stored.content import Malformed, size_of_file

MOST_BYTES: Final = 2**29
"""Of all arrays of a file, counted as float32 or wider, whatever they are stored as. Hours of motion are far below."""

_MOST_MEMBERS: Final = 1000
_MOST_HEADER: Final = 64 * 2**10
_WHAT_A_BAD_ARCHIVE_RAISES: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    MemoryError,
    NotImplementedError,  # ways to compress that Python lacks
    OverflowError,
    RuntimeError,  # passwords
    UnicodeDecodeError,
)


class NpyHeader(NamedTuple):
    """What an array says of itself.

    Attributes:
        shape: sizes.
        fortran: columns first.
        dtype: of its numbers.
        size: bytes of the header.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    size: int

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers that should follow."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def taken(self) -> int:
        """Bytes that the numbers take as float32 or wider; names without letters count, too."""
        return math.prod(self.shape) * max(4, self.dtype.itemsize)


def read_npz(path: Path, most: int = MOST_BYTES) -> dict[str, NDArray[Any]]:
    """All arrays of a file, by name. Nothing of the file is run.

    Args:
        path: the file.
        most: see :data:`MOST_BYTES`.

    Raises:
        OSError: it can't be read.
        Malformed: no such file format, cut off, with objects; or it claims more than ``most``, or than it holds.
    """
    size_of_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename.removesuffix(".npy") for member in members]
            if len(members) > _MOST_MEMBERS or len(set(names)) < len(names):
                raise Malformed("it holds too many arrays, or one twice")
            declared = [_declared(archive, member) for member in members]
            if (total := sum(header.taken for header in declared)) > most:
                raise Malformed(
                    f"it claims arrays of {total:,} bytes, and {most:,} are the most that such a file has"
                )
            return {
                name: _array(archive, member, header)
                for name, member, header in zip(names, members, declared, strict=True)
            }
    except _WHAT_A_BAD_ARCHIVE_RAISES as error:
        raise Malformed("it is damaged or no .npz file") from error


def npy_header(file: IO[bytes]) -> NpyHeader:
    """The header at the start of an array; ``file`` stands behind it afterwards.

    Raises:
        Malformed: there is none that is whole and of a known version.
    """
    start = file.read(8)
    width = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}.get(start[6:])
    if start[:6] != b"\x93NUMPY" or width is None:
        raise Malformed("it holds something that is no array")
    stated = file.read(width)
    length = int.from_bytes(stated, "little")
    if length > _MOST_HEADER:
        raise Malformed(f"an array in it has a header of {length:,} bytes")
    text = file.read(length)
    read = np.lib.format.read_array_header_1_0 if width == 2 else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(io.BytesIO(stated + text))
    except (
        ValueError,
        SyntaxError,
        TypeError,
        MemoryError,
        RecursionError,
        tokenize.TokenError,
        EOFError,
    ) as error:
        raise Malformed("an array in it has a damaged header") from error
    if not all(type(side) is int and 0 <= side < 2**62 for side in shape):
        raise Malformed(f"an array in it has the shape {str(shape)[:60]}")
    return NpyHeader(shape, fortran, dtype, len(start) + width + length)


def _declared(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NpyHeader:
    if not member.filename.endswith(".npy"):
        raise Malformed(f"it holds '{member.filename[:60]}', which is no array")
    with archive.open(member) as file:
        header = npy_header(file)
    if header.dtype.kind not in "biufSU":
        raise Malformed(f"'{member.filename[:60]}' holds pickled objects or records, which are never loaded")
    if header.size + header.nbytes != member.file_size:
        raise Malformed(f"'{member.filename[:60]}' claims {header.nbytes:,} bytes, and has others")
    return header


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: NpyHeader) -> NDArray[Any]:
    with archive.open(member) as file:
        file.read(header.size)
        content = bytearray(file.read(header.nbytes))
        file.read(1)  # the end, where its checksum is compared
    if len(content) != header.nbytes:
        raise Malformed(f"'{member.filename[:60]}' is cut off")
    if header.dtype.kind == "U":
        letters = np.frombuffer(content, np.dtype("u4").newbyteorder(header.dtype.byteorder))
        if ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters < 0xE000))).any():
            raise Malformed(f"'{member.filename[:60]}' holds text that is none")
    try:
        return np.ndarray(header.shape, header.dtype, content, order="F" if header.fortran else "C")
    except (ValueError, TypeError) as error:  # sizes whose product is 0, but not without the zero
        raise Malformed(f"'{member.filename[:60]}' has an impossible shape") from error
