"""Reads the ``.pkl`` files of StyleGAN2-ADA and EG3D: whole torch modules, pickled together with their source code.

Their own reader executes that source. This one never looks at it: a module comes back as a :class:`PickledModule`,
which is its class's name, its constructor's arguments, its plain attributes and its tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from countenance.errors import WeightsDamaged
from countenance.weights.restricted_pickle import (
    CONTAINERS,
    NUMPY,
    AllowList,
    Settle,
    StandIn,
    Unpicklable,
    load_pickle,
)
from countenance.weights.torch_files import TORCH_TENSORS, rebuilt_parameter

if TYPE_CHECKING:
    from torch import Tensor

_FIX = "give a network pickle of StyleGAN2-ADA (PyTorch) or EG3D"


@dataclass(frozen=True, eq=False)
class PickledModule:
    """What a pickle says about a torch module.

    Attributes:
        class_name: without its package.
        attributes: plain attributes by name, without torch's own.
        settings: keyword arguments of its constructor; empty where the file does not tell.
        own_tensors: parameters, then buffers.
        children: sub-modules, in order.
    """

    class_name: str
    attributes: Mapping[str, Any]
    settings: Mapping[str, Any]
    own_tensors: Mapping[str, np.ndarray[Any, Any]]
    children: Mapping[str, PickledModule]

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors by their full names, in the order of ``torch.nn.Module.state_dict``."""
        import torch

        tensors = {name: torch.from_numpy(array) for name, array in self.own_tensors.items()}
        for child_name, child in self.children.items():
            tensors |= {f"{child_name}.{name}": tensor for name, tensor in child.state_dict().items()}
        return tensors


def read_network(path: Path, name: str, plain_classes: Iterable[str] = ()) -> PickledModule:
    """One network of a file, such as ``"G_ema"``.

    Args:
        path: the ``.pkl`` file.
        name: its place in the file.
        plain_classes: full names of module classes that the file stores by reference, without source.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: no such network in it, or it asks for anything but modules and arrays (nothing is run then).
    """
    content = load_pickle(path, {**_ALLOWED, **{full: _plain(full) for full in plain_classes}})
    network = content.get(name) if isinstance(content, dict) else None
    if not isinstance(network, PickledModule):
        raise WeightsDamaged(path, f"it has no network '{name}'", _FIX)
    return network


class _ModuleStandIn(StandIn):
    """A module stored by reference to its class."""

    class_name: ClassVar[str]

    def settled(self, settle: Settle) -> object:
        return _module(self.class_name, settle(self.state))


class _PersistentStandIn(StandIn):
    """A module stored with its source, which is dropped unread."""

    def __init__(self, meta: object) -> None:
        self.meta = meta

    def settled(self, settle: Settle) -> object:
        if not isinstance(self.meta, dict):
            raise Unpicklable("it holds a network without a description")
        name = self.meta.get("class_name")
        if self.meta.get("type") != "class" or not isinstance(name, str):
            raise Unpicklable("it holds a network without a class")
        return _module(name, settle(self.meta.get("state")))


def _module(class_name: str, state: object) -> PickledModule:
    if not isinstance(state, dict):
        raise Unpicklable(f"it holds a module '{class_name}' without contents")
    hidden = state.get("_non_persistent_buffers_set", set())
    own = {**_part(state, "_parameters"), **_part(state, "_buffers")}
    own_tensors = {name: entry for name, entry in own.items() if entry is not None and name not in hidden}
    children = {name: child for name, child in _part(state, "_modules").items() if child is not None}
    if not all(isinstance(entry, np.ndarray) for entry in own_tensors.values()):
        raise Unpicklable(f"a tensor of '{class_name}' is none")
    if not all(isinstance(child, PickledModule) for child in children.values()):
        raise Unpicklable(f"a part of '{class_name}' is no module")
    attributes = {name: entry for name, entry in state.items() if not str(name).startswith("_")}
    return PickledModule(class_name, attributes, _part(state, "_init_kwargs"), own_tensors, children)


def _part(state: Mapping[Any, Any], name: str) -> dict[str, Any]:
    part = state.get(name, {})
    if not isinstance(part, dict) or not all(isinstance(key, str) for key in part):
        raise Unpicklable(f"'{name}' of a module is no table of names")
    return part


def _plain(full_name: str) -> type[_ModuleStandIn]:
    name = full_name.rpartition(".")[2]
    return type(name, (_ModuleStandIn,), {"class_name": name})


_ALLOWED: Final[AllowList] = {
    **CONTAINERS,
    **NUMPY,
    **TORCH_TENSORS,
    "builtins.set": set,
    "dnnlib.util.EasyDict": dict,
    "torch._utils._rebuild_parameter": rebuilt_parameter,
    "torch_utils.persistence._reconstruct_persistent_obj": _PersistentStandIn,
}
