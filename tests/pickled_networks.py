"""Pickles of torch modules with their source code, as StyleGAN2-ADA and EG3D publish them."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Named:
    """Pickles into a call of a function that need not exist here."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.function = type(name, (), {"__module__": module, "__qualname__": name})
        self.arguments = arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes classes by their names alone, without looking for them."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module, name = obj.__module__, name or obj.__qualname__
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    dispatch = {**pickle._Pickler.dispatch, type: save_global}  # type: ignore[attr-defined]  # noqa: RUF012


def persistent(class_name: str, state: object, source: str = "") -> Named:
    meta = {
        "type": "class",
        "version": 6,
        "module_src": source,
        "class_name": class_name,
        "state": state,
    }
    return Named("torch_utils.persistence", "_reconstruct_persistent_obj", meta)


def module_state(**more: object) -> dict[str, object]:
    return {
        "training": False,
        "_parameters": {},
        "_buffers": {},
        "_non_persistent_buffers_set": set(),
        "_modules": {},
        **more,
    }


def written(folder: Path, content: object) -> Path:
    path = folder / "network.pkl"
    with path.open("wb") as file:
        _Pickler(file, protocol=3).dump(content)
    return path


def honest(source: str = "") -> Named:
    linear = persistent(
        "Layer",
        module_state(
            _parameters=OrderedDict(weight=torch.nn.Parameter(torch.arange(6.0).view(2, 3)), bias=None),
            _buffers=OrderedDict(mean=torch.ones(()), hidden=torch.ones(2)),
            _non_persistent_buffers_set={"hidden"},
            gain=np.float64(0.5),
        ),
        source,
    )
    state = module_state(_modules=OrderedDict(a=linear, b=None), _init_kwargs={"size": 3}, z_dim=4)
    return persistent("Network", state, source)
