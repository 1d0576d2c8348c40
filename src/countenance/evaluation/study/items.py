"""What a study shows: cases that all systems have, and the pairs or single clips drawn from them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

from countenance.errors import BadValue, MediaUnreadable
from countenance.evaluation.study.key import REAL, Kind, Shown
from countenance.media.kinds import VIDEO_SUFFIXES

Cases: TypeAlias = dict[str, dict[str, Path]]
"""Case -> system -> its video, or its folder of frames."""

_FRAMES = (".png", ".jpg", ".jpeg", ".webp")


def named_systems(results: Iterable[Path], real: Path | None) -> dict[str, Path]:
    """Name -> folder: a folder's own name, or its whole path where two have the same name.

    Raises:
        BadValue: a folder twice, or results called like the recordings.
        MediaUnreadable: no such folder.
    """
    folders = list(results)
    if not folders:
        raise BadValue("there is nothing to show; give the folders of results, one a system")
    for folder in [*folders, *([real] if real else [])]:
        if not folder.is_dir():
            raise MediaUnreadable(folder, "there is no such folder", "give a folder of result videos")
    places = [folder.resolve() for folder in folders]
    if len({*places, *([real.resolve()] if real else [])}) < len(places) + (real is not None):
        raise BadValue("a folder is given twice; give every system's results once")
    names = [place.name for place in places]
    systems = {
        name if names.count(name) == 1 else str(place): place
        for name, place in zip(names, places, strict=True)
    }
    if real is not None:
        if REAL in systems:
            raise BadValue(f"a folder of results is called '{REAL}', as recordings are; rename the folder")
        systems[REAL] = real.resolve()
    return systems


def found_cases(systems: Mapping[str, Path]) -> tuple[Cases, list[str]]:
    """Cases that every system has, and the names of those that only some have.

    A case is a video file, or a folder of frames, and has its name without suffix. Other files are left aside.

    Raises:
        BadValue: no case is everywhere, or two files of a folder are the same case.
    """
    found = {name: _videos(folder) for name, folder in systems.items()}
    everywhere = set.intersection(*(set(cases) for cases in found.values()))
    if not everywhere:
        counts = ", ".join(f"{name} {len(cases)}" for name, cases in found.items())
        raise BadValue(
            f"no video has the same name in all folders (videos: {counts}); name them <case>.mp4 everywhere"
        )
    partial = sorted(set().union(*found.values()) - everywhere)
    return {case: {name: found[name][case] for name in found} for case in sorted(everywhere)}, partial


def _videos(folder: Path) -> dict[str, Path]:
    videos: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not any(inside.suffix.lower() in _FRAMES for inside in path.iterdir()):
                continue
            name = path.name
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            name = path.stem
        else:
            continue
        if name in videos:
            raise BadValue(f"{videos[name]} and {path} are both the case '{name}'; keep one of them")
        videos[name] = path
    return videos


def drawn_items(
    cases: Iterable[str], systems: list[str], kind: Kind, count: int, seed: int
) -> list[tuple[Shown, ...]]:
    """What people will see.

    ``pairs``: two systems' clips of the same case, every two systems equally often (as nearly as ``count`` allows).
    With recordings, each pair is a recording and a generated clip. A case comes back only when all others were used,
    so that a recording is not recognised by being seen again. ``ratings``: every system's clip of a case, for as many
    cases as fit into ``count``, so that all systems are rated on the same cases (PIR, Sec. 4.5).

    Args:
        cases: names that all systems have.
        systems: names; :data:`REAL` among them if there are recordings.
        kind: pairs or ratings.
        count: at most so many items.
        seed: another one draws others.

    Raises:
        BadValue: too few systems, or a ``count`` that is too small.
    """
    chance = random.Random(seed)
    order = chance.sample(sorted(cases), len(list(cases)))
    if kind == "ratings":
        if count < len(systems):
            raise BadValue(
                f"--items {count} is less than the {len(systems)} systems, each of which is rated on the same "
                f"case; give --items {len(systems)} or more"
            )
        return [(Shown(case, name),) for case in order[: count // len(systems)] for name in systems]
    generated = [name for name in systems if name != REAL]
    opponents = [(REAL, name) for name in generated] if REAL in systems else list(combinations(generated, 2))
    if not opponents:
        raise BadValue("a pair needs two folders of results, or one and --real with the recordings")
    if count < len(opponents):
        raise BadValue(
            f"--items {count} is less than the {len(opponents)} pairs of systems; "
            f"give --items {len(opponents)} or more"
        )
    chance.shuffle(opponents)
    rounds = [
        tuple(Shown(case, name) for name in opponents[(turn + place) % len(opponents)])
        for turn in range(len(opponents))
        for place, case in enumerate(order)
    ]
    return rounds[:count]


def fingerprint(cases: Cases, shown: Iterable[Shown], seed: int) -> str:
    """Hash over the videos shown, their names and the seed: secret enough to make ids of, the same every time."""
    digest = hashlib.sha256(str(seed).encode())
    for clip in sorted(set(shown), key=lambda clip: (clip.case, clip.system)):
        path = cases[clip.case][clip.system]
        digest.update(f"\0{clip.case}\0{clip.system}\0".encode())
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def telling_nothing(letter: str, secret: str, *what: str) -> str:
    """An id from which nothing can be read.

    Args:
        letter: says only whether it is a study, an item or a clip. It also keeps spreadsheets from taking an id for a
            number and rounding it.
        secret: of :func:`fingerprint`.
        what: it stands for.

    Returns:
        The letter, a dash and 12 hexadecimal digits.
    """
    return f"{letter}-{hashlib.sha256(chr(0).join((letter, secret, *what)).encode()).hexdigest()[:12]}"
