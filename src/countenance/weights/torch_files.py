"""Reads the files that ``torch.save`` wrote, without letting them run code or take memory that they have no bytes for.

Two formats, both a pickle and, outside of it, the storages of the tensors: a zip archive, with a member for each; or,
as before PyTorch 1.6, five pickles one behind the other, then the storages. PyTorch's own reader takes the memory that
a tensor claims before it looks whether the file has it.
"""

from __future__ import annotations

import io
import math
import mmap
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from countenance.errors import DependencyMissing, WeightsDamaged
from countenance.stored.content import Malformed, reason_of
from countenance.weights.files import expect_file
from countenance.weights.restricted_pickle import (
    CONTAINERS,
    NUMPY,
    WHAT_A_BAD_PICKLE_RAISES,
    AllowList,
    Settle,
    StandIn,
    Unpicklable,
    settle,
    unsettled,
)

if TYPE_CHECKING:
    from torch import Tensor

_MAGIC: Final = 0x1950A86A20F9469CFC6C  # first pickle of the older format
_PROTOCOL: Final = 1001  # second
_REPEATED: Final = 2**20  # numbers of a tensor that has more of them than its storage
_FIX: Final = "get it again from its authors"


def load_torch_file(path: Path) -> Any:
    """Tensors and plain containers of a ``.pt`` or ``.pth`` file.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: cut off, no such file format, with tensors of kinds that no weights have (sparse, quantised, of
            eight bits, complex), that claims more than it has, or with Python code inside (which is not run).
    """
    size = expect_file(path)
    try:
        with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as file:
            if file[:4] == b"PK\x03\x04":
                return _from_zip(opened, size)
            return _from_pickles(file, file)  # type: ignore[arg-type]  # a mapped file is a buffer, too
    except Unpicklable as error:
        raise WeightsDamaged(path, str(error), _FIX) from error
    except (Malformed, OSError) as error:
        raise WeightsDamaged(path, f"it is no complete torch file ({reason_of(error)})", _FIX) from error
    except (*WHAT_A_BAD_PICKLE_RAISES, zipfile.BadZipFile, zlib.error, BufferError) as error:
        raise WeightsDamaged(path, f"it is no complete torch file ({type(error).__name__})", _FIX) from error


def _from_zip(file: IO[bytes], size: int) -> Any:
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        whole = sum(member.file_size for member in members.values()) <= size
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members.values())
        if len(members) < len(archive.infolist()) or not whole or not stored:
            raise Malformed("its parts are compressed, overlap, or are larger than the file")
        pickled = next((name for name in members if name == "data.pkl" or name.endswith("/data.pkl")), None)
        if pickled is None:
            raise Malformed("it has no data.pkl")
        folder = pickled.removesuffix("data.pkl")
        if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
            raise Malformed("its numbers begin with their highest byte")

        def read(key: str, dtype: np.dtype[Any]) -> NDArray[Any]:
            return np.frombuffer(bytearray(archive.read(f"{folder}data/{key}")), dtype)

        storages = _Storages(read)
        content = unsettled(io.BytesIO(archive.read(pickled)), size, _ALLOWED, "utf-8", storages.stand_in)
        return settle(content, size)


def _from_pickles(file: IO[bytes], content: bytes) -> Any:
    """The older format.

    Args:
        file: reads ``content``.
        content: of the whole file.
    """
    size = len(content)
    if unsettled(file, size, {}) != _MAGIC or unsettled(file, size, {}) != _PROTOCOL:
        raise Malformed("it does not begin as one")
    unsettled(file, size, CONTAINERS)  # about the machine that wrote it
    places = dict[str, int]()

    def read(key: str, dtype: np.dtype[Any]) -> NDArray[Any]:
        count = int.from_bytes(content[places[key] : places[key] + 8], "little")
        return np.frombuffer(content, dtype, count, places[key] + 8).copy()

    storages = _Storages(read)
    found = unsettled(file, size, _ALLOWED, "utf-8", storages.stand_in)
    keys = unsettled(file, size, {})
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages.kinds):
        raise Malformed("its tensors are others than it says")
    at = file.tell()
    for key in keys:
        places[key] = at
        at += 8 + int.from_bytes(content[at : at + 8], "little") * storages.kinds[key].itemsize
        if at > size:
            raise Malformed("it is cut off")
    return settle(found, size)


class _Storages:
    """The memory of a file's tensors, read when it is used.

    Args:
        read: (key, kind of numbers) -> all numbers of a storage.
    """

    def __init__(self, read: Callable[[str, np.dtype[Any]], NDArray[Any]]) -> None:
        self._read = read
        self.kinds = dict[str, np.dtype[Any]]()
        self._known = dict[str, _Stored]()

    def stand_in(self, pid: object) -> object:
        """For ("storage", kind, key, device, count), which a pickle says of one; the older format adds None."""
        if (
            not isinstance(pid, tuple)
            or len(pid) not in (5, 6)
            or pid[0] != "storage"
            or pid[5:] not in ((), (None,))
        ):
            raise Unpicklable("it refers to something that is no tensor's storage")
        kind, key = pid[1:3]
        if not (isinstance(kind, type) and issubclass(kind, _StorageKind)) or not isinstance(key, str):
            raise Unpicklable("it has a tensor of an unknown kind of numbers")
        if self.kinds.setdefault(key, kind.dtype) != kind.dtype:
            raise Unpicklable("it has a storage of two kinds of numbers")
        return self._known.setdefault(key, _Stored(kind, lambda: self._read(key, kind.dtype)))


