"""The damages of benchmarks/metric_sanity.py do what their names say, and metrics notice them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from countenance.evaluation.corpus import Corpus
from countenance.evaluation.evaluate import Crew, Settings, evaluate
from countenance.evaluation.models import Model
from countenance.evaluation.protocols.protocol import FILE, Protocol
from countenance.evaluation.protocols.sizes import Sizes
from countenance.evaluation.work import TRACKS
from countenance.media.writer import VideoWriter
from countenance.trackers.catalogue import load_tracker, tracker_for

FRAMES, SIZE = 8, 256
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
MARKS = {468: RED, 163: GREEN, 473: BLUE}  # right iris, right lower lid toward the outer corner, left iris


@pytest.fixture(scope="module")
def sanity() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        yield importlib.import_module("metric_sanity")


def tilt(i: int) -> np.ndarray:
    """Where frame i has the head: turned in the picture, and aside."""
    matrix = cv2.getRotationMatrix2D((128, 128), 2.0 * i, 1 + 0.01 * i)
    matrix[:, 2] += (i, -0.5 * i)
    return matrix


@pytest.fixture(scope="module")
def film(sanity: Any) -> Any:
    """The astronaut tilts her head, while a blue mouth opens; there are marks on her eyes."""
    first = np.ascontiguousarray(data.astronaut()[:SIZE, 96 : 96 + SIZE])
    found = next(iter(load_tracker().faces(first)))
    points = found.landmarks_px[:, :2].astype(np.float64) - 0.5
    for centre, colour in MARKS.items():
        cv2.circle(first, np.rint(points[centre]).astype(int).tolist(), 2, colour, -1)
    pictures, landmarks = [], []
    for i in range(FRAMES):
        speaking = first.copy()
        mouth = np.rint(points[[13, 14]].mean(0)).astype(int).tolist()
        if i:
            cv2.ellipse(speaking, mouth, (8, i), 0, 0, 360, BLUE, -1)
        pictures.append(cv2.warpAffine(speaking, tilt(i), (SIZE, SIZE), flags=cv2.INTER_CUBIC))
        landmarks.append(points @ tilt(i)[:, :2].T + tilt(i)[:, 2] + 0.5)
    other = [picture[:, ::-1].copy() for picture in pictures]
    return sanity.Film(pictures, np.stack(landmarks).astype(np.float32), other)


def apart(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) distance of each pixel to the nearest of some points."""
    rows, columns = np.indices(shape[:2])
    return np.hypot(columns[..., None] - points[:, 0], rows[..., None] - points[:, 1]).min(-1)


def colour_at(picture: np.ndarray, point: np.ndarray) -> np.ndarray:
    column, row = np.rint(point).astype(int)
    return picture[row, column].astype(int)


