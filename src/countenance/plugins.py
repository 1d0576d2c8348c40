"""Renderers, trackers and voices of other packages, found by their entry points.

A package announces, say, a renderer in its ``pyproject.toml``::

    [project.entry-points."countenance.renderers"]
    their-model = "their_package.renderer_folder"

and is used like those that come with Countenance. What the names must point to is said in CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from countenance.errors import CountenanceError, PluginBroken

GROUPS = ("countenance.renderers", "countenance.trackers", "countenance.voices")


@dataclass(frozen=True)
class BrokenPlugin:
    """What another package announces and can't be used.

    Attributes:
        name: as announced.
        group: one of :data:`GROUPS`.
        package: that announces it.
        reason: one line.
    """

    name: str
    group: str
    package: str
    reason: str


@cache
def plugins(group: str) -> dict[str, EntryPoint]:
    """What the installed packages announce in a group, by name; nothing of it is imported."""
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda p: p.name)}


def load_plugin(group: str, name: str) -> Any:
    """The object that an entry point names.

    Raises:
        PluginBroken: whatever went wrong while it was imported.
    """
    with plugin_code(group, name):
        return plugins(group)[name].load()


@contextmanager
def plugin_code(group: str, name: str) -> Iterator[None]:
    """A block in which another package's code runs: what it raises, unless it is one of our errors, names the package.

    Raises:
        PluginBroken: in place of any other error.
    """
    try:
        yield
    except CountenanceError:
        raise
    except Exception as error:
        raise PluginBroken(
            name, _package(plugins(group)[name]), f"{type(error).__name__}: {error}"
        ) from error


def broken_plugins(group: str, ours: Collection[str], check: Callable[[str], object]) -> list[BrokenPlugin]:
    """What other packages announce in a group and can't be used.

    Args:
        group: one of :data:`GROUPS`.
        ours: names that are taken.
        check: called with each other name; raises :class:`PluginBroken` for one that can't be used.
    """
    found = []
    for name, point in plugins(group).items():
        try:
            if name in ours:
                raise PluginBroken(name, _package(point), "the name is taken by Countenance")
            check(name)
        except PluginBroken as error:
            found.append(BrokenPlugin(name, group, _package(point), str(error)))
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown"
