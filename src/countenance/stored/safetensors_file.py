"""``.safetensors`` files. The library checks that sizes, places and file agree; here, that the numbers are of use."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from countenance.stored.content import Malformed, size_of_file

_KINDS: Final = frozenset({"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"})


class Tensors(NamedTuple):
    """What a file holds.

    Attributes:
        metadata: texts by name.
        arrays: by name; bfloat16 as float32.
    """

    metadata: dict[str, str]
    arrays: dict[str, NDArray[Any]]


def read_safetensors(path: Path) -> Tensors:
    """Everything in a file; the arrays can be written to.

    Raises:
        OSError: it can't be read.
        Malformed: no such file format, cut off, or with numbers of eight bits and other kinds that nothing here uses.
    """
    from safetensors import SafetensorError, safe_open

    size_of_file(path)
    try:
        with safe_open(path, "numpy") as file:
            names, metadata = list(file.keys()), file.metadata() or {}
            kinds = {name: file.get_slice(name).get_dtype() for name in names}
            for name, kind in kinds.items():
                if kind not in _KINDS:
                    raise Malformed(
                        f"'{name[:60]}' holds numbers of the kind {kind[:20]}, which nothing here uses"
                    )
            if "BF16" not in kinds.values():
                return Tensors(metadata, {name: file.get_tensor(name) for name in names})
        if find_spec("torch") is None:
            raise Malformed("its numbers are bfloat16, which only PyTorch can read")
        with safe_open(path, "pt") as file:  # NumPy has no bfloat16
            tensors = {name: file.get_tensor(name) for name in names}
        wide = {name: t.float() if kinds[name] == "BF16" else t for name, t in tensors.items()}
        return Tensors(metadata, {name: t.numpy() for name, t in wide.items()})
    except SafetensorError as error:
        raise Malformed(str(error)) from error
