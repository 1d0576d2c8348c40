"""Draw ``docs/images/axes.png``: one face turned both ways about every axis, so that signs can be seen.

    python tools/draw_conventions.py -o docs/images/axes.png

The photo is scikit-image's ``astronaut`` (NASA, public domain). Angles are added to the photo's own.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.data import astronaut

from countenance.motion.spaces import ARKIT
from countenance.renderers.geometric.avatar import GeometricAvatar
from countenance.renderers.geometric.renderer import GeometricRenderer, render_frame
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.portraits import portrait_from_image

CELL_PX = 240
LABEL_PX = 44
ROWS = (
    (("yaw", 20, "nose to image right"), ("pitch", 15, "nose down"), ("roll", 15, "top to image left")),
    (("yaw", -20, "nose to image left"), ("pitch", -15, "nose up"), ("roll", -15, "top to image right")),
)


def turned(avatar: GeometricAvatar, name: str, degrees: float) -> Image.Image:
    """The avatar with one angle changed by ``degrees``."""
    values = avatar.motion.values[0].copy()
    values[ARKIT.index(name)] += math.radians(degrees)
    return Image.fromarray(render_frame(avatar, values))


def labelled(picture: Image.Image, title: str, meaning: str) -> Image.Image:
    """The picture at the cell's size, with two lines of text below it."""
    cell = Image.new("RGB", (CELL_PX, CELL_PX + LABEL_PX), "white")
    cell.paste(picture.resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS), (0, 0))
    draw = ImageDraw.Draw(cell)
    draw.text((8, CELL_PX + 3), title, fill="black", font=ImageFont.load_default(18))
    draw.text((8, CELL_PX + 24), meaning, fill="black", font=ImageFont.load_default(15))
    return cell


def with_axes(avatar: GeometricAvatar) -> Image.Image:
    """The photo with the camera's axes at the head's origin: x to image right, y up, z out of the picture."""
    picture = Image.fromarray(render_frame(avatar, avatar.motion.values[0])).resize((CELL_PX, CELL_PX))
    draw = ImageDraw.Draw(picture)
    x, y = (float(avatar.motion[name][0]) for name in ("x", "y"))
    origin = np.array([(0.5 + x) * CELL_PX, (0.5 - y) * CELL_PX])
    font = ImageFont.load_default(20)
    for name, direction, colour in (("x", (1, 0), "red"), ("y", (0, -1), "lime")):
        along = np.array(direction, float)
        across = along[::-1]
        tip = origin + 55 * along
        draw.line([*origin, *tip], fill=colour, width=4)
        draw.polygon([tuple(tip + 14 * along), tuple(tip + 7 * across), tuple(tip - 7 * across)], fill=colour)
        draw.text(tuple(tip + 18 * along + (-6, -12)), name, fill=colour, font=font)
    for radius, width in ((9, 3), (2, 4)):
        box = [*(origin - radius), *(origin + radius)]
        draw.ellipse(box, outline="deepskyblue", width=width)
    draw.text((origin[0] - 26, origin[1] + 4), "z", fill="deepskyblue", font=font)
    return picture


def sheet(avatar: GeometricAvatar) -> Image.Image:
    """Two rows of four cells: the photo and its axes, then yaw, pitch and roll both ways."""
    first = (
        labelled(with_axes(avatar), "axes", "z points at you"),
        labelled(turned(avatar, "yaw", 0), "nothing changed", "the photo itself"),
    )
    out = Image.new("RGB", (4 * CELL_PX, 2 * (CELL_PX + LABEL_PX)), "white")
    for row, (head, turns) in enumerate(zip(first, ROWS, strict=True)):
        cells = [head, *(labelled(turned(avatar, n, d), f"{n} {d:+d} degrees", what) for n, d, what in turns)]
        for column, cell in enumerate(cells):
            out.paste(cell, (column * CELL_PX, row * (CELL_PX + LABEL_PX)))
    return out


def main() -> None:
    """Parse the command line and write the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    output: Path = parser.parse_args().output
    renderer = GeometricRenderer()
    portrait = portrait_from_image(astronaut(), load_tracker(), crop_scale=renderer.spec.crop_scale)
    sheet(renderer.enroll(portrait)).save(output, optimize=True)


if __name__ == "__main__":
    main()
