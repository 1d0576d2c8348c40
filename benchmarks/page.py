"""Writing figures into a page, so that nobody types them."""

from __future__ import annotations

from pathlib import Path


def section_of(page: Path, section: str) -> str:
    """What stands in a section.

    Raises:
        ValueError: the page has no such section.
    """
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    content = page.read_text()
    if content.count(begin) != 1 or content.count(end) != 1:
        raise ValueError(f"{page} has no section '{section}'; add the lines {begin} and {end}")
    return content.split(begin)[1].split(end)[0].strip()


def replace_section(page: Path, section: str, text: str) -> None:
    """Put ``text`` between ``<!-- SECTION: begin -->`` and ``<!-- SECTION: end -->``.

    Raises:
        ValueError: the page has no such section.
    """
    section_of(page, section)
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    head, rest = page.read_text().split(begin)
    page.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}")