class _StorageKind(StandIn):
    """``torch.FloatStorage`` and its like; a pickle only names them."""

    dtype: ClassVar[np.dtype[Any]]
    halves: ClassVar[bool] = False  # bfloat16, which numpy does not have

    def settled(self, settle: Settle) -> object:
        raise Unpicklable("it makes a storage of its own")


class _Stored(StandIn):
    """One storage, outside the pickle."""

    def __init__(self, kind: type[_StorageKind], read: Callable[[], NDArray[Any]]) -> None:
        self._kind, self._read = kind, read
        self._made: object = None

    def settled(self, settle: Settle) -> object:
        if self._made is None:
            self._made = _as_tensor(self._read(), self._kind)
        return self._made


def _as_tensor(numbers: NDArray[Any], kind: type[_StorageKind]) -> Tensor:
    try:
        import torch
    except ImportError as error:
        raise DependencyMissing("torch", "torch", "reading torch tensors") from error
    if kind.dtype == np.bool_:
        numbers = numbers.view(np.uint8) != 0
    tensor = torch.from_numpy(numbers)
    return tensor.view(torch.bfloat16) if kind.halves else tensor


class _TensorStandIn(StandIn):
    def __init__(self, storage: object, offset: object, size: object, stride: object, *_: object) -> None:
        self.fields = (storage, offset, size, stride)

    def settled(self, settle: Settle) -> object:
        storage, offset, size, stride = (settle(field) for field in self.fields)
        if not all(isinstance(sides, tuple) for sides in (size, stride)) or len(size) != len(stride):
            raise Unpicklable("it holds a tensor of an impossible shape")
        if not all(type(number) is int and 0 <= number < 2**62 for number in (offset, *size, *stride)):
            raise Unpicklable("it holds a tensor of an impossible shape")
        there = storage.numel()
        last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
        count = math.prod(size)
        if count and (last >= there or count > max(there, _REPEATED)):
            raise Unpicklable("it holds a tensor that is larger than its contents")
        return storage.as_strided(size, stride, min(offset, there))


class _CopiedTensorStandIn(_TensorStandIn):
    """The same as an array of its own, as models in a plain pickle have it."""

    def settled(self, settle: Settle) -> object:
        tensor: Any = super().settled(settle)
        return (
            tensor.float().numpy().copy() if str(tensor.dtype) == "torch.bfloat16" else tensor.numpy().copy()
        )


class _NestedStandIn(StandIn):
    """A tensor's memory in a plain pickle, itself a file of ``torch.save``."""

    def __init__(self, saved: object) -> None:
        self.saved = saved

    def settled(self, settle: Settle) -> object:
        if not isinstance(self.saved, bytes):
            raise Unpicklable("it holds a torch tensor without contents")
        storage = _from_pickles(io.BytesIO(self.saved), self.saved)
        if not hasattr(storage, "as_strided"):
            raise Unpicklable("it holds a torch tensor without contents")
        return storage


def _size(sides: object = ()) -> object:
    """``torch.Size``."""
    return tuple(sides) if isinstance(sides, list | tuple) else ()


def _table(content: object = None) -> object:
    """``collections.Counter``."""
    return dict(content) if isinstance(content, dict) else {}


def rebuilt_parameter(data: object, requires_grad: object, hooks: object, state: object = None) -> object:
    """``torch._utils._rebuild_parameter``: the tensor."""
    return data


def _kind(name: str, dtype: str) -> type[_StorageKind]:
    return type(name, (_StorageKind,), {"dtype": np.dtype(dtype), "halves": name == "BFloat16"})


_KINDS: Final[AllowList] = {
    f"torch.{name}Storage": _kind(name, dtype)
    for name, dtype in {
        "Double": "<f8",
        "Float": "<f4",
        "Half": "<f2",
        "BFloat16": "<i2",
        "Long": "<i8",
        "Int": "<i4",
        "Short": "<i2",
        "Char": "i1",
        "Byte": "u1",
        "Bool": "?",
    }.items()
}
_ALLOWED: Final[AllowList] = {
    **CONTAINERS,
    **NUMPY,
    **_KINDS,
    "__builtin__.set": set,
    "builtins.set": set,
    "collections.Counter": _table,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor_v2": _TensorStandIn,
    "torch._utils._rebuild_parameter": rebuilt_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuilt_parameter,
}
TORCH_TENSORS: Final[AllowList] = {
    "torch._utils._rebuild_tensor_v2": _CopiedTensorStandIn,
    "torch.storage._load_from_bytes": _NestedStandIn,
}
"""CPU tensors inside a plain pickle, which come out as numpy arrays."""
