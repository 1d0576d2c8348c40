"""Reads published pickle files without letting them run code.

A pickle is a small program: it names functions and calls them. Here it may name only what an allow-list
holds, and even those names lead to stand-ins of ours, never to the libraries' own functions. A stand-in
keeps the data it is given. When the whole file has been read, :func:`settle` turns the stand-ins into numpy
arrays, scipy matrices and plain containers, checking sizes and indices on the way. NumPy's and SciPy's own
unpickling is not used at all: it trusts flags and indices that a hostile file can choose, and then reads and
writes outside its memory.

The allow-list is an argument, so that a reader of another kind of file can add what its files name::

    load_pickle(path, allow={**ARRAYS, "some.module.some_class": MyStandIn})
"""

from __future__ import annotations

import math
import mmap
import pickle
import re
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, Final, TypeAlias, cast

import numpy as np

from countenance.errors import WeightsDamaged
from countenance.stored.content import Malformed, reason_of
from countenance.stored.npz import npy_header
from countenance.weights.files import expect_file
from countenance.weights.pickle_bounds import expect_bounded

Settle: TypeAlias = Callable[[object], Any]
AllowList: TypeAlias = Mapping[str, Callable[..., object]]
"""``module.name`` as files spell it -> the :class:`StandIn` class or the function that takes its place."""
Persistent: TypeAlias = Callable[[object], object]
_MADE_FROM_A_BYTE: Final = 16  # memory that arrays may take for each byte of the file
_SMALL: Final = 2**20


class StandIn(ABC):
    """What a pickle says about one object of a class that we do not import.

    Every stand-in has ``__setstate__``. Without it a file could store attributes on the class itself.
    """

    state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    @abstractmethod
    def settled(self, settle: Settle) -> object:
        """The plain value; ``settle`` does the same for the values inside."""


class Unpicklable(pickle.UnpicklingError):
    """The file asks for something that it may not have, or describes data that cannot be."""


def load_pickle(path: Path | str, allow: AllowList | None = None, encoding: str = "latin1") -> Any:
    """Reads a pickle file, or the pickle inside an object ``.npy`` file.

    Args:
        path: the file.
        allow: what it may name; :data:`ARRAYS` if nothing is said.
        encoding: how Python 2 wrote its strings; ``latin1`` keeps every byte.

    Returns:
        numpy arrays, scipy sparse matrices, numbers, strings, and
        dicts, lists, tuples and sets of these.

    Raises:
        WeightsMissing: there is no such file.
        WeightsDamaged: it names anything else (nothing has been run then), or is no pickle, or is cut short.
    """
    path = Path(path)
    expect_file(path)
    try:
        with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            file = cast(IO[bytes], mapped)
            _skip_npy_header(file)
            content = unsettled(file, len(mapped), ARRAYS if allow is None else allow, encoding)
            return settle(content, len(mapped))
    except (*WHAT_A_BAD_PICKLE_RAISES, OSError) as error:
        reason = reason_of(error) if isinstance(error, Unpicklable | Malformed) else type(error).__name__
        raise WeightsDamaged(path, reason, "get it again from its authors") from error


def unsettled(
    file: IO[bytes],
    size: int,
    allow: AllowList,
    encoding: str = "latin1",
    persistent: Persistent | None = None,
) -> Any:
    """What the pickle at the place where ``file`` stands holds, with stand-ins; ``file`` stands behind it afterwards.

    Args:
        file: of bytes.
        size: of the whole file, in bytes.
        allow: what it may name.
        encoding: see :func:`load_pickle`.
        persistent: gives the stand-in for what the pickle says about things that lie outside it.

    Raises:
        Malformed: it is cut off, no pickle, or asks for more memory or time than any honest one.
        Unpicklable: it names anything else.
    """
    start = file.tell()
    expect_bounded(file, size)
    file.seek(start)
    return _Reader(file, allow, encoding, persistent).load()


