"""``countenance assets``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro


@dataclass(frozen=True)
class Assets:
    """List the files that are fetched on first use, or fetch them now.

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
        from countenance.cli.progress import say
        from countenance.weights.assets import ASSETS, assets_folder, find_asset, get_asset, require_asset

        chosen = list(ASSETS.values()) if self.name == "all" else [get_asset(self.name)]
        if self.action == "fetch":
            for asset in chosen:
                if asset.small or self.name != "all":
                    require_asset(asset, say=say)
        rows = []
        for asset in chosen:
            path = find_asset(asset)
            rows.append(
                {
                    "name": asset.name,
                    "path": str(path) if path else None,
                    "megabytes": round(asset.size / 1e6, 1),
                    "licence": asset.licence,
                    "used_for": asset.used_for,
                    "sha256": asset.sha256,
                }
            )
        lines = [_line(row) for row in rows]
        return {"folder": str(assets_folder()), "assets": rows, "text": "\n".join(lines)}


def _line(row: dict[str, Any]) -> str:
    place = row["path"] or f"not here (countenance assets fetch {row['name']})"
    return f"{row['name']}: {place}; {row['megabytes']} MB; {row['licence']}; {row['used_for']}"