def test_all_damages_give_pictures(sanity: Any, film: Any) -> None:
    before = [picture.copy() for picture in film.pictures]
    for label, damage in sanity.DAMAGES.items():
        results = damage(film)
        assert len(results) == (FRAMES * 2 // 3 if label == "last third missing" else FRAMES)
        assert {(p.shape, p.dtype.name) for p in results} == {((SIZE, SIZE, 3), "uint8")}
        same = all(np.array_equal(a, b) for a, b in zip(results, film.pictures, strict=False))
        assert same == (label in ("identical", "last third missing")), label
    assert all(np.array_equal(a, b) for a, b in zip(before, film.pictures, strict=True))


def test_each_damage_says_what_is_meant_to_notice_it(sanity: Any) -> None:
    assert {sanity.IDENTICAL, *sanity.MEANT} == set(sanity.DAMAGES)


def test_time(sanity: Any, film: Any) -> None:
    late = sanity.DAMAGES["one frame late"](film)
    assert all(np.array_equal(late[i], film.pictures[max(i - 1, 0)]) for i in range(FRAMES))
    frozen = sanity.DAMAGES["first frame, frozen"](film)
    assert all(np.array_equal(picture, film.pictures[0]) for picture in frozen)


def test_shift_is_two_pixels(sanity: Any, film: Any) -> None:
    for result, picture in zip(sanity.DAMAGES["2 px to the right"](film), film.pictures, strict=True):
        assert np.array_equal(result[:, 2:], picture[:, :-2])
        assert np.array_equal(result[:, :2], picture[:, [0, 0]])


def test_colours(sanity: Any, film: Any) -> None:
    inner = np.clip(film.pictures[1], 20, 235)
    grey = sanity.Film([inner, inner, inner], film.landmarks_px, film.other)
    cast = sanity.DAMAGES["red +12, blue -12"](grey)[0].astype(int) - inner
    assert np.array_equal(np.unique(cast.reshape(-1, 3), axis=0), [[12, 0, -12]])
    flickering = [picture.astype(int) - inner for picture in sanity.DAMAGES["flickers by ±4"](grey)]
    assert [np.unique(step).tolist() for step in flickering] == [[-4], [4], [-4]]
    noise = [picture.astype(int) - inner for picture in sanity.DAMAGES["noise, sigma 6"](grey)]
    assert noise[0].std() == pytest.approx(6, rel=0.02)
    assert not np.array_equal(noise[0], noise[1])


def test_frozen_mouth(sanity: Any, film: Any) -> None:
    results = sanity.DAMAGES["mouth frozen"](film)
    lips = [film.points[i][sanity.LIPS] for i in range(FRAMES)]
    margin = sanity.MOUTH_MARGIN * film.height
    for i, (result, picture) in enumerate(zip(results, film.pictures, strict=True)):
        far = apart(lips[i], picture.shape) > 1.3 * margin
        assert np.array_equal(result[far], picture[far])
        back = cv2.warpAffine(result, tilt(i), (SIZE, SIZE), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        mouth = apart(lips[0], picture.shape) < 3
        left = np.abs(back[mouth].astype(int) - film.pictures[0][mouth]).mean()
        assert left < 4, f"frame {i}: {left}"  # warping there and back blurs
    opened = np.abs(film.pictures[-1][mouth].astype(int) - film.pictures[0][mouth]).mean()
    assert opened > 20


@pytest.mark.parametrize(
    ("label", "mirrored"), [("eyes swapped", False), ("eyes swapped and mirrored", True)]
)
def test_swapped_eyes(sanity: Any, film: Any, label: str, mirrored: bool) -> None:
    results = sanity.DAMAGES[label](film)
    for i, (result, picture) in enumerate(zip(results, film.pictures, strict=True)):
        eyes = film.points[i][[*sanity.EYES["right"][0], *sanity.EYES["left"][0]]]
        far = apart(eyes, picture.shape) > 1.5 * sanity.EYE_MARGIN * film.height
        far &= apart(film.points[i][[468, 473]], picture.shape) > 14
        assert np.array_equal(result[far], picture[far])
    for landmark, colour in MARKS.items():
        there = placed(film.points[0], landmark, mirrored)
        assert int(np.argmax(colour_at(results[0], there))) == int(np.argmax(colour)), landmark
        assert not np.array_equal(colour_at(film.pictures[0], there), colour)


def placed(points: np.ndarray, landmark: int, mirrored: bool) -> np.ndarray:
    """Where a landmark of one eye lies on the other: as far along from corner to corner, and as far below."""
    right, left = points[[33, 133]], points[[362, 263]]  # corners, from image left to image right
    (a, b), (c, d) = (left, right) if landmark == 473 else (right, left)
    down = np.array([[0, 1], [-1, 0]])
    along, below = np.linalg.solve(np.column_stack([b - a, (b - a) @ down]), points[landmark] - a)
    return c + (1 - along if mirrored else along) * (d - c) + below * (d - c) @ down


def test_marks_need_an_interval_beside_zero(sanity: Any) -> None:
    def model(*values: float | None) -> dict[str, Any]:
        there = [v for v in values if v is not None]
        cases = [
            {"case": str(i), "values": {} if v is None else {"l1": v, "ssim": -v}}
            for i, v in enumerate(values)
        ]
        return {
            "cases": cases,
            "summary": {"l1": {"mean": np.mean(there)}, "ssim": {"mean": -np.mean(there)}},
            "counts": {"missing": len(values) - len(there)},
        }

    report = {
        "metrics": {"l1": {"best": "low"}, "ssim": {"best": "high"}},
        "models": {
            "identical": model(1, 2, 3, 4),
            "geometric": model(2, 3, 4, 5),
            "worse": model(3, 4, 5, 6),
            "a little": model(1.1, 2.1, 3.1, 4.1),
            "better": model(0, 1, 2, 3),
            "either": model(2, 1, 4, 3),
            "few": model(3, 4, None, None),
        },
    }
    for label, expected in (
        ("worse", " ●"),
        ("a little", " ◐"),
        ("better", " ○"),
        ("either", ""),
        ("few", ""),
    ):
        assert [sanity.mark(report, label, name) for name in ("l1", "ssim")] == [expected] * 2, label
    assert sanity.mark(report, "few", sanity.MISSING) == " ●"
    assert sanity.mark(report, "worse", sanity.MISSING) == ""


def test_metrics_notice_what_they_are_meant_to(sanity: Any, film: Any, tmp_path: Path) -> None:
    clips, output = tmp_path / "clips", tmp_path / "report"
    clips.mkdir()
    with VideoWriter(clips / "a_01.mp4", 25.0, SIZE, SIZE, crf=8) as writer:
        for picture in film.pictures:
            writer.write(picture)
    settings, crew = Settings("same-identity", clips, Sizes(FRAMES, 3), videos=False), Crew(workers=1)
    corpus = Corpus(clips, output / TRACKS, tracker_for)
    (output / TRACKS).mkdir(parents=True)
    corpus.track("a_01.mp4")  # here, as another process takes seconds to start
    evaluate([], settings, output, crew, lambda items, label, total: items)
    case = Protocol.load(output / FILE).cases[0]
    true = sanity.film_of(case, case, corpus)
    labels = ("identical", "blurred, sigma 2", "red +12, blue -12", "one frame late", "last third missing")
    for label in labels:
        sanity.write_frames(tmp_path / label / case.name, sanity.DAMAGES[label](true))
    models = [Model(label, str(tmp_path / label)) for label in labels]
    report = evaluate(models, settings, output, crew, lambda items, label, total: items)
    values = {label: report["models"][label]["cases"][0]["values"] for label in labels}
    same = values["identical"]
    assert same["psnr"] == 60
    assert [same[name] for name in ("ssim", "ms_ssim")] == pytest.approx([1, 1])
    perfect = ("l1", "perceptual_lite0", "expression_error_arkit", "landmark_distance_percent")
    assert [same[name] for name in (*perfect, "lip_distance_percent", "pose_error_deg")] == pytest.approx(
        [0] * 6
    )
    assert values["blurred, sigma 2"]["cpbd"] < same["cpbd"] - 0.1
    assert values["blurred, sigma 2"]["perceptual_lite0"] > 0.5
    assert values["red +12, blue -12"]["l1"] == pytest.approx(8 / 255, rel=0.1)
    assert values["red +12, blue -12"]["landmark_distance_percent"] < 0.3
    assert values["one frame late"]["pose_error_deg"] > 1
    assert values["one frame late"]["landmark_distance_percent"] > 1
    assert report["models"]["last third missing"]["counts"]["missing"] == FRAMES - FRAMES * 2 // 3
    assert report["models"]["identical"]["counts"]["missing"] == 0
