"""An evaluation from clips to report.json."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import filmed
from countenance.errors import BadValue, MediaUnreadable, OutputUnwritable, ProtocolUnreadable, UnknownName
from countenance.evaluation import evaluate as evaluation
from countenance.evaluation import models, tracks, work
from countenance.evaluation.engines import run_tasks
from countenance.evaluation.evaluate import REPORT, SETTINGS, Crew, Settings
from countenance.evaluation.models import Model
from countenance.evaluation.protocols import drawn_motions
from countenance.evaluation.protocols.protocol import FILE, Protocol
from countenance.evaluation.protocols.sizes import Sizes
from countenance.media.image_writer import write_image
from countenance.media.video import VideoReader
from countenance.media.writer import VideoWriter
from countenance.motion.files import save_motion
from countenance.motion.sequence import Motion
from countenance.motion.spaces import BFM
from countenance.renderers.catalogue import load_renderer

pytest.importorskip("skimage", reason="scikit-image is not installed")
pytest.importorskip("torch", reason="PyTorch is not installed")

REPEATED, GEOMETRIC = Model("repeated", "repeated"), Model("geometric", "geometric")
QUICK = (
    *("psnr", "ms_ssim", "expression_error_arkit", "pose_error_deg", "landmark_distance_percent", "cpbd"),
    *("landmark_jitter_percent", "flicker", "opening_correlation", "frechet_lite0", "unevenness_lite0"),
)
SIZES = Sizes(6, 3)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few metrics, no measuring of speed, no processes."""
    monkeypatch.setattr(evaluation, "METRICS", [m for m in evaluation.METRICS if m.name in QUICK])
    monkeypatch.setattr(evaluation, "_frames_per_s", lambda *_: 25.0)
    monkeypatch.setattr(evaluation, "run_tasks", filmed.in_this_process)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of one person, and one of another; all are the astronaut."""
    folder = tmp_path_factory.mktemp("clips")
    for name, turns in {"a_01": [0, 4, 8, 12], "a_02": [0, -6, -12], "b_01": [0, 6, 12, 18]}.items():
        filmed.film(folder / f"{name}.mp4", turns)
    return folder


def run(
    clips: Path, output: Path, *given: Model, protocol: str = "same-identity", **changes: Any
) -> dict[str, Any]:
    progress = changes.pop("progress", filmed.silent)
    crew = changes.pop("crew", Crew())
    settings = Settings(protocol, clips, **{"sizes": SIZES, **changes})
    report = evaluation.evaluate(given, settings, output, crew, progress)
    assert strict(output / REPORT) == json.loads(json.dumps(report))
    return report


def strict(path: Path) -> Any:
    """JSON proper, which has no NaN."""
    return json.loads(path.read_text(), parse_constant=pytest.fail)


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """Without speed and memory, which differ from run to run."""
    told = json.loads(json.dumps(report))
    for found in told["models"].values():
        del found["speed"]
        for case in found["cases"]:
            del case["peak_mb"]
    return told


@pytest.fixture(scope="module")
def whole(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished evaluation, not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        quick.__wrapped__(patch)  # type: ignore[attr-defined]
        output = tmp_path_factory.mktemp("whole") / "report"
        return output, run(clips, output, REPEATED, GEOMETRIC)


def test_a_model_that_moves_beats_one_that_does_not(whole: tuple[Path, dict[str, Any]]) -> None:
    output, report = whole
    still, moved = (report["models"][label]["summary"] for label in ("repeated", "geometric"))
    assert moved["pose_error_deg"]["mean"] < 0.4 * still["pose_error_deg"]["mean"]
    assert moved["landmark_distance_percent"]["mean"] < 0.4 * still["landmark_distance_percent"]["mean"]
    assert moved["psnr"]["mean"] > still["psnr"]["mean"]
    assert still["flicker"]["mean"] == 0
    assert [m["needs"] for m in report["metrics"].values()].count("truth") == 3
    videos = sorted((output / work.VIDEOS).rglob("*.mp4"))
    assert [path.relative_to(output / work.VIDEOS).as_posix() for path in videos] == [
        f"geometric/{name}.mp4" for name in ("a_01", "a_02", "b_01")
    ]
    with VideoReader(videos[0]) as video:
        assert len(list(video.frames())) == 4


def test_a_report_counts_everything(whole: tuple[Path, dict[str, Any]]) -> None:
    _, report = whole
    found = report["models"]["geometric"]
    nothing = dict.fromkeys(("failed", "missing", "without_face", "resized"), 0)
    assert found["counts"] == {"cases": 3, "frames": 11, "compared": 8, **nothing}
    assert list(found["groups"]) == ["a", "b"]
    assert found["groups"]["a"]["psnr"]["cases"] == 2
    assert [case["case"] for case in found["cases"]] == ["a_01", "a_02", "b_01"]
    assert set(found["speed"]) == {"peak_mb", "frames_per_s"}
    assert "frames_per_s" not in report["models"]["repeated"]["speed"]
    assert report["environment"]["python"]
    assert report["protocol"]["digest"] == Protocol.load(whole[0] / FILE).digest


def test_what_was_lost_is_measured_again_and_nothing_else(
    clips: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "report"
    shutil.copytree(whole[0], output)
    results = output / work.RESULTS / "geometric"
    (results / "a_01.json").unlink()
    (results / "a_02.json").write_text('{"case": "a_02", "mod')
    (results / "b_01.npz").write_bytes((results / "b_01.npz").read_bytes()[:-50])
    (output / work.RESULTS / "repeated" / "b_01.json").write_text("")
    for track in (output / work.TRACKS).iterdir():
        track.write_bytes(track.read_bytes()[:-99])
    done: list[str] = []

    def noted(tasks: Sequence[Any], *_: object) -> Iterator[str]:
        for task in tasks:
            done.append(task.model.label + " " + task.case.name if hasattr(task, "case") else task.clip)
            yield task.run()

    monkeypatch.setattr(evaluation, "run_tasks", noted)
    assert lasting(run(clips, output, REPEATED, GEOMETRIC)) == lasting(whole[1])
    assert done[3:] == ["repeated b_01", "geometric a_01", "geometric a_02", "geometric b_01"]
    done.clear()
    run(clips, output, REPEATED, GEOMETRIC)
    assert done == []


@pytest.mark.parametrize(("label", "count"), [("tracking", 2), ("evaluating", 3)])
def test_what_was_interrupted_goes_on(
    clips: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path, label: str, count: int
) -> None:
    output = tmp_path / "report"
    stop = filmed.stopped_after(count, label)
    with pytest.raises(KeyboardInterrupt):
        run(clips, output, REPEATED, GEOMETRIC, progress=stop)
    assert not (output / REPORT).exists()
    assert lasting(run(clips, output, REPEATED, GEOMETRIC)) == lasting(whole[1])


def test_a_model_that_comes_later_joins_the_report(
    clips: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    output = tmp_path / "report"
    first = run(clips, output)
    assert first["models"] == {}
    assert len(first["protocol"]["cases"]) == 3
    assert list(run(clips, output, GEOMETRIC)["models"]) == ["geometric"]
    assert lasting(run(clips, output, REPEATED)) == lasting(whole[1])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 1}, "with seed 0, and this is with 1"),
        ({"sizes": Sizes(5, 3)}, "with frames 6, and this is with 5"),
        ({"sizes": Sizes(6, 2)}, "with compared 3, and this is with 2"),
        ({"limit": 2}, "with limit None, and this is with 2"),
        ({"protocol": "held-out"}, "with protocol same-identity, and this is with held-out"),
    ],
)
def test_a_folder_holds_one_evaluation(
    clips: Path, whole: tuple[Path, dict[str, Any]], changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadValue, match=says) as complaint:
        run(clips, whole[0], REPEATED, **changes)
    assert "choose a new -o" in str(complaint.value)


def test_a_mistake_leaves_the_folder_free(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean same-identity"):
        run(clips, tmp_path / "report", protocol="same-identty")
    with pytest.raises(BadValue, match="two people"):
        run(
            filmed.film(tmp_path / "one" / "a_01.mp4", [0]).parent,
            tmp_path / "report",
            protocol="cross-identity",
        )
    run(clips, tmp_path / "report")


def test_other_films_in_the_folder_are_noticed(
    clips: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    other = tmp_path / "clips"
    shutil.copytree(clips, other)
    shutil.copy(other / "a_01.mp4", other / "a_02.mp4")
    with pytest.raises(ProtocolUnreadable, match=r"a_02\.mp4: it is another film"):
        run(other, whole[0], REPEATED)


def test_things_that_cannot_be(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="there is no folder"):
        run(tmp_path / "nowhere", tmp_path / "report")
    with pytest.raises(BadValue, match="the same name"):
        run(clips, tmp_path / "report", REPEATED, REPEATED)
    with pytest.raises(BadValue, match="lies among the clips"):
        run(clips, clips / "report", REPEATED)
    with pytest.raises(BadValue, match="--seed -1"):
        run(clips, tmp_path / "report", seed=-1)
    with pytest.raises(BadValue, match="--limit 0"):
        run(clips, tmp_path / "report", limit=0)
    assert not (tmp_path / "report").exists()
    assert not (clips / "report").exists()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"asked": {}}', '{"asked": 1, "metrics": [], "left_out": {}}']
)
def test_damaged_settings(
    clips: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path, content: str
) -> None:
    output = tmp_path / "report"
    shutil.copytree(whole[0], output)
    (output / SETTINGS).write_text(content)
    with pytest.raises(ProtocolUnreadable, match=r"settings\.json: it is damaged"):
        run(clips, output, REPEATED)
    (output / SETTINGS).unlink()
    with pytest.raises(BadValue, match="holds results without"):
        run(clips, output, REPEATED)


def test_weights_that_changed_need_a_new_name(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "load_renderer", lambda name, device: load_renderer("geometric"))
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"first")
    run(clips, tmp_path / "report", Model("mine", str(weights)), limit=1)
    shutil.move(weights, tmp_path / "moved.safetensors")
    run(clips, tmp_path / "report", Model("mine", str(tmp_path / "moved.safetensors")), limit=1)
    weights.write_bytes(b"trained further")
    with pytest.raises(BadValue, match="another 'mine'; write --model LABEL=PATH with a new label"):
        run(clips, tmp_path / "report", Model("mine", str(weights)), limit=1)
    report = run(clips, tmp_path / "report", Model("mine2", str(weights)), limit=1)
    assert list(report["models"]) == ["mine", "mine2"]


# --- results of another program


def frames_of(clip: Path) -> list[Any]:
    with VideoReader(clip) as video:
        return [frame.image for frame in video.frames()]


def write_frames(folder: Path, pictures: Sequence[Any]) -> None:
    folder.mkdir(parents=True)
    for i, picture in enumerate(pictures):
        write_image(folder / f"{i:05d}.png", picture, {})


THEIRS = ("same", "fewer", "more", "smaller", "wider", "none", "film", "broken", "cut", "wall", "uneven")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A report of results each of which has something about it, by case."""
    folder = tmp_path_factory.mktemp("theirs")
    made = folder / "made"
    for i, name in enumerate(THEIRS):
        true = frames_of(filmed.film(folder / "clips" / f"{name}.mp4", [0, 3 + i, 6 + i, 9 + i]))
        small, wide = ([filmed.tilted(3 * k, size) for k in range(4)] for size in ((128, 128), (320, 180)))
        walls = [np.full_like(true[0], 90)] * 4
        changed = {"fewer": true[:2], "more": true + walls, "smaller": small, "wider": wide, "wall": walls}
        changed["uneven"] = [true[0], *small[1:]]
        if name not in ("none", "film", "broken", "cut"):
            write_frames(made / name, changed.get(name, true))
    with VideoWriter(made / "film.mp4", 25.0, 256, 256) as writer:
        for picture in frames_of(folder / "clips" / "film.mp4"):
            writer.write(picture)
    (made / "broken.mp4").write_bytes(b"\0" * 999)
    whole = (folder / "clips" / "cut.mp4").read_bytes()
    (made / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.MonkeyPatch.context() as patch:
        quick.__wrapped__(patch)  # type: ignore[attr-defined]
        report = run(folder / "clips", folder / "report", Model.parsed(f"theirs={made}"))
    return {
        **report["models"]["theirs"],
        "by_name": {c["case"]: c for c in report["models"]["theirs"]["cases"]},
    }


def test_the_true_video_is_perfect(theirs: dict[str, Any]) -> None:
    same = theirs["by_name"]["same"]
    assert (same["failed"], same["frames"], same["missing"], same["compared"]) == (None, 4, 0, 3)
    assert same["values"]["psnr"] == 60
    assert same["values"]["ms_ssim"] == pytest.approx(1)
    for name in ("pose_error_deg", "expression_error_arkit", "landmark_distance_percent"):
        assert same["values"][name] == pytest.approx(0, abs=1e-4)
    assert 30 < theirs["by_name"]["film"]["values"]["psnr"] < 60, "compression counts"


def test_frames_that_are_missing_are_counted_and_others_too_many_ignored(theirs: dict[str, Any]) -> None:
    fewer, more = theirs["by_name"]["fewer"], theirs["by_name"]["more"]
    assert (fewer["frames"], fewer["missing"], fewer["compared"]) == (4, 2, 1)
    assert fewer["values"]["psnr"] == 60
    assert (more["frames"], more["missing"], more["compared"], more["lost"]) == (4, 0, 3, 0)
    assert more["values"]["psnr"] == 60


def test_another_size_is_resized_and_another_shape_refused(theirs: dict[str, Any]) -> None:
    smaller, wider, uneven = (theirs["by_name"][name] for name in ("smaller", "wider", "uneven"))
    assert (smaller["resized"], smaller["failed"]) == (True, None)
    assert smaller["values"]["pose_error_deg"] < 4
    assert "is 320 x 180 and the source 256 x 256" in wider["failed"]
    assert (uneven["resized"], uneven["failed"]) == (False, None)  # brought to the size of its first frame
    assert wider["values"] == {}


def test_results_that_are_not_there_or_damaged_fail_and_say_why(theirs: dict[str, Any]) -> None:
    none, broken, cut = (theirs["by_name"][name] for name in ("none", "broken", "cut"))
    assert "there is no result of this case; write none.mp4, or PNG frames into none/" in none["failed"]
    assert "broken.mp4: it is no video" in broken["failed"]
    assert cut["missing"] > 0 or "cut.mp4" in cut["failed"]


def test_a_result_without_a_face_is_counted_and_its_pixels_compared(theirs: dict[str, Any]) -> None:
    wall = theirs["by_name"]["wall"]
    assert (wall["lost"], wall["compared"], wall["failed"]) == (3, 3, None)
    assert 5 < wall["values"]["psnr"] < 20
    assert "pose_error_deg" not in wall["values"]
    assert theirs["counts"]["without_face"] == 3
    assert theirs["counts"]["resized"] == 1
    assert theirs["counts"]["failed"] >= 4
    assert theirs["summary"]["psnr"]["cases"] > theirs["summary"]["pose_error_deg"]["cases"]


def test_what_failed_or_was_made_again_is_measured_again(clips: Path, tmp_path: Path) -> None:
    made, output = tmp_path / "made", tmp_path / "report"
    true = {name: frames_of(clips / f"{name}.mp4") for name in ("a_01", "a_02", "b_01")}
    write_frames(made / "a_01", true["a_01"])
    write_frames(made / "a_02", true["a_02"][::-1])
    first = run(clips, output, Model.parsed(str(made)))["models"]["made"]
    assert first["counts"]["failed"] == 1
    write_frames(made / "b_01", true["b_01"])
    shutil.rmtree(made / "a_02")
    write_frames(made / "a_02", true["a_02"])
    soon = max(path.stat().st_mtime for path in output.rglob("*.json")) + 5
    os.utime(made / "a_02", (soon, soon))
    second = run(clips, output, Model.parsed(str(made)))["models"]["made"]
    assert second["counts"]["failed"] == 0
    assert second["summary"]["psnr"]["mean"] == 60
    shutil.move(made, tmp_path / "elsewhere")
    with pytest.raises(BadValue, match="another 'made'"):
        run(clips, output, Model.parsed(f"made={tmp_path / 'elsewhere'}"))


def test_models_are_named() -> None:
    assert Model.parsed("repeated") == REPEATED
    assert Model.parsed("mine=geometric") == Model("mine", "geometric")
    for text in ("", "x=", "=geometric", "a/b=geometric", ".x=geometric", "a\\b=geometric"):
        with pytest.raises(BadValue, match="can't name a result; write --model LABEL=PATH"):
            Model.parsed(text)
    with pytest.raises(UnknownName, match="did you mean geometric"):
        Model.parsed("geometrik")


def test_a_folder_named_like_the_baseline_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "repeated").mkdir()
    (tmp_path / "results").mkdir()
    assert not Model.parsed("repeated").is_folder
    assert Model.parsed("repeated").fingerprint == "repeated"
    assert Model.parsed("results") == Model("results", str(tmp_path / "results")), "wherever workers are"


