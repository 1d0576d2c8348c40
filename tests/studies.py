"""Results of systems that never were, and participants who answer by rule, for the tests of user studies."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from countenance.evaluation.study.answers import COLUMNS
from countenance.evaluation.study.key import Key, Shown
from countenance.media.writer import AudioSource, VideoWriter
from sounds import voice, write_sound

CASES = ("anna_0417", "boris_0093", "chloe_5521", "dmitri_7730")
TINTS = {"sharpnet": (1.0, 0.35, 0.35), "waxworks": (0.35, 0.35, 1.0), "trueclips": (0.35, 1.0, 0.35)}
"""Colours by which a test sees whose video is on the screen: red, blue and green."""

Choice = Callable[[str, Shown, Shown], str]
"""Participant, what is left, what is right -> left or right."""


def film(
    path: Path,
    tint: Iterable[float] = (1, 1, 1),
    *,
    frames: int = 50,
    width: int = 64,
    height: int = 64,
    fps: float = 25,
    sound: bool = False,
) -> Path:
    """The astronaut swaying, in a colour, and texts in the container that tell whose it is."""
    face = cv2.resize(data.astronaut()[:256, 96:352], (width, height), interpolation=cv2.INTER_AREA)
    tinted = (face * np.array([*tint])).astype(np.uint8)
    speech = path.with_suffix(".wav")
    if sound:
        write_sound(speech, voice(frames / fps))
    texts = {"comment": f"made by {path.parent.name}", "model": path.parent.name, "title": path.stem}
    source = AudioSource(speech) if sound else None
    with VideoWriter(path, fps, width, height, metadata=texts, audio=source) as writer:
        for i in range(frames):
            writer.write(np.ascontiguousarray(np.roll(tinted, round(3 * np.sin(i / 4)), 1)))
    speech.unlink(missing_ok=True)
    return path


def results(
    folder: Path,
    systems: Iterable[str],
    cases: Iterable[str] = CASES,
    *,
    sound: bool = False,
    frames: int = 50,
) -> list[Path]:
    """A folder for each system, with a video for each case."""
    folders = [folder / name for name in systems]
    for place in folders:
        place.mkdir()
        for case in cases:
            film(place / f"{case}.mp4", TINTS.get(place.name, (1, 1, 1)), sound=sound, frames=frames)
    return folders


def clips_in(page: Path) -> dict[str, bytes]:
    """Id -> MP4, out of a page."""
    found = re.findall(r'<script type="text/plain" id="(c-[0-9a-f]{12})">([^<]+)<', page.read_text())
    return {name: base64.b64decode(text) for name, text in found}


def row(key: Key, **changes: object) -> str:
    """A line of an answer file: the key's first item, answered in a way that can be."""
    item, clips = next(iter(key.items.items()))
    usual = {
        "study": key.study,
        "kind": key.kind,
        "participant": "p-0123456789abcdef",
        "seed": 7,
        "position": 1,
        "item": item,
        "question": "q1",
        "left": clips[0],
        "right": clips[1] if len(clips) == 2 else "",
        "answer": "left" if key.kind == "pairs" else 4,
        "ms": 2100,
    }
    return ",".join(str({**usual, **changes}[name]) for name in COLUMNS)


def sheet(*rows: str) -> str:
    """An answer file."""
    return "\r\n".join((",".join(COLUMNS), *rows, ""))


def answered(key: Key, number: int, choose: Choice) -> str:
    """The answer file of a participant who chooses by rule; ratings are what ``choose`` gives for the clip twice."""
    rows, participant = [], f"p-{number:016x}"
    for position, (item, clips) in enumerate(key.items.items(), 1):
        sides = clips if (number + position) % 2 else clips[::-1]
        left, right = sides[0], sides[1] if len(sides) == 2 else ""
        for question in key.questions:
            answer = choose(participant, key.clips[left], key.clips[right or left])
            rows.append(
                row(
                    key,
                    participant=participant,
                    position=position,
                    item=item,
                    question=question,
                    left=left,
                    right=right,
                    answer=answer,
                    ms=1000 * position,
                )
            )
    return sheet(*rows)
