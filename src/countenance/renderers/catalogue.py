"""The renderers by name. A new one is a folder beside ``geometric/`` and a line here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.errors import DependencyMissing, UnknownName, WeightsDamaged
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


def renderer_names() -> tuple[str, ...]:
    """The names that :func:`load_renderer` takes."""
    return tuple(_FOLDERS)


def default_renderer() -> str:
    """What is used where nobody chose: the best that this installation can run."""
    return "gdpw-lite" if find_spec("torch") is not None else "geometric"


def renderer_specs() -> Iterator[RendererSpec]:
    """Specs of all renderers; loads none of them."""
    return (renderer_spec(name) for name in _FOLDERS)


def renderer_spec(name: str) -> RendererSpec:
    """The spec of one renderer.

    Raises:
        UnknownName: with the nearest names.
    """
    if name not in _FOLDERS:
        raise UnknownName("model", name, _FOLDERS)
    specs: tuple[RendererSpec, ...] = import_module(f"countenance.renderers.{_FOLDERS[name]}").SPECS
    return next(spec for spec in specs if spec.name == name)


def load_renderer(name: str | None = None) -> Renderer[Any]:
    """A renderer, ready to use.

    Args:
        name: of the catalogue, or the path of a ``.safetensors`` file that `countenance train` or
            `countenance convert` wrote; :func:`default_renderer` if None.

    Raises:
        UnknownName: with the nearest names.
        WeightsMissing: its weights are not on this machine.
        WeightsDamaged: a file that can't be used.
        DependencyMissing: it needs PyTorch.
    """
    name = name or default_renderer()
    if name.endswith(".safetensors"):
        _expect_torch(name)
        from countenance.weights.weight_files import read_weights

        model = read_weights(Path(name)).model
        if model not in _FOLDERS.values():
            raise WeightsDamaged(name, f"'{model}' is no renderer of this release", "update countenance")
        renderer: Renderer[Any] = _home(model).from_file(Path(name))
        return renderer
    renderer_spec(name)
    if _FOLDERS[name] != "geometric":
        _expect_torch(f"model '{name}'")
    renderer = _home(_FOLDERS[name]).load(name)
    return renderer


def _home(folder: str) -> Any:
    return import_module(f"countenance.renderers.{folder}.renderer")


def _expect_torch(what: str) -> None:
    if find_spec("torch") is None:
        raise DependencyMissing("torch", "torch", what)