# --- protocols from elsewhere


def test_a_saved_protocol_is_repeated_elsewhere(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn_motions, "STEPS", 5)
    first = run(clips, tmp_path / "theirs", GEOMETRIC, protocol="interpolation", limit=1)
    saved = tmp_path / "theirs" / FILE
    again = run(clips, tmp_path / "mine", GEOMETRIC, protocol=str(saved))
    assert lasting(again) == lasting(first)
    assert again["models"]["geometric"]["summary"]["unevenness_lite0"]["mean"] > 1
    case = Protocol.load(tmp_path / "mine" / FILE).cases[0]
    assert (tmp_path / "mine" / case.driver).is_file()
    assert lasting(run(clips, tmp_path / "mine", protocol=str(saved))) == lasting(first), (
        "from the folder itself"
    )
    run(clips, tmp_path / "theirs", protocol=str(saved))
    with pytest.raises(BadValue, match="leave --limit out"):
        run(clips, tmp_path / "mine", protocol=str(saved), limit=1)
    other = replace(Protocol.load(saved), description="changed").save(tmp_path)
    with pytest.raises(BadValue, match="with another protocol than"):
        run(clips, tmp_path / "mine", protocol=str(other))
    (tmp_path / "theirs" / case.driver).unlink()
    with pytest.raises(ProtocolUnreadable, match="needs this motion file"):
        run(clips, tmp_path / "new", protocol=str(saved))


