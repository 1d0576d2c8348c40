"""Draw docs/images/robustness.jpg: what a renderer makes of difficult photographs, all from public-domain ones.

    python tools/robustness_sheet.py [--model gdpw-lite] [-o docs/images/robustness.jpg]

The difficulties are painted onto scikit-image's astronaut (NASA): nobody's picture had to be asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

from countenance.animation import animate
from countenance.editing import with_changes
from countenance.errors import NoFaceFound
from countenance.face.mediapipe_topology import (
    FACE_OVAL,
    LEFT_EYE_UPPER,
    LIPS_LOWER,
    LIPS_UPPER,
    RIGHT_EYE_UPPER,
)
from countenance.renderers.catalogue import load_renderer
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.portraits import portrait_from_image

CELL = 200
EDITS = (
    {},
    {"yaw": 0.3, "mouthSmileLeft": 0.8, "mouthSmileRight": 0.8},
    {"yaw": -0.3, "jawOpen": 0.6},
    {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0, "pitch": 0.15},
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="the default one if not given")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images/robustness.jpg"))
    args = parser.parse_args()
    renderer, tracker = load_renderer(args.model), load_tracker()
    rows = []
    for name, make in PICTURES.items():
        picture = make()
        try:
            portrait = portrait_from_image(picture, tracker, crop_scale=renderer.spec.crop_scale)
        except NoFaceFound as refusal:
            print(f"{name}: declined: {refusal}")
            continue
        moved = [
            next(animate(portrait, with_changes(portrait.motion, e), renderer, paste_back=False)).image
            for e in EDITS
        ]
        cells = [portrait.square, *moved[1:]]
        rows.append(np.hstack([labelled(c, name if k == 0 else "") for k, c in enumerate(cells)]))
        print(f"{name}: animated")
    if len(rows) % 2:
        rows.append(np.full_like(rows[0], 255))
    half = len(rows) // 2
    sheet = np.hstack(
        [np.vstack(rows[:half]), np.full((half * CELL, 12, 3), 255, np.uint8), np.vstack(rows[half:])]
    )
    Image.fromarray(sheet).save(args.output, quality=88)


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    """A cell with its name at the top."""
    cell = np.asarray(Image.fromarray(picture).resize((CELL, CELL), Image.Resampling.LANCZOS)).copy()
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(cell, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, width, cv2.LINE_AA)
    return cell


def astronaut() -> np.ndarray:
    return data.astronaut()


def landmarks() -> np.ndarray:
    return load_tracker().faces(astronaut())[0].landmarks_px[:, :2]


def edited(**changes: float) -> Callable[[], np.ndarray]:
    """The astronaut in another pose, made by the geometric renderer."""

    def make() -> np.ndarray:
        renderer = load_renderer("geometric")
        portrait = portrait_from_image(astronaut(), load_tracker(), crop_scale=renderer.spec.crop_scale)
        return next(animate(portrait, with_changes(portrait.motion, changes), renderer)).image

    return make


def sunglasses() -> np.ndarray:
    picture, points = astronaut().copy(), landmarks()
    for eye in (RIGHT_EYE_UPPER, LEFT_EYE_UPPER):
        center = points[list(eye)].mean(0) + np.array([0, 4])
        cv2.ellipse(picture, [int(v) for v in center], (19, 14), 0, 0, 360, (18, 18, 22), -1, cv2.LINE_AA)
    bridge = [[int(v) for v in points[i]] for i in (133, 362)]
    cv2.line(picture, bridge[0], bridge[1], (18, 18, 22), 3, cv2.LINE_AA)
    return picture


def hand() -> np.ndarray:
    picture, points = astronaut().copy(), landmarks()
    x, y = points[list(LIPS_UPPER + LIPS_LOWER)].mean(0)
    skin = tuple(int(v) for v in np.median(picture[150:160, 215:235].reshape(-1, 3), 0))
    for finger in range(4):
        start = (int(x + 55), int(y + 14 * finger - 18))
        end = (int(x - 18 + 6 * abs(finger - 1)), int(y + 11 * finger - 14))
        cv2.line(picture, start, end, tuple(int(v * 0.75) for v in skin), 15, cv2.LINE_AA)
        cv2.line(picture, start, end, skin, 12, cv2.LINE_AA)
    return picture


def beard() -> np.ndarray:
    picture, points = astronaut().copy(), landmarks()
    mask = np.zeros(picture.shape[:2], np.float32)
    cv2.fillPoly(mask, [points[list(FACE_OVAL)].astype(np.int32)], 1.0)
    mask[: int(points[2, 1])] = 0
    ring = [*LIPS_UPPER, *LIPS_LOWER[::-1]]
    cv2.fillPoly(mask, [points[ring].astype(np.int32)], 0.0)
    hairs = np.random.default_rng(0).normal(1, 0.35, (*mask.shape, 1)).clip(0.3, 1.7)
    hairs = cv2.GaussianBlur(hairs, (0, 0), 0.7)[..., None]
    mask = cv2.GaussianBlur(mask, (0, 0), 2.5)[..., None] * 0.85
    return (picture * (1 - mask) + np.array((62, 44, 34)) * hairs * mask).clip(0, 255).astype(np.uint8)


def pencil() -> np.ndarray:
    grey, _ = cv2.pencilSketch(np.ascontiguousarray(astronaut()), sigma_s=40, sigma_r=0.08, shade_factor=0.05)
    return np.dstack([grey] * 3)


def childs_drawing() -> np.ndarray:
    paper = np.full((400, 400, 3), 250, np.uint8)
    cv2.circle(paper, (200, 200), 130, (240, 190, 150), -1, cv2.LINE_AA)
    cv2.circle(paper, (200, 200), 130, (60, 40, 30), 4, cv2.LINE_AA)
    for x in (150, 250):
        cv2.circle(paper, (x, 165), 14, (30, 60, 160), -1, cv2.LINE_AA)
    cv2.ellipse(paper, (200, 235), (60, 35), 0, 10, 170, (200, 30, 40), 6, cv2.LINE_AA)
    cv2.line(paper, (200, 185), (190, 215), (60, 40, 30), 4, cv2.LINE_AA)
    return paper


PICTURES: dict[str, Callable[[], np.ndarray]] = {
    "as it is": astronaut,
    "eyes closed": edited(eyeBlinkLeft=1.0, eyeBlinkRight=1.0),
    "turned far": edited(yaw=0.6),
    "dark glasses": sunglasses,
    "hand over mouth": hand,
    "beard": beard,
    "pencil drawing": pencil,
    "small and dark": lambda: cv2.resize((astronaut() * 0.25).astype(np.uint8), (160, 160)),
    "child's drawing": childs_drawing,
    "cat": data.cat,
}


if __name__ == "__main__":
    main()
