"""Protocols whose drivers are made, not filmed: motions drawn from a model of real ones, and in-betweens."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from countenance.arrays import Floats
from countenance.atomic import make_folder
from countenance.errors import DependencyMissing
from countenance.evaluation.corpus import Corpus, case_name, person_of
from countenance.evaluation.protocols.protocol import MOTIONS, Case
from countenance.evaluation.protocols.sizes import Sizes
from countenance.motion.files import save_motion
from countenance.motion.interpolation import interpolate
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.crop import Crop

DRAWN = 10  # motions a source
STEPS = 25  # frames of an in-between
_MOST_FRAMES = 4000  # of all clips, that the autoencoder is fitted to
_PLACE = [ARKIT.index(name) for name in ("x", "y", "logScale")]
_OTHERS = [i for i in range(ARKIT.size) if i not in _PLACE]


def editing(corpus: Corpus, clips: list[str], sizes: Sizes, seed: int, folder: Path) -> Iterator[Case]:
    """Every clip's first face takes motions drawn by chance; where it stands in the picture stays."""
    if find_spec("torch") is None:
        raise DependencyMissing("torch", "torch", "the protocol 'editing'")
    from countenance.evaluation.protocols.motion_vae import MotionVAE

    real = np.concatenate([corpus.track(clip).coefficients[corpus.track(clip).seen()] for clip in clips])
    kept = np.linspace(0, len(real) - 1, min(len(real), _MOST_FRAMES)).astype(int)
    model = MotionVAE.fitted(real[kept][:, _OTHERS], seed)
    for number, clip in enumerate(clips):
        own = own_motion(corpus, clip)
        values = np.repeat(own.values, DRAWN, 0)
        values[:, _OTHERS] = model.drawn(DRAWN, seed + number)
        motion = own.with_values(ARKIT.clamp(values))
        yield _drawn_case(corpus, clip, motion, folder / MOTIONS / f"{number:05d}.npz", stills=True)


def interpolation(corpus: Corpus, clips: list[str], sizes: Sizes, seed: int, folder: Path) -> Iterator[Case]:
    """Every clip's first face moves to the motion, of another person's clip, that is farthest from it."""
    for i, clip in enumerate(clips):
        others = [c for c in clips[i + 1 :] + clips[:i] if person_of(c) != person_of(clip)]
        if not others:
            continue
        own, track = own_motion(corpus, clip), corpus.track(others[0])
        there: Floats = track.coefficients[track.seen()]
        far = there[np.abs(there[:, _OTHERS] - own.values[0, _OTHERS]).sum(1).argmax()]
        end = own.values[0].copy()
        end[_OTHERS] = far[_OTHERS]
        between = interpolate(own, own.with_values(end[None]).still(STEPS), np.linspace(0, 1, STEPS))
        yield _drawn_case(corpus, clip, between, folder / MOTIONS / f"{i:05d}.npz", stills=False)


def own_motion(corpus: Corpus, clip: str) -> Motion:
    """A clip's first face: one frame, relative to the standard crop around it."""
    track = corpus.track(clip)
    face = track.face(track.seen()[0])
    return corpus.tracker().motion(face.coefficients[None], Crop.around(face.box_px), track.fps)


def _drawn_case(corpus: Corpus, clip: str, motion: Motion, path: Path, *, stills: bool) -> Case:
    make_folder(path.parent)
    save_motion(path, motion)
    count = len(motion)
    return Case(
        case_name(clip),
        clip,
        corpus.track(clip).seen()[0],
        f"{MOTIONS}/{path.name}",
        0,
        count,
        tuple(range(count)),
        stills=stills,
        group=person_of(clip),
    )
