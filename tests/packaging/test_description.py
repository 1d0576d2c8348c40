"""What a package index shows: README.md with links that work there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = runpy.run_path(str(ROOT / "setup.py"))["description"]
PAGE = """# Name

![A face](docs/face.jpg)

*Left: a face.*

See [the axes](docs/axes.md#yaw), [below](#more) or [elsewhere](https://example.org/x.md).
"""


def test_links_lead_to_the_tag_of_the_release() -> None:
    assert DESCRIPTION(PAGE, "https://example.org/me/name/", "1.2.0") == (
        "# Name\n\n"
        "![A face](https://example.org/me/name/raw/v1.2.0/docs/face.jpg)\n\n"
        "*Left: a face.*\n\n"
        "See [the axes](https://example.org/me/name/blob/v1.2.0/docs/axes.md#yaw), [below](#more) or "
        "[elsewhere](https://example.org/x.md).\n"
    )


def test_without_an_address_there_are_words_instead_of_dead_links() -> None:
    assert DESCRIPTION(PAGE, None, "1.2.0") == (
        "# Name\n\nSee the axes, [below](#more) or [elsewhere](https://example.org/x.md).\n"
    )


@pytest.mark.parametrize("source", [None, "https://example.org/me/name"])
def test_no_link_of_the_readme_depends_on_the_repository(source: str | None) -> None:
    shown = DESCRIPTION((ROOT / "README.md").read_text(encoding="utf-8"), source, "1.0.0")
    assert [target for target in re.findall(r"\]\(([^)]*)\)", shown) if "://" not in target] == []
    assert re.findall(r"<(?:img|a) ", shown) == []  # those are not rewritten
