"""Our files of weights: safetensors with the model's name and configuration inside, checked when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from countenance.atomic import replacing
from countenance.errors import WeightsDamaged, WeightsMissing

if TYPE_CHECKING:
    from torch import Tensor, nn

_VERSION = "1"
_FIX = "get it again, or make it with: countenance convert / countenance train"
ConfigT = TypeVar("ConfigT")
NEWER = {"newer": True}
"""Metadata of a configuration's field that older files lack; its default is what they mean."""


@dataclass(frozen=True, eq=False)
class WeightFile:
    """What a file holds.

    Attributes:
        model: name of the architecture.
        config: its configuration, by field name.
        tensors: by the architecture's own names.
        notes: where the weights come from: training data, steps, licence ...
    """

    model: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any]


def save_weights(
    path: Path, module: nn.Module, model: str, config: Any, notes: Mapping[str, Any], *, half: bool
) -> None:
    """Write a network's weights.

    Args:
        path: ends in .safetensors.
        module: the network.
        model: name of the architecture.
        config: a dataclass.
        notes: plain values that can be written as JSON.
        half: store fp16.

    Raises:
        OutputUnwritable: the path can't be written.
    """
    import torch
    from safetensors.torch import save

    tensors = {
        name: (t.half() if half and t.dtype == torch.float32 else t).detach().cpu().contiguous()
        for name, t in module.state_dict().items()
    }
    metadata = {
        "countenance": _VERSION,
        "model": model,
        "config": json.dumps(asdict(config)),
        "notes": json.dumps(dict(notes)),
    }
    payload = save(tensors, metadata=metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(payload)


def read_weights(path: Path, model: str | None = None) -> WeightFile:
    """Read what :func:`save_weights` wrote; all numbers come back as float32.

    Args:
        path: the file.
        model: the architecture it must be for; any if None.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: cut off, of another model, with NaN, or no file of ours.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsMissing(str(path), "check the path")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        found = metadata["model"]
        config, notes = json.loads(metadata["config"]), json.loads(metadata["notes"])
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsDamaged(path, str(error), _FIX) from error
    except KeyError as error:
        raise WeightsDamaged(
            path, "it was not written by countenance", "convert it: countenance convert"
        ) from error
    if model is not None and found != model:
        raise WeightsDamaged(path, f"it holds weights of '{found}', not of '{model}'", f"load it as {found}")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsDamaged(path, f"'{name}' holds NaN or infinity", _FIX)
    floats = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    return WeightFile(found, config, floats, notes)


def config_from(file: WeightFile, kind: type[ConfigT], path: Path) -> ConfigT:
    """The configuration in a file as the dataclass ``kind``. Fields marked :data:`NEWER` may be absent.

    Raises:
        WeightsDamaged: it has other fields, or lacks some.
    """
    known = fields(kind)  # type: ignore[arg-type]
    newer = {f.name for f in known if f.metadata.get("newer")}
    odd = set(file.config) ^ {f.name for f in known}
    if odd - (newer - set(file.config)):
        raise WeightsDamaged(path, f"its configuration does not fit: {', '.join(sorted(odd))}", _FIX)
    return kind(**file.config)


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path, fix: str = _FIX) -> None:
    """Put tensors into a network: exactly its names, exactly its shapes.

    Args:
        module: is filled.
        tensors: by its names.
        path: where they came from, for errors.
        fix: what to do where they don't fit.

    Raises:
        WeightsDamaged: with the first name that does not fit.
    """
    expected = module.state_dict()
    for name in sorted(set(expected) | set(tensors)):
        if name not in tensors:
            raise WeightsDamaged(path, f"'{name}' is missing", fix)
        if name not in expected:
            raise WeightsDamaged(path, f"'{name}' is not part of this model", fix)
        if expected[name].shape != tensors[name].shape:
            has, wants = tuple(tensors[name].shape), tuple(expected[name].shape)
            raise WeightsDamaged(path, f"'{name}' has shape {has}, expected {wants}", fix)
    module.load_state_dict(dict(tensors))