WHAT_A_BAD_PICKLE_RAISES: Final = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Beside :class:`OSError`; :class:`Malformed` is among them."""


def settle(value: object, size: int) -> Any:
    """``value`` with every stand-in in it, at any depth, turned into the array or container it stands for.

    Args:
        value: as it came out of a pickle.
        size: of the file, in bytes; all arrays together may have a multiple of it.

    Raises:
        Unpicklable: it describes data that cannot be.
    """
    most = _MADE_FROM_A_BYTE * max(size, _SMALL)
    done: dict[int, object] = {}
    made = 0

    def count(array: object) -> None:
        nonlocal made
        made += getattr(array, "nbytes", 0)
        if made > most:
            raise Unpicklable("it makes many arrays of the same data")

    def visit(item: object) -> object:
        if not isinstance(item, StandIn | dict | list | tuple | set | frozenset):
            return item
        if id(item) in done:
            return done[id(item)]
        if isinstance(item, dict):
            # Known before it is filled, since a container may hold itself. dict.items, not item.items: a file
            # can give an OrderedDict an attribute of that name.
            mapping: dict[object, object] = OrderedDict() if isinstance(item, OrderedDict) else {}
            done[id(item)] = mapping
            mapping.update((visit(key), visit(entry)) for key, entry in dict.items(item))
        elif isinstance(item, list):
            sequence: list[object] = []
            done[id(item)] = sequence
            sequence.extend(visit(entry) for entry in item)
        elif isinstance(item, StandIn):
            done[id(item)] = item.settled(visit)
            count(done[id(item)])
        else:
            done[id(item)] = type(item)(visit(entry) for entry in item)
        return done[id(item)]

    return visit(value)


class _Reader(pickle.Unpickler):
    def __init__(
        self, file: IO[bytes], allow: AllowList, encoding: str, persistent: Persistent | None
    ) -> None:
        super().__init__(file, encoding=encoding)
        self._allow, self._persistent = allow, persistent

    def persistent_load(self, pid: object, /) -> object:
        if self._persistent is None:
            raise Unpicklable("it refers to things outside of it")
        return self._persistent(pid)

    def find_class(self, module: str, name: str, /) -> Callable[..., object]:
        full_name = f"{module}.{name}"
        if full_name not in self._allow:
            raise Unpicklable(f"it asks to run Python code ('{full_name}'), which weights have no need of")
        substitute = self._allow[full_name]
        return substitute if isinstance(substitute, type) else _CallOnly(substitute)


class _CallOnly:
    """A function that a pickle can call, and do nothing else with: its defaults and code stay as they are."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise Unpicklable("it tries to change a function")


def _skip_npy_header(file: IO[bytes]) -> None:
    magic = file.read(6)
    file.seek(0)
    if magic == b"\x93NUMPY" and not npy_header(file).dtype.hasobject:
        raise Unpicklable("it is a plain .npy array and holds no pickle")


# ---- numpy


class ArrayStandIn(StandIn):
    """``numpy.ndarray``. Its state: (version, shape, dtype, is_fortran, bytes or list of objects)."""

    def settled(self, settle: Settle) -> np.ndarray[Any, Any]:
        """The array, rebuilt from its state; see :meth:`StandIn.settled`."""
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            raise Unpicklable("it holds a numpy array without contents")
        _version, shape, dtype, is_fortran, data = self.state
        return _array(settle(dtype), settle(shape), "F" if is_fortran else "C", settle(data))


class DtypeStandIn(StandIn):
    """``numpy.dtype``: numbers, strings and objects; records are refused. ``state[1]`` is the byte order."""

    _SPEC = re.compile(r"[biufcSU]\d+|O\d*")

    def __init__(self, spec: object, align: object = False, copy: object = False) -> None:
        self.spec = spec

    def settled(self, settle: Settle) -> np.dtype[Any]:
        """The kind of numbers; see :meth:`StandIn.settled`."""
        if not isinstance(self.spec, str) or not self._SPEC.fullmatch(self.spec):
            raise Unpicklable("it holds a numpy array of an unknown kind of numbers")
        byte_order = self.state[1] if isinstance(self.state, tuple) and len(self.state) > 1 else "|"
        return np.dtype(f"{byte_order if byte_order in ('<', '>') else '|'}{self.spec}")


class _BufferStandIn(StandIn):
    """A numpy array of pickle protocol 5."""

    def __init__(self, data: object, dtype: object, shape: object, order: object) -> None:
        self.fields = (dtype, shape, order, data)

    def settled(self, settle: Settle) -> np.ndarray[Any, Any]:
        """The array, rebuilt from its state; see :meth:`StandIn.settled`."""
        return _array(*(settle(field) for field in self.fields))


class _ScalarStandIn(StandIn):
    def __init__(self, dtype: object, data: object) -> None:
        self.fields = (dtype, data)

    def settled(self, settle: Settle) -> object:
        dtype, data = (settle(field) for field in self.fields)
        return _array(dtype, (), "C", data)[()]


