"""Dot-and-interval plots of the models, one a metric, as SVG that takes the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from countenance.errors import DependencyMissing
from countenance.evaluation.models import REPEATED
from countenance.evaluation.report.tables import number, ranks

# Matplotlib writes these colours, and the page's own take their place: right in the light and in the dark.
_INK, _LINE, _ACCENT, _PAPER = "#010101", "#020202", "#030303", "#040404"
_PAINTS = {_INK: "currentColor", _LINE: "var(--line)", _ACCENT: "var(--accent)", _PAPER: "var(--paper)"}
_LONGEST = 20
_SETTINGS = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a model's name may hold dollar signs
    "font.size": 9,
    "axes.edgecolor": _LINE,
    "axes.linewidth": 0.8,
    "xtick.color": _LINE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
}


def plot(report: Mapping[str, Any], metric: str) -> str:
    """One metric's means and intervals of all models, as an SVG element.

    The best is filled in the accent colour, others in that of the text; the baseline is a ring. Where the baseline is
    so far off that it would push the others together, an arrow points to it.

    Args:
        report: without figures that are no numbers.
        metric: its name.

    Raises:
        DependencyMissing: matplotlib.
    """
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except ImportError:
        raise DependencyMissing("matplotlib", "evaluation", "a report's page") from None
    models = {
        label: found["summary"][metric]
        for label, found in report["models"].items()
        if metric in found["summary"]
    }
    rank = ranks(report, metric)
    left = 0.15 + 0.075 * max(len(_shortened(label)) for label in models)
    width, height = left + 2.2, 0.4 + 0.24 * len(models)
    settings = {**_SETTINGS, "svg.hashsalt": metric}  # ids are the same in every run
    with matplotlib.style.context(["default", settings]):  # not the user's own
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((left / width, 0.3 / height, 2.05 / width, 0.24 * len(models) / height))
        span = _span(models)
        for place, (label, told) in enumerate(models.items()):
            if not span[0] <= told["mean"] <= span[1]:
                _point_out(axes, place, told["mean"], high=told["mean"] > span[1])
                continue
            colour = _ACCENT if rank.get(label) == 1 else _INK
            axes.plot([told["low"], told["high"]], [place, place], color=colour, linewidth=1.6)
            fill = _PAPER if label == REPEATED else colour
            axes.plot([told["mean"]], [place], "o", color=colour, markerfacecolor=fill, markersize=5.5)
        axes.set_xlim(*span)
        axes.set_yticks(range(len(models)), [_shortened(label) for label in models])
        axes.set_ylim(len(models) - 0.4, -0.6)
        axes.locator_params(axis="x", nbins=4)
        axes.ticklabel_format(axis="x", useOffset=False)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.spines[["top", "left", "right"]].set_visible(False)
        axes.tick_params(left=False)
        text = io.StringIO()
        nothing = dict.fromkeys(
            ("Date", "Creator", "Format", "Type")
        )  # no date: the same page from the same report
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return _for_page(text.getvalue())


def _span(models: Mapping[str, Mapping[str, float]]) -> tuple[float, float]:
    """What the axis shows: all intervals; without the baseline's, if it would push two others or more together."""
    wide = _ends(list(models.values()))
    others = [told for label, told in models.items() if label != REPEATED]
    near = _ends(others)
    far = len(others) > 1 and 3 * (near[1] - near[0]) < wide[1] - wide[0]
    return near if far else wide


def _ends(told: list[Mapping[str, float]]) -> tuple[float, float]:
    if not told:
        return 0.0, 1.0
    low, high = min(each["low"] for each in told), max(each["high"] for each in told)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _point_out(axes: Any, place: int, mean: float, *, high: bool) -> None:
    text = f"{number(mean)} →" if high else f"← {number(mean)}"
    side = {"x": 1.0, "ha": "right"} if high else {"x": 0.0, "ha": "left"}
    axes.text(y=place, s=text, va="center", color=_INK, transform=axes.get_yaxis_transform(), **side)


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"


def _for_page(svg: str) -> str:
    """Without the head of a file, names of parts (which would not be unique in the page), fonts and global style."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.S)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    for drawn, paint in _PAINTS.items():
        svg = svg.replace(f": {drawn}", f": {paint}")
    return svg.strip()
