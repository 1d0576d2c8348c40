"""The renderers by name. A new one is a folder beside ``geometric/`` and a line in ``_FOLDERS``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from countenance.errors import UnknownName
from countenance.renderers.spec import RendererSpec

if TYPE_CHECKING:
    from countenance.renderers.renderer import Renderer

_FOLDERS = ("geometric",)
DEFAULT = "geometric"


def renderer_names() -> tuple[str, ...]:
    """The names that :func:`load_renderer` takes."""
    return _FOLDERS


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
    spec: RendererSpec = import_module(f"countenance.renderers.{name}").SPEC
    return spec


def load_renderer(name: str = DEFAULT) -> Renderer[Any]:
    """A renderer, ready to use.

    Raises:
        UnknownName: with the nearest names.
    """
    renderer_spec(name)
    renderer: Renderer[Any] = import_module(f"countenance.renderers.{name}.renderer").load()
    return renderer
