"""`make demo`: a public-domain photograph (NASA portrait of Eileen Collins) turns, blinks, speaks and smiles."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

import countenance as cn

FOLDER = Path(__file__).resolve().parents[1] / "demo"
SHEET = (0, 22, 47, 61, 73, 90, 101, 118, 136, 150, 180, 210)  # frames that show each thing the motion does


def main() -> None:
    """Write demo/astronaut.mp4 and demo/contact_sheet.jpg."""
    FOLDER.mkdir(exist_ok=True)
    photo = FOLDER / "astronaut.png"
    Image.fromarray(data.astronaut()).save(photo)
    with resources.as_file(resources.files("countenance.motion") / "data" / "demo.npz") as path:
        driver = cn.load_motion(path)

    renderer = cn.load_renderer("geometric")
    portrait = cn.load_portrait(photo, crop_scale=renderer.spec.crop_scale)
    motion = cn.transfer(driver, portrait.motion, reference="first")  # it was made to begin at rest
    kept: list[np.ndarray] = []

    def watched():
        for i, frame in enumerate(cn.animate(portrait, motion, renderer)):
            if i in SHEET:
                kept.append(frame.image[:300, 70:370])
            if i % 25 == 0:
                print(f"\rrendering {i}/{len(motion)}", end="", file=sys.stderr)
            yield frame
        print("\r", end="", file=sys.stderr)

    video = FOLDER / "astronaut.mp4"
    cn.write_video(video, watched(), motion.fps, model="geometric")
    half = len(kept) // 2
    sheet = np.vstack([np.hstack(kept[:half]), np.hstack(kept[half:])])
    Image.fromarray(sheet).save(FOLDER / "contact_sheet.jpg", quality=92)
    print(f"video:         {video}")
    print(f"contact sheet: {FOLDER / 'contact_sheet.jpg'}")


if __name__ == "__main__":
    main()
