"""Write the tables of ``docs/conventions.md`` anew, from ``motion/spaces.py`` and ``face/shape_sliders.py``.

    python tools/conventions_table.py docs/conventions.md

Whatever stands between the lines ``<!-- coefficients -->`` and ``<!-- end of coefficients -->`` is replaced, and so is
what stands between ``<!-- shape sliders -->`` and ``<!-- end of shape sliders -->``.
"""

from __future__ import annotations

import argparse
import math
from itertools import groupby
from pathlib import Path

from countenance.face.shape_sliders import ARKIT_SLIDERS
from countenance.motion.spaces import SPACES, Coefficient, MotionSpace

SEVERAL = 12  # numbered coefficients from this many on are written as first to last


def tables() -> str:
    """All spaces, a heading and a table each, in markdown."""
    return "\n\n".join(
        f"### `{space.name}`: {space.size} numbers\n\n{_table(space)}" for space in SPACES.values()
    )


def _table(space: MotionSpace) -> str:
    lines = [
        "| from | names, in order | unit | range | neutral | region |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (unit, low, high, neutral, region), members in groupby(space.coefficients, _kind):
        run = list(members)
        first = space.index(run[0].name)
        bounds = f"{_number(low, unit)} to {_number(high, unit)}"
        lines.append(f"| {first} | {_names(run)} | {unit} | {bounds} | {_number(neutral, unit)} | {region} |")
    return "\n".join(lines)


def _kind(c: Coefficient) -> tuple[str, float, float, float, str]:
    return c.unit, c.minimum, c.maximum, c.neutral, c.region


def _names(run: list[Coefficient]) -> str:
    if len(run) >= SEVERAL and all(c.name[-2:].isdecimal() for c in run):
        return f"`{run[0].name}` to `{run[-1].name}`"
    return ", ".join(f"`{c.name}`" for c in run)


def _number(value: float, unit: str) -> str:
    return f"{math.degrees(value):g} degrees" if unit == "rad" and value else f"{value:g}"


def sliders() -> str:
    """The shape sliders of ``arkit`` in markdown."""
    lines = ["| number | name | range | above 0 |", "| --- | --- | --- | --- |"]
    for i, s in enumerate(ARKIT_SLIDERS):
        lines.append(f"| {i} | `{s.name}` | {s.minimum:g} to {s.maximum:g} | {s.effect} |")
    return "\n".join(lines)


def with_tables(page: str) -> str:
    """The page with its tables made anew.

    Raises:
        ValueError: the page lacks one of the lines.
    """
    return _replaced(_replaced(page, "coefficients", tables()), "shape sliders", sliders())


def _replaced(page: str, name: str, content: str) -> str:
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = page.split(begin, 1)
    after = rest.split(end, 1)[1]
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def main() -> None:
    """Parse the command line and rewrite the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("page", type=Path)
    page: Path = parser.parse_args().page
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
