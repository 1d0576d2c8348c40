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
    """One asset, or all."""
    json: bool = False
    """Print as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.cli.progress import say
        from countenance.weights.assets import ASSETS, assets_folder, find_asset, get_asset, require_asset

        chosen = list(ASSETS.values()) if self.name == "all" else [get_asset(self.name)]
        if self.action == "fetch":
            for asset in chosen:
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
        lines = [
            f"{r['name']}: {r['path'] or 'not here (countenance assets fetch)'}; {r['megabytes']} MB; "
            f"{r['licence']}; {r['used_for']}"
            for r in rows
        ]
        return {"folder": str(assets_folder()), "assets": rows, "text": "\n".join(lines)}
