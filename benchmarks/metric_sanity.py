"""Which metric notices what: true videos are damaged in known ways, and evaluated as another program's results are.

    python benchmarks/metric_sanity.py [--clips FOLDER] [--markdown docs/results.md]

Some clips, spread over the folder; each is the result of its own same-identity case, damaged. A metric has noticed a
damage where the 95 % interval of its change against the undamaged video leaves 0 out, in the bad direction (paired,
bootstrap over clips). The undamaged video is perfect by most metrics, so that they notice the least change; therefore a
real renderer stands beside it, and a damage that is less bad than that is easily hidden. What is to notice what is
written down below, and was before the first run.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from countenance.arrays import Doubles, Floats, Image
from countenance.cli.progress import bar
from countenance.errors import CountenanceError
from countenance.evaluation.corpus import Corpus, person_of
from countenance.evaluation.evaluate import Crew, Settings, evaluate
from countenance.evaluation.models import Model
from countenance.evaluation.protocols.protocol import FILE, Case, Protocol
from countenance.evaluation.protocols.sizes import Sizes
from countenance.evaluation.report.tables import number, shown_metrics
from countenance.evaluation.tracks import pictures_at
from countenance.evaluation.work import TRACKS
from countenance.face.mediapipe_topology import IRISES, REGIONS
from countenance.face.procrustes import similarity
from countenance.media.image_writer import write_image
from countenance.media.video import VideoReader
from countenance.trackers.catalogue import tracker_for
from page import replace_section

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "heads" / "test"
IDENTICAL, RENDERER = "identical", "geometric"
RESAMPLES, FEWEST = 1000, 3  # clips that must have a value, for an interval
NOTHING = 1e-9  # changes below it are rounding

STEADY = [
    168,
    6,
    197,
    195,
    5,
    4,
    1,
    2,
    98,
    327,
    33,
    133,
    362,
    263,
]  # nose and corners of the eyes: no lips, no lids
LIPS = list(REGIONS["lips"])
EYES = {
    "right": ([*REGIONS["rightEye"], *IRISES[0]], (33, 133)),  # corners: outer, inner
    "left": ([*REGIONS["leftEye"], *IRISES[1]], (263, 362)),
}
MOUTH_MARGIN, EYE_MARGIN = 0.12, 0.045  # of the face's height, around the landmarks


@dataclass(frozen=True, eq=False)
class Film:
    """What a damage is made of.

    Attributes:
        pictures: the true frames.
        landmarks_px: (T, 478, 2 or 3) on them.
        other: frames of another person, as many and of the same size.
    """

    pictures: list[Image]
    landmarks_px: Floats
    other: list[Image]

    @property
    def points(self) -> Doubles:
        """(T, 478, 2) landmarks where OpenCV counts pixels from: the first one's centre."""
        return np.asarray(self.landmarks_px[..., :2], np.float64) - 0.5

    @property
    def height(self) -> float:
        """Of the first frame's face, px."""
        return float(np.ptp(self.points[0, :, 1]))


Damage = Callable[[Film], list[Image]]


def each(edit: Callable[[int, Floats], Any]) -> Damage:
    """A damage that takes the frames one by one: (number, picture as floats) -> picture."""

    def damage(film: Film) -> list[Image]:
        changed = (edit(i, picture.astype(np.float32)) for i, picture in enumerate(film.pictures))
        return [np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8) for picture in changed]

    return damage


def shifted(picture: Any, right_px: int) -> Any:
    """The picture moved to the right, its edge repeated."""
    columns = np.clip(np.arange(picture.shape[1]) - right_px, 0, picture.shape[1] - 1)
    return picture[:, columns]


def around(points: Doubles, margin_px: float, shape: tuple[int, ...]) -> Doubles:
    """(H, W, 1) weights: 1 in the points' hull and half a margin around it, 0 from a whole margin on."""
    outside = np.full(shape[:2], 255, np.uint8)
    cv2.fillConvexPoly(outside, cv2.convexHull(np.rint(points).astype(np.int32)), 0)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.clip(2 - 2 * np.asarray(distance, np.float64) / margin_px, 0, 1)[..., None]