def test_a_protocol_that_was_put_into_the_folder(clips: Path, tmp_path: Path) -> None:
    run(clips, tmp_path / "theirs")
    mine = tmp_path / "mine"
    mine.mkdir()
    shutil.copy(tmp_path / "theirs" / FILE, mine / FILE)
    with pytest.raises(BadValue, match="run it with --protocol"):
        run(clips, mine)
    assert (
        run(clips, mine, REPEATED, protocol=str(mine / FILE))["models"]["repeated"]["counts"]["failed"] == 0
    )


def changed_protocol(folder: Path, **changes: Any) -> str:
    """A saved protocol whose first case asks for something else."""
    protocol = Protocol.load(folder / FILE)
    first = replace(protocol.cases[0], **changes)
    return str(replace(protocol, cases=(first, *protocol.cases[1:])).save(folder))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"stop": 10**7}, "a_01.mp4 has 4 frames and the case a_01 needs 10000000"),
        ({"source_frame": 99}, "a_01.mp4 has no frame 99 for the case a_01"),
        ({"driver": "b_01.mp4", "truth": "a_02.mp4", "compared": (3,)}, "a_02.mp4 has 3 frames"),
    ],
)
def test_frames_that_no_clip_has(clips: Path, tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    run(clips, tmp_path / "theirs")
    protocol = changed_protocol(tmp_path / "theirs", **changes)
    report = run(clips, tmp_path / "mine", REPEATED, GEOMETRIC, protocol=protocol)
    for found in report["models"].values():
        assert [bool(case["failed"]) for case in found["cases"]] == [True, False, False]
        assert says in found["cases"][0]["failed"]


@pytest.mark.parametrize("kind", ["short", "space", "damaged"])
def test_motion_files_from_elsewhere(clips: Path, tmp_path: Path, kind: str) -> None:
    run(clips, tmp_path / "theirs", protocol="interpolation", limit=1)
    protocol = changed_protocol(tmp_path / "theirs", **({"stop": 30} if kind == "short" else {}))
    path = tmp_path / "theirs" / Protocol.load(Path(protocol)).cases[0].driver
    if kind == "space":
        save_motion(path, Motion.neutral(BFM, 25, 25.0))
    if kind == "damaged":
        path.write_bytes(path.read_bytes()[:100])
    report = run(clips, tmp_path / "mine", REPEATED, protocol=protocol)
    says = {
        "short": "has 25 frames and",
        "space": "'arkit', but this motion is in 'bfm'",
        "damaged": "damaged",
    }
    assert says[kind] in report["models"]["repeated"]["cases"][0]["failed"]


# --- clips of all kinds


def test_clips_of_any_size_rate_and_name(tmp_path: Path) -> None:
    clips, long = tmp_path / "clips", "ü" * 100
    filmed.film(clips / "wide screen_1.mp4", [0, 4, 8], (320, 180))
    filmed.film(clips / f"odd 'n' \"ends\" {long}_1.mp4", [0, 4, 8], (255, 241))
    filmed.film(clips / "small.v2 12:30_1.mp4", [0, 4, 8], (128, 128))
    filmed.film(clips / "tiny_1.mkv", [0, 4, 8], (60, 60))
    filmed.film(clips / "one_1.mov", [0])
    filmed.film(clips / "slow_1.mp4", [0, 4, 8, 12], fps=3.3)
    filmed.film(clips / "gone_1.mp4", [0, 3, 6, 9, 12, 15], blank=(0, 3, 4))
    report = run(clips, tmp_path / "report", GEOMETRIC)
    nothing = dict.fromkeys(("failed", "missing", "without_face", "resized"), 0)
    assert report["models"]["geometric"]["counts"] == {"cases": 7, "frames": 22, "compared": 14, **nothing}
    values = {case["case"]: case["values"] for case in report["models"]["geometric"]["cases"]}
    assert "ms_ssim" not in values["small.v2 12-30_1"], "it is not defined for pictures this small"
    assert "cpbd" in values["small.v2 12-30_1"]
    assert "cpbd" not in values["tiny_1"]
    assert "flicker" not in values["one_1"]
    assert report["models"]["geometric"]["summary"]["pose_error_deg"]["mean"] < 3


def test_two_people_in_a_clip_are_not_mixed_up(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    with VideoWriter(tmp_path / "clips" / "two_1.mp4", 25.0, 512, 256, crf=8) as writer:
        for degrees in (0, 4, 8):
            writer.write(np.hstack([filmed.tilted(degrees), filmed.tilted(-degrees)]))
    summary = run(tmp_path / "clips", tmp_path / "report", GEOMETRIC)["models"]["geometric"]["summary"]
    assert summary["pose_error_deg"]["mean"] < 3


def test_sound_is_kept_and_damaged_sound_no_reason_to_fail(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_samples(path: Path) -> Any:
        raise MediaUnreadable(path, "its sound can't be decoded")

    sounding = partial(replace, has_sound=True)
    track_clip = tracks.track_clip
    monkeypatch.setattr(
        "countenance.evaluation.corpus.track_clip", lambda *given: sounding(track_clip(*given))
    )
    monkeypatch.setattr(work, "all_samples", lambda _: np.zeros(3200, np.float32))
    run(clips, tmp_path / "one", GEOMETRIC, limit=1)
    monkeypatch.setattr(work, "all_samples", no_samples)
    run(clips, tmp_path / "two", GEOMETRIC, limit=1)
    for folder, sounds in (("one", True), ("two", False)):
        with VideoReader(tmp_path / folder / work.VIDEOS / "geometric" / "a_01.mp4") as video:
            assert video.has_audio is sounds


def test_editing_end_to_end(clips: Path, tmp_path: Path) -> None:
    report = run(clips, tmp_path / "report", GEOMETRIC, REPEATED, protocol="editing", limit=1)
    values = {label: found["cases"][0]["values"] for label, found in report["models"].items()}
    assert values["geometric"]["pose_error_deg"] < values["repeated"]["pose_error_deg"]
    assert not {"flicker", "landmark_jitter_percent", "psnr"} & set(values["geometric"]), "stills have none"


def test_a_full_disk_is_no_fault_of_a_case(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Any:
        raise OutputUnwritable(tmp_path, "no space left on device", "free some")

    with monkeypatch.context() as patch:
        patch.setattr(work, "VideoWriter", full)
        with pytest.raises(OutputUnwritable, match="no space left"):
            run(clips, tmp_path / "report", GEOMETRIC, limit=1)
    assert run(clips, tmp_path / "report", GEOMETRIC, limit=1)["models"]["geometric"]["counts"]["failed"] == 0


# --- processes


@pytest.mark.slow
def test_the_number_of_workers_makes_no_difference(
    clips: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "run_tasks", run_tasks)
    for workers in (1, 2):
        report = run(clips, tmp_path / str(workers), REPEATED, GEOMETRIC, crew=Crew(workers=workers))
        assert lasting(report) == lasting(whole[1])


@pytest.mark.slow
def test_ray_makes_no_difference_either(
    clips: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setattr(evaluation, "run_tasks", run_tasks)
    report = run(clips, tmp_path / "report", REPEATED, GEOMETRIC, crew=Crew("ray", 2))
    assert lasting(report) == lasting(whole[1])
