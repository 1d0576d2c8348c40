"""The command ``countenance``: one file a verb."""

from __future__ import annotations


def main() -> None:
    """Entry point of the command."""
    from countenance.cli.main import main as run

    run()