def pasted(picture: Image, patch: Image, weights: Doubles) -> Image:
    """A patch laid over a picture of the same size."""
    return np.asarray(np.rint(weights * patch + (1 - weights) * picture), np.uint8)


def warped(picture: Image, matrix: Doubles) -> Image:
    """Moved by (2, 3) an affine map."""
    size = picture.shape[1::-1]
    moved = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def frozen_mouth(film: Film) -> list[Image]:
    """The first frame's mouth on every frame, moved by the similarity that lays nose and corners of the eyes upon
    theirs. It also covers the frame's own lips.
    """
    first, results = film.points[0], []
    for picture, here in zip(film.pictures, film.points, strict=True):
        scale, rotation, shift = similarity(first[STEADY], here[STEADY])
        matrix = np.column_stack([scale * rotation, shift])
        lips = np.concatenate([first[LIPS] @ matrix[:, :2].T + shift, here[LIPS]])
        weights = around(lips, MOUTH_MARGIN * film.height, picture.shape)
        results.append(pasted(picture, warped(film.pictures[0], matrix), weights))
    return results


def swapped_eyes(mirrored: bool) -> Damage:
    """Each eye at the other's place, corner upon corner: image left upon image left; or mirrored, outer upon outer."""

    def damage(film: Film) -> list[Image]:
        results = []
        for picture, here in zip(film.pictures, film.points, strict=True):
            result = picture
            for side, other in (("right", "left"), ("left", "right")):
                ring, corners = EYES[side]
                theirs = EYES[other][1] if mirrored else EYES[other][1][::-1]
                matrix = corner_upon_corner(here[list(theirs)], here[list(corners)], mirrored)
                weights = around(here[ring], EYE_MARGIN * film.height, picture.shape)
                result = pasted(result, warped(picture, matrix), weights)
            results.append(result)
        return results

    return damage


def corner_upon_corner(source: Doubles, target: Doubles, mirrored: bool) -> Doubles:
    """(2, 3) the map without shear that takes two points to two others, with or without a mirror."""
    a, b = (source @ [1, -1j if mirrored else 1j]), (target @ [1, 1j])
    turn = (b[1] - b[0]) / (a[1] - a[0])
    shift = b[0] - turn * a[0]
    flip = -1 if mirrored else 1
    return np.array([[turn.real, -flip * turn.imag, shift.real], [turn.imag, flip * turn.real, shift.imag]])


def noisy(film: Film) -> list[Image]:
    """Grey levels of a normal distribution added, sigma 6, of one seed."""
    random = np.random.default_rng(0)
    return each(lambda i, p: p + random.normal(0, 6, p.shape))(film)


