"""``countenance assets``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from countenance.errors import WeightsDamaged

if TYPE_CHECKING:
    from countenance.weights.assets import Asset


@dataclass(frozen=True)
class Assets:
    """List the files that are fetched on first use, or fetch them now, also in place of damaged ones.

    examples:
      countenance assets
      countenance assets fetch face_landmarker.task
    """

    action: Annotated[Literal["list", "fetch"], tyro.conf.Positional] = "list"
    """list, or fetch."""
    name: Annotated[str, tyro.conf.Positional] = "all"
    """One asset, or all (fetch all leaves out those over 50 MB, which are fetched by name)."""
    json: bool = False
    """Print as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.weights.assets import ASSETS, assets_folder, get_asset

        chosen = list(ASSETS.values()) if self.name == "all" else [get_asset(self.name)]
        if self.action == "fetch":
            for asset in chosen:
                if asset.small or self.name != "all":
                    _fetch(asset)
        rows = [_row(asset) for asset in chosen]
        lines = [_line(row) for row in rows]
        return {"folder": str(assets_folder()), "assets": rows, "text": "\n".join(lines)}


def _fetch(asset: Asset) -> None:
    """Get it if it is not here; what is damaged is replaced."""
    from countenance.cli.progress import say
    from countenance.weights.assets import fetch_asset, require_asset

    with _bar(asset.name) as progress:
        try:
            require_asset(asset, say=say, progress=progress)
        except WeightsDamaged as error:
            say(f"fetching it again: {error}")
            fetch_asset(asset, progress)


@contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Shows how far a download is, to a person at a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=None)
        yield lambda come, total: shown.update(task, completed=come, total=total or None)


def _row(asset: Asset) -> dict[str, Any]:
    from countenance.weights.assets import find_asset

    path, damaged = None, None
    try:
        path = find_asset(asset)
    except WeightsDamaged as error:
        damaged = str(error)
    return {
        "name": asset.name,
        "path": str(path) if path else None,
        "damaged": damaged,
        "megabytes": round(asset.size / 1e6, 1),
        "licence": asset.licence,
        "used_for": asset.used_for,
        "sha256": asset.sha256,
    }


def _line(row: dict[str, Any]) -> str:
    place = row["path"] or f"not here (countenance assets fetch {row['name']})"
    if row["damaged"]:
        place = f"damaged: {row['damaged']}"
    return f"{row['name']}: {place}; {row['megabytes']} MB; {row['licence']}; {row['used_for']}"
