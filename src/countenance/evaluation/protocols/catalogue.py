"""The protocols by name: clips in, cases out. The same clips, limit and seed give the same cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, islice, zip_longest
from pathlib import Path

import numpy as np

from countenance.errors import BadValue, MediaUnreadable, NoFaceFound, UnknownName
from countenance.evaluation.corpus import Corpus, case_name, person_of
from countenance.evaluation.protocols.drawn_motions import editing, interpolation
from countenance.evaluation.protocols.protocol import Case, Protocol
from countenance.evaluation.protocols.sizes import Sizes, spread
from countenance.motion.pose import matrix_axis_angle, relative_rotation, rotation_matrix
from countenance.motion.spaces import ARKIT
from countenance.motion.transfer import Mode

HELD_OUT_S = 25.0  # PIR, Sec. 4: "the last 25s of each original video clip"
_TURNS = ((10, 20), (20, 30), (30, 180))  # degrees, of multi-view's groups
_ANGLES = [ARKIT.index(name) for name in ("yaw", "pitch", "roll")]


@dataclass(frozen=True)
class Builder:
    """How a protocol's cases are made.

    Attributes:
        description: one sentence, for people.
        cases: (corpus, usable clips, sizes, seed, folder for motion files) -> cases, lazily.
        needs: what its clips must show, for people.
    """

    description: str
    cases: Callable[[Corpus, list[str], Sizes, int, Path], Iterator[Case]]
    needs: str = "a face"


def build(name: str, corpus: Corpus, folder: Path, sizes: Sizes, seed: int, limit: int | None) -> Protocol:
    """Make a protocol.

    Args:
        name: of :data:`PROTOCOLS`.
        corpus: the clips.
        folder: the protocol's own; motion files are written beside it.
        sizes: how much of each clip.
        seed: of what is drawn by chance.
        limit: the first so many cases only.

    Raises:
        UnknownName: with the nearest names.
        BadValue: no case can be made of these clips.
    """
    if name not in PROTOCOLS:
        raise UnknownName("protocol", name, PROTOCOLS)
    usable: list[str] = []
    left_out: dict[str, str] = {}
    for clip in corpus.clips():
        try:
            corpus.track(clip)
            usable.append(clip)
        except (MediaUnreadable, NoFaceFound) as error:
            left_out[clip] = str(error).replace(str(corpus.folder / clip), clip)  # wherever the folder lies
    builder = PROTOCOLS[name]
    cases = tuple(
        islice(_named_apart(builder.cases(corpus, usable, sizes, seed, folder)), limit) if usable else ()
    )
    if not cases:
        why = f"it needs {builder.needs}" if usable else next(iter(left_out.values()))
        raise BadValue(f"no case of '{name}' can be made of the clips in {corpus.folder}: {why}")
    used = {clip for case in cases for clip in (case.source, case.driver) if not clip.endswith(".npz")}
    if limit is None:
        left_out |= {clip: _NO_CASE for clip in usable if clip not in used}
    digests = {clip: corpus.digest(clip) for clip in sorted(used)}
    return Protocol(name, builder.description, seed, cases, digests, left_out)


_NO_CASE = "the protocol has no case for it"
_TWO_PEOPLE = "clips of two people or more; PERSON_NUMBER.mp4 says who is the same"


def _named_apart(cases: Iterable[Case]) -> Iterator[Case]:
    """Clips of one name in two formats, or in two folders, must not give two cases of one name."""
    taken: set[str] = set()
    for case in cases:
        others = (f"{case.name}-{number}" for number in count(2))
        name = next(name for name in chain([case.name], others) if name.casefold() not in taken)
        taken.add(name.casefold())  # on some file systems, Anna.json is anna.json
        yield replace(case, name=name)


def _same_identity(corpus: Corpus, clips: list[str], sizes: Sizes, seed: int, folder: Path) -> Iterator[Case]:
    """A clip drives its own first frame."""
    for clip in clips:
        seen = corpus.track(clip).seen()
        start, stop = seen[0], min(len(corpus.track(clip)), seen[0] + sizes.frames)
        compared = spread([i for i in seen if i < stop], sizes.compared)
        yield Case(
            case_name(clip), clip, start, clip, start, stop, compared, truth=clip, group=person_of(clip)
        )


def _held_out(corpus: Corpus, clips: list[str], sizes: Sizes, seed: int, folder: Path) -> Iterator[Case]:
    """The first frame is driven by the clip's last seconds, which a personal model must not have learnt from."""
    for clip in clips:
        track = corpus.track(clip)
        start = max(len(track) - round(HELD_OUT_S * track.fps), len(track) // 2)
        stop = min(len(track), start + sizes.frames)
        compared = spread(track.seen(start, stop), sizes.compared)
        if compared:
            first = track.seen()[0]
            yield Case(
                case_name(clip), clip, first, clip, start, stop, compared, truth=clip, group=person_of(clip)
            )


def _multi_view(corpus: Corpus, clips: list[str], sizes: Sizes, seed: int, folder: Path) -> Iterator[Case]:
    """The most frontal frame is driven to those in which the head is turned from it."""
    for clip in clips:
        track = corpus.track(clip)
        seen = track.seen()
        angles = track.coefficients[seen][:, _ANGLES].astype(np.float64)
        front = int(np.argmin(np.abs(angles[:, :2]).max(1)))
        first = rotation_matrix(*angles[front])
        turns = matrix_axis_angle(relative_rotation(rotation_matrix(*angles.T), first[None]))
        degrees = np.degrees(np.linalg.norm(turns, axis=-1))
        for low, high in _TURNS:
            frames = [
                frame for frame, turned in zip(seen, degrees.tolist(), strict=True) if low <= turned < high
            ]
            frames = [frame for frame in frames if frame < frames[0] + sizes.frames]
            if frames:
                name = f"{case_name(clip)}__{low}deg"
                compared = spread(frames, sizes.compared)
                group = (
                    f"turned by {low} to {high} degrees" if high < 180 else f"turned by over {low} degrees"
                )
                yield Case(
                    name,
                    clip,
                    seen[front],
                    clip,
                    frames[0],
                    frames[-1] + 1,
                    compared,
                    truth=clip,
                    group=group,
                )


def _other_people(clips: list[str], i: int) -> Iterator[str]:
    """The clips of other people than clip ``i``'s, from the next one around to it."""
    for offset in range(1, len(clips)):
        clip = clips[(i + offset) % len(clips)]
        if person_of(clip) != person_of(clips[i]):
            yield clip


def _cross_identity(
    mode: Mode,
) -> Callable[[Corpus, list[str], Sizes, int, Path], Iterator[Case]]:
    def cases(corpus: Corpus, clips: list[str], sizes: Sizes, seed: int, folder: Path) -> Iterator[Case]:
        """Pairs of different people; all clips are sources once before any is again."""
        order = [clips[i] for i in np.random.default_rng(seed).permutation(len(clips))]
        for turn in zip_longest(*(_other_people(order, i) for i in range(len(order)))):
            for source, driver in zip(order, turn, strict=True):
                if driver is None:
                    continue
                track = corpus.track(driver)
                seen = track.seen()
                stop = min(len(track), seen[0] + sizes.frames)
                compared = spread([f for f in seen if f < stop], sizes.compared)
                yield Case(
                    case_name(source, driver),
                    source,
                    corpus.track(source).seen()[0],
                    driver,
                    seen[0],
                    stop,
                    compared,
                    transfer=mode,
                    group=person_of(source),
                )

    return cases


PROTOCOLS: dict[str, Builder] = {
    "same-identity": Builder(
        "Each clip's own motion drives its first frame; true pictures exist (PIRenderer, Sec. 4.3).",
        _same_identity,
    ),
    "cross-identity": Builder(
        "A person's first frame is driven by another's motion as it is (PIRenderer, Sec. 4.3; OTAvatar, Sec. 4.2).",
        _cross_identity("absolute"),
        _TWO_PEOPLE,
    ),
    "cross-identity-relative": Builder(
        "As cross-identity, but what the driver does relative to its own first frame is done to the source's.",
        _cross_identity("relative"),
        _TWO_PEOPLE,
    ),
    "multi-view": Builder(
        "The most frontal frame is driven to those turned by 10 degrees or more. OTAvatar (Sec. 4.2) has cameras at "
        "several sides; in clips of one camera, turned heads stand in for them.",
        _multi_view,
        "a head that turns by 10 degrees or more",
    ),
    "editing": Builder(
        "First frames take expressions and head rotations that a variational autoencoder, fitted to all clips' motion, "
        "draws by chance (PIRenderer, Sec. 4.2).",
        editing,
    ),
    "held-out": Builder(
        f"The first frame is driven by the clip's last {HELD_OUT_S:g} s, or its second half if that is shorter, which "
        "personal models must not have learnt from (PIR, Sec. 4; PVP, Sec. 5.1).",
        _held_out,
        "a face in the last seconds of a clip",
    ),
    "interpolation": Builder(
        "First frames move evenly from their own motion to another person's farthest one (PIRenderer, appendix C).",
        interpolation,
        _TWO_PEOPLE,
    ),
}
