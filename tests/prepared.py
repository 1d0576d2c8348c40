"""A dataset made without pictures of real people: the astronaut, shifted about, with motion that says so."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from skimage import data

from countenance.data.dataset import PARTS, Clip, Manifest, save_landmarks
from countenance.face.mediapipe_model import mediapipe_model
from countenance.media.writer import VideoWriter
from countenance.motion.files import save_motion
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.trackers.arkit_pose import crop_points


def write_dataset(folder: Path, size: int = 32, frames: int = 9) -> Path:
    """Three clips: two of identity ``a`` and one of ``b`` in train, none in test."""
    for part in PARTS:
        (folder / part).mkdir(parents=True)
    clips = []
    for number, (name, identity) in enumerate((("a_01", "a"), ("a_02", "a"), ("b_01", "b"))):
        face = cv2.resize(data.astronaut()[:256, 96:352], (size, size), interpolation=cv2.INTER_AREA)
        shifts = (np.arange(frames) + number) % 5 - 2
        with VideoWriter(folder / "clips" / f"{name}.mp4", 25.0, size, size, crf=8) as writer:
            for shift in shifts:
                writer.write(np.ascontiguousarray(np.roll(face, int(shift), 1)))
        motion = Motion.neutral(ARKIT, frames, 25.0).set(x=shifts / size, jawOpen=shifts / 10 + 0.2)
        save_motion(folder / "motion" / f"{name}.npz", motion)
        depth = mediapipe_model().mean[:, 2] * (size / 25)
        flat = (crop_points(motion.values)[0] + 1) * (size / 2)
        landmarks = np.concatenate([flat, np.tile(depth, (frames, 1))[..., None]], 2)
        save_landmarks(folder / "landmarks" / f"{name}.npz", landmarks)
        clips.append(Clip(name, identity, "train", frames, 25.0, f"{name}.mp4", (0, 0, size), 0))
    Manifest("arkit", size, 1.0, tuple(clips), {}).write(folder)
    return folder