DAMAGES: dict[str, Damage] = {
    IDENTICAL: lambda film: film.pictures,
    "one frame late": lambda film: [film.pictures[0], *film.pictures[:-1]],
    "2 px to the right": each(lambda i, p: shifted(p, 2)),
    "trembles by 1 px": each(lambda i, p: shifted(p, i % 2)),
    "blurred, sigma 2": each(lambda i, p: cv2.GaussianBlur(p, (0, 0), 2)),
    "red +12, blue -12": each(lambda i, p: p + np.array([12, 0, -12])),
    "flickers by ±4": each(lambda i, p: p + (4 if i % 2 else -4)),
    "noise, sigma 6": noisy,
    "another person": lambda film: film.other,
    "mouth frozen": frozen_mouth,
    "eyes swapped": swapped_eyes(mirrored=False),
    "eyes swapped and mirrored": swapped_eyes(mirrored=True),
    "first frame, frozen": lambda film: [film.pictures[0]] * len(film.pictures),
    "last third missing": lambda film: film.pictures[: 2 * len(film.pictures) // 3],
}

MISSING = "missing"
MEANT: dict[str, tuple[str, ...]] = {
    "one frame late": ("pose_error_deg", "landmark_distance_percent", "lip_distance_percent"),
    "2 px to the right": ("landmark_distance_percent", "ssim"),
    "trembles by 1 px": ("landmark_jitter_percent",),
    "blurred, sigma 2": ("cpbd", "perceptual_lite0", "ssim"),
    "red +12, blue -12": ("l1", "psnr"),
    "flickers by ±4": ("flicker",),
    "noise, sigma 6": ("psnr", "ssim", "perceptual_lite0"),
    "another person": ("identity_cosine_dlib",),
    "mouth frozen": ("opening_correlation", "lip_distance_percent"),
    "eyes swapped": ("expression_error_arkit", "perceptual_lite0"),
    "eyes swapped and mirrored": ("expression_error_arkit", "perceptual_lite0"),
    "first frame, frozen": ("pose_error_deg", "expression_error_arkit", "opening_correlation"),
    "last third missing": (MISSING,),
}
"""Damage -> what is meant to notice it; MISSING is the report's count of frames that did not come."""


def film_of(case: Case, other: Case, corpus: Corpus) -> Film:
    """The true frames of a case, beside those of another person's."""
    numbers = list(range(case.start, case.stop))
    pictures = list(pictures_at(corpus.folder / case.source, numbers))
    height, width = pictures[0].shape[:2]
    with VideoReader(corpus.folder / other.source) as video:
        theirs = [
            np.asarray(cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            for frame in islice(video.frames(), case.stop)
        ]
    looped = [theirs[i % len(theirs)] for i in numbers]
    return Film(pictures, corpus.track(case.source).landmarks_px[case.start : case.stop], looped)


def write_frames(folder: Path, pictures: Sequence[Image]) -> None:
    """A result as evaluations take it."""
    folder.mkdir(parents=True)
    for i, picture in enumerate(pictures):
        write_image(folder / f"{i:05}.png", picture)


def write_damaged(protocol: Protocol, corpus: Corpus, folder: Path) -> list[Model]:
    """All damages of all cases, as folders of PNG frames."""
    for i, case in enumerate(protocol.cases):
        following = [*protocol.cases[i + 1 :], *protocol.cases[:i]]
        other = next((c for c in following if person_of(c.source) != person_of(case.source)), None)
        if other is None:
            sys.exit("all clips show one person; another one is needed, too")
        film = film_of(case, other, corpus)
        for label, damage in DAMAGES.items():
            write_frames(folder / label / case.name, damage(film))
    return [Model(label, str(folder / label)) for label in DAMAGES]


def measured(clips: Sequence[Path], sizes: Sizes, folder: Path) -> dict[str, Any]:
    """The report of all damages, and of a renderer for scale."""
    data = folder / "clips"
    data.mkdir(parents=True)
    for clip in clips:
        shutil.copy(clip, data)
    settings, output = Settings("same-identity", data, sizes, videos=False), folder / "report"
    evaluate([], settings, output, Crew(), bar)
    protocol = Protocol.load(output / FILE)
    models = write_damaged(protocol, Corpus(data, output / TRACKS, tracker_for), folder / "damaged")
    return evaluate([*models, Model.parsed(RENDERER)], settings, output, Crew(), bar)


def moved(report: Mapping[str, Any], label: str, metric: str) -> int:
    """1: moved in the bad direction; -1: in the good one; 0: neither, or nobody can say."""
    if metric == MISSING:
        return int(report["models"][label]["counts"][MISSING] > 0)
    rows = [
        {case["case"]: case["values"].get(metric, np.nan) for case in report["models"][name]["cases"]}
        for name in (label, IDENTICAL)
    ]
    worse = np.array([rows[0].get(case, np.nan) - value for case, value in rows[1].items()])
    worse = worse[np.isfinite(worse)] * (-1 if report["metrics"][metric]["best"] == "high" else 1)
    if len(worse) < FEWEST:
        return 0
    drawn = np.random.default_rng(0).integers(0, len(worse), (RESAMPLES, len(worse)))
    low, high = np.quantile(worse[drawn].mean(1), [0.025, 0.975])
    return int(low > NOTHING) - int(high < -NOTHING)


def hidden(report: Mapping[str, Any], label: str, metric: str) -> bool:
    """The renderer's own value is worse."""
    both = [report["models"][name]["summary"].get(metric) for name in (label, RENDERER)]
    if None in both:
        return False
    damaged, rendered = (found["mean"] for found in both)
    return bool(damaged > rendered if report["metrics"][metric]["best"] == "high" else damaged < rendered)


def mark(report: Mapping[str, Any], label: str, metric: str) -> str:
    """What stands behind a figure."""
    direction = moved(report, label, metric)
    if direction > 0:
        return " ◐" if hidden(report, label, metric) else " ●"
    return " ○" if direction < 0 else ""


def table(report: Mapping[str, Any]) -> list[str]:
    """One row a damage, one column a metric."""
    names = shown_metrics(report)
    told = report["metrics"]
    heads = [f"{told[n]['title']} {'↑' if told[n]['best'] == 'high' else '↓'}" for n in names]
    lines = ["| | " + " | ".join(heads) + " | missing frames |", "| --- " * (len(names) + 2) + "|"]
    for label in (*DAMAGES, RENDERER):
        found, cells = report["models"][label], []
        values = {n: number(found["summary"][n]["mean"]) if n in found["summary"] else "" for n in names}
        for name, value in {**values, MISSING: str(found["counts"][MISSING])}.items():
            bold = "**" if name in MEANT.get(label, ()) else ""
            cells.append(f"{bold}{value}{bold}" + (mark(report, label, name) if label in MEANT else ""))
        shown = "the renderer `geometric`, for scale" if label == RENDERER else label
        lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    return lines


def findings(report: Mapping[str, Any]) -> list[str]:
    """What goes unnoticed, what is easily hidden, and what is taken for better."""
    titles = {name: report["metrics"][name]["title"] for name in shown_metrics(report)}
    titles[MISSING] = "missing frames"
    gaps, drowned, fooled = [], [], []
    for label, meant in MEANT.items():
        marks = {name: mark(report, label, name).strip() for name in titles}
        by: dict[str, str] = {
            sign: ", ".join(titles[name] for name in titles if marks[name] == sign) or "nothing"
            for sign in "●◐○"
        }
        here = [name for name in meant if name in titles]
        if failed := [titles[name] for name in here if marks[name] not in ("●", "◐")]:
            gaps.append(f"- {label}: not by {', '.join(failed)}; ●: {by['●']}; ◐: {by['◐']}")
        elif here and all(marks[name] == "◐" for name in here):
            drowned.append(f"- {label}: {by['●']}")
        if "○" in marks.values():
            fooled.append(f"- {label}: {by['○']}")
    lists = {
        "Not noticed by what is meant to notice it": gaps,
        "Noticed, but in all that is meant to notice it less bad than `geometric`; what is worse (●)": drowned,
        "Taken for better than the undamaged video (○)": fooled,
    }
    return [
        line for title, items in lists.items() for line in ("", f"{title}:", "", *(items or ["- nothing"]))
    ][1:]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--count", type=int, default=6, help="clips")
    parser.add_argument("--frames", type=int, default=60, help="of a clip")
    parser.add_argument(
        "--compared", type=int, default=10, help="frames of a clip at which pictures are compared"
    )
    parser.add_argument("-o", "--output", type=Path, help="keep pictures and report here")
    parser.add_argument("--markdown", type=Path, help="file whose marked section is replaced")
    args = parser.parse_args()
    if args.output and args.output.exists():
        sys.exit(
            f"{args.output} is there already; name a new folder, as results that are there are not made again"
        )
    clips = sorted(args.clips.glob("*.mp4")) if args.clips.is_dir() else []
    if len(clips) < 2:
        sys.exit(f"no .mp4 clips of two people in {args.clips}; name a folder with --clips")
    spread = np.unique(np.linspace(0, len(clips) - 1, args.count).round().astype(int))
    with tempfile.TemporaryDirectory() as temporary:
        try:
            chosen = [clips[i] for i in spread]
            report = measured(chosen, Sizes(args.frames, args.compared), args.output or Path(temporary))
        except CountenanceError as error:
            sys.exit(str(error))
    cases = [case["name"] for case in report["protocol"]["cases"]]
    head = f"{len(cases)} clips ({', '.join(cases)}), {args.frames} frames each, {args.compared} of them compared:"
    text = "\n".join([head, "", *table(report), "", *findings(report)])
    print(text)
    if args.markdown:
        replace_section(args.markdown, "metric sanity", text)


if __name__ == "__main__":
    main()
