"""The renderers by name: ours, each a folder beside ``geometric/`` and a line here, and those of other packages."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from countenance.devices import Device, device_named
from countenance.errors import DependencyMissing, PluginBroken, UnknownName, WeightsDamaged
from countenance.plugins import BrokenPlugin, broken_plugins, load_plugin, plugin_code, plugins
from countenance.renderers.spec import RendererSpec

if TYPE_CHECKING:
    from countenance.renderers.renderer import Renderer

_FOLDERS = {
    "geometric": "geometric",
    "gdpw-lite": "gdpw",
    "pirenderer-lite": "pirenderer",
    "pirenderer": "pirenderer",
    "gdpw": "gdpw",
    "otavatar-lite": "otavatar",
    "otavatar": "otavatar",
}


_GROUP = "countenance.renderers"


def renderer_names() -> tuple[str, ...]:
    """The names that :func:`load_renderer` takes: ours, then those of other packages."""
    return (*_FOLDERS, *(name for name in plugins(_GROUP) if name not in _FOLDERS))


def default_renderer() -> str:
    """What is used where nobody chose: the best that this installation can run."""
    return "gdpw-lite" if find_spec("torch") is not None else "geometric"


def renderer_specs() -> Iterator[RendererSpec]:
    """Specs of all renderers that can be asked for theirs; loads none of ours."""
    for name in renderer_names():
        try:
            yield renderer_spec(name)
        except PluginBroken:
            continue


def broken_renderers() -> list[BrokenPlugin]:
    """Renderers of other packages that can't be used, and why."""
    return broken_plugins(_GROUP, _FOLDERS, renderer_spec)


def renderer_spec(name: str) -> RendererSpec:
    """The spec of one renderer.

    Raises:
        UnknownName: with the nearest names.
        PluginBroken: another package's, which can't be loaded.
    """
    for spec in getattr(_folder(name), "SPECS", ()):
        if getattr(spec, "name", None) == name and isinstance(spec, RendererSpec):
            return spec
    with plugin_code(_GROUP, name):
        raise LookupError(f"its SPECS hold no RendererSpec called '{name}'")


def load_renderer(name: str | None = None, device: Device | str = "auto") -> Renderer[Any]:
    """A renderer, ready to use.

    Args:
        name: of the catalogue, or the path of a ``.safetensors`` file that `countenance train` or
            `countenance convert` wrote; :func:`default_renderer` if None.
        device: where it computes: "auto" (the fastest that is here), "cpu", "cuda" or "mps".

    Raises:
        UnknownName: with the nearest names.
        WeightsMissing: its weights are not on this machine.
        WeightsDamaged: a file that can't be used.
        DependencyMissing: it needs PyTorch.
        PluginBroken: another package's, which can't be loaded.
        BadValue: a device that is not here.
    """
    name = str(name or default_renderer())
    if name.endswith(".safetensors"):
        _expect_torch(name)
        from countenance.weights.weight_files import read_weights

        model = read_weights(Path(name)).model
        if model not in _FOLDERS.values():
            raise WeightsDamaged(name, f"'{model}' is no renderer of this release", "update countenance")
        renderer: Renderer[Any] = _home(model).from_file(Path(name), device=device_named(device))
        return renderer
    renderer_spec(name)
    if name not in _FOLDERS:
        with plugin_code(_GROUP, name):
            renderer = import_module(f"{_folder(name).__name__}.renderer").load(name, device_named(device))
        return renderer
    if name != "geometric":
        _expect_torch(f"model '{name}'")
    elif device == "auto":
        device = "cpu"  # it computes nowhere else, and finding out what is here would load PyTorch
    renderer = _home(_FOLDERS[name]).load(name, device_named(device))
    return renderer


def _folder(name: str) -> ModuleType:
    """The package in which a renderer lives, with its ``SPECS``."""
    if name in _FOLDERS:
        return import_module(f"countenance.renderers.{_FOLDERS[name]}")
    if name not in plugins(_GROUP):
        raise UnknownName("model", name, renderer_names())
    folder: ModuleType = load_plugin(_GROUP, name)
    return folder


def _home(folder: str) -> Any:
    return import_module(f"countenance.renderers.{folder}.renderer")


def _expect_torch(what: str) -> None:
    if find_spec("torch") is None:
        raise DependencyMissing("torch", "torch", what)
