"""Our files of weights: safetensors with the model's name and configuration inside, checked when read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from countenance.atomic import replacing
from countenance.errors import BadValue, UnknownName, WeightsDamaged
from countenance.ranges import Range
from countenance.stored.content import Malformed, reason_of
from countenance.stored.fields import record
from countenance.stored.json_text import parsed_json
from countenance.stored.safetensors_file import read_safetensors
from countenance.weights.files import expect_file

if TYPE_CHECKING:
    from torch import Tensor, nn

_VERSION = "1"
_FIX = "get it again, or make it with: countenance convert / countenance train"
_SIZES: Final = (Range(0, 1 << 20), Range(-1e6, 1e6))
"""Of configurations: channels, vertices ...; what makes many layers of one number has a narrower range of its own."""
_STEPS, _STEPS_A_TENSOR = 10_000, 100  # of drawing up; honest networks take ten for a tensor
_COUNTER: Final = ".num_batches_tracked"
ConfigT = TypeVar("ConfigT")
ModuleT = TypeVar("ModuleT", bound="nn.Module")


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

    expect_file(path)
    try:
        metadata, arrays = read_safetensors(path)
        if not metadata.keys() >= {"model", "config", "notes"}:
            if "avatar" in metadata.get("format", ""):
                raise WeightsDamaged(path, "it is a person's avatar, no weights", "give it with --avatar")
            raise WeightsDamaged(path, "it was not written by countenance", "convert it: countenance convert")
        found = metadata["model"]
        config, notes = parsed_json(metadata["config"]), parsed_json(metadata["notes"])
    except (Malformed, OSError) as error:
        raise WeightsDamaged(path, reason_of(error), _FIX) from error
    if not isinstance(config, dict) or not isinstance(notes, dict):
        raise WeightsDamaged(path, "its configuration or its notes are no table", _FIX)
    if model is not None and found != model:
        raise WeightsDamaged(
            path, f"it holds weights of '{found[:60]}', not of '{model}'", f"load it as {found[:60]}"
        )
    tensors: dict[str, Tensor] = {}
    while arrays:  # one at a time, so that halves and floats are not both in memory
        name, array = arrays.popitem()
        tensor = torch.from_numpy(array)
        tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
        if tensor.is_floating_point() and not torch.isfinite(tensors[name]).all():
            raise WeightsDamaged(path, f"'{name[:80]}' holds NaN or infinity", _FIX)
    return WeightFile(found, config, tensors, notes)


def name_of_weights(path: Path) -> str:
    """What a file of somebody's own weights is called in marks and lists: ``lite/weights`` for what `train` wrote.

    Args:
        path: `countenance train` calls every file ``weights.safetensors``, so that its folder says which these are.
    """
    return f"{path.resolve().parent.name}/{path.stem}" if path.stem == "weights" else path.stem


def config_from(file: WeightFile, kind: type[ConfigT], path: Path) -> ConfigT:
    """The configuration in a file as the dataclass ``kind``, every field of its type and in its range.

    Raises:
        WeightsDamaged: it has other fields, lacks some, or one is none of what it may be.
    """
    try:
        return record(kind, file.config, _SIZES, within="configuration.")
    except (BadValue, UnknownName) as error:
        raise WeightsDamaged(path, str(error), _FIX) from error


def built(make: Callable[[], ModuleT], tensors: Mapping[str, Tensor], path: Path, fix: str = _FIX) -> ModuleT:
    """A network with exactly these tensors.

    It is drawn up without memory first: a configuration that asks for a larger network than the file holds costs none.

    Args:
        make: makes the network.
        tensors: as for :func:`fill`.
        path: where they came from, for errors.
        fix: what to do where they don't fit.

    Raises:
        WeightsDamaged: with the first name that does not fit; or there is no such network.
    """
    import torch

    from countenance.weights.drawn_up import StepLimit

    try:
        with torch.device("meta"), StepLimit(_STEPS + _STEPS_A_TENSOR * len(tensors)):
            sketch = make().state_dict()
    except (
        ArithmeticError,
        BadValue,
        UnknownName,
        LookupError,
        MemoryError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise WeightsDamaged(path, f"its sizes make no network ({reason_of(error)})", fix) from error
    _expect_same(sketch, tensors, path, fix)
    network = make()
    fill(network, tensors, path, fix)
    return network


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path, fix: str = _FIX) -> None:
    """Put tensors into a network that is there: exactly its names, exactly its shapes. See also :func:`built`.

    Args:
        module: is filled.
        tensors: by its names; counters of batch norm, which evaluation does not use, may lack.
        path: where they came from, for errors.
        fix: what to do where they don't fit.

    Raises:
        WeightsDamaged: with the first name that does not fit.
    """
    own = module.state_dict()
    _expect_same(own, tensors, path, fix)
    module.load_state_dict({name: tensors.get(name, tensor) for name, tensor in own.items()})


def _expect_same(expected: Mapping[str, Tensor], tensors: Mapping[str, object], path: Path, fix: str) -> None:
    for name in sorted({*expected, *map(str, tensors)}):
        if name not in tensors and name.endswith(_COUNTER):
            continue
        if name not in tensors:
            raise WeightsDamaged(path, f"'{name[:80]}' is missing", fix)
        if name not in expected:
            raise WeightsDamaged(path, f"'{name[:80]}' is not part of this model", fix)
        has, wants = getattr(tensors[name], "shape", None), tuple(expected[name].shape)
        if has is None:
            raise WeightsDamaged(path, f"'{name[:80]}' is no tensor", fix)
        if tuple(has) != wants:
            raise WeightsDamaged(path, f"'{name[:80]}' has shape {tuple(has)}, expected {wants}", fix)