def _array(dtype: object, shape: object, order: object, data: object) -> np.ndarray[Any, Any]:
    if not isinstance(dtype, np.dtype) or order not in ("C", "F"):
        raise Unpicklable("it holds a numpy array of an unknown layout")
    if not isinstance(shape, tuple) or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise Unpicklable("it holds a numpy array of an impossible shape")
    if dtype == np.dtype(object):
        if not isinstance(data, list) or len(data) != math.prod(shape):
            raise Unpicklable("it holds an object array whose size is not that of its contents")
        flat = np.empty(len(data), dtype=object)
        for place, entry in enumerate(data):
            flat[place] = entry
        return flat.reshape(shape, order="F" if order == "F" else "C")
    # Python 2 wrote bytes as a string.
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(raw, bytes | bytearray) or len(raw) != math.prod(shape) * dtype.itemsize:
        raise Unpicklable("it holds a numpy array whose size is not that of its contents")
    return np.ndarray(shape, dtype, buffer=bytes(raw), order="F" if order == "F" else "C").copy()


def _reconstruct_array(kind: object, shape: object, code: object) -> ArrayStandIn:
    if kind is not ArrayStandIn:
        raise Unpicklable("it makes a numpy array of an unknown class")
    return ArrayStandIn()


# ---- scipy, chumpy


class _SparseStandIn(StandIn):
    format: ClassVar[str]

    def settled(self, settle: Settle) -> object:
        from scipy import sparse

        fields = _attributes(settle(self.state))
        if self.format == "coo":
            # Old files say row and col, new ones coords. The constructor checks that they lie inside.
            coordinates = fields["coords"] if "coords" in fields else (fields["row"], fields["col"])
            return sparse.coo_matrix((fields["data"], coordinates), shape=fields["_shape"])
        make = sparse.csc_matrix if self.format == "csc" else sparse.csr_matrix
        matrix = make((fields["data"], fields["indices"], fields["indptr"]), shape=fields["_shape"])
        matrix.check_format(full_check=True)
        return matrix


class _CscStandIn(_SparseStandIn):
    format = "csc"


class _CsrStandIn(_SparseStandIn):
    format = "csr"


class _CooStandIn(_SparseStandIn):
    format = "coo"


class _ChumpyStandIn(StandIn):
    """``chumpy.Ch``, the differentiable array of the SMPL and FLAME files: only its values ``x`` are kept."""

    def settled(self, settle: Settle) -> object:
        return settle(_attributes(self.state)["x"])


# ---- what old pickles name besides


class _PlainObject(StandIn):
    def settled(self, settle: Settle) -> object:
        raise Unpicklable("it holds a bare Python object")


def _reconstruct_object(kind: object, base: object, state: object) -> StandIn:
    """``copyreg._reconstructor``, by which Python 2 made instances of classes."""
    if not (isinstance(kind, type) and issubclass(kind, StandIn) and base is _PlainObject and state is None):
        raise Unpicklable("it makes an object of an unknown class")
    return kind.__new__(kind)


def _encode_bytes(text: object, encoding: object) -> bytes:
    """``_codecs.encode``, by which old protocols write bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Unpicklable("it encodes text in an unknown way")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    return b""


def _attributes(state: object) -> dict[str, Any]:
    if not isinstance(state, dict):
        raise Unpicklable("it holds an object without attributes")
    return state


CONTAINERS: Final[AllowList] = {
    "collections.OrderedDict": OrderedDict,
    "_codecs.encode": _encode_bytes,
    "__builtin__.bytes": _empty_bytes,
    "builtins.bytes": _empty_bytes,
    "__builtin__.object": _PlainObject,
    "builtins.object": _PlainObject,
    "copy_reg._reconstructor": _reconstruct_object,
    "copyreg._reconstructor": _reconstruct_object,
}
"""Bytes, ordered dicts, and the way old protocols make instances (of allowed classes only)."""

NUMPY: Final[AllowList] = {
    "numpy.ndarray": ArrayStandIn,
    "numpy.dtype": DtypeStandIn,
    **{f"numpy.{core}.multiarray._reconstruct": _reconstruct_array for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _ScalarStandIn for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _BufferStandIn for core in ("core", "_core")},
}
SCIPY_SPARSE: Final[AllowList] = {
    **{f"scipy.sparse.{module}.csc_matrix": _CscStandIn for module in ("csc", "_csc")},
    **{f"scipy.sparse.{module}.csr_matrix": _CsrStandIn for module in ("csr", "_csr")},
    **{f"scipy.sparse.{module}.coo_matrix": _CooStandIn for module in ("coo", "_coo")},
}
CHUMPY: Final[AllowList] = {"chumpy.ch.Ch": _ChumpyStandIn}

ARRAYS: Final[AllowList] = {**CONTAINERS, **NUMPY, **SCIPY_SPARSE, **CHUMPY}
"""What model files of plain arrays name; the default."""
