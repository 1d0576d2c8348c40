"""Which cases protocols make of clips, and what becomes of them on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import filmed
from countenance.errors import BadValue, DependencyMissing, ProtocolUnreadable, UnknownName
from countenance.evaluation.corpus import Corpus, case_name, person_of
from countenance.evaluation.protocols import drawn_motions
from countenance.evaluation.protocols.catalogue import HELD_OUT_S, PROTOCOLS, build
from countenance.evaluation.protocols.protocol import FILE, Case, Protocol
from countenance.evaluation.protocols.sizes import Sizes, spread
from countenance.evaluation.tracks import ClipTrack
from countenance.motion.files import load_motion
from countenance.motion.spaces import ARKIT, ARKIT_SHAPES
from countenance.trackers.catalogue import tracker_for

CLIPS = ("a_01.mp4", "a_02.mp4", "a_03.mp4", "b_01.mp4", "c_01.mp4")
SOME = Sizes(6, 3)


def turning(frames: int = 12, **changes: Any) -> ClipTrack:
    """A head that turns to its left by 4 degrees a frame, and opens its mouth."""
    yaw = np.radians(4.0) * np.arange(frames)
    return filmed.made_up_track(frames, yaw=yaw, jawOpen=np.linspace(0, 0.8, frames), **changes)


def corpus_of(folder: Path, *names: str, **changes: Any) -> Corpus:
    return filmed.made_up_corpus(folder, {name: turning(**changes) for name in names})


def made(name: str, corpus: Corpus, sizes: Sizes = SOME, seed: int = 0, limit: int | None = None) -> Protocol:
    return build(name, corpus, corpus.folder.parent, sizes, seed, limit)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_same_clips_and_seed_give_the_same_cases_wherever_they_lie(tmp_path: Path, name: str) -> None:
    protocols = []
    for folder in ("here", "somewhere/else"):
        corpus = corpus_of(tmp_path / folder, *CLIPS)
        (corpus.folder / "broken.mp4").write_text("no video")
        protocols.append(made(name, corpus, seed=3))
    assert protocols[0] == protocols[1]
    assert protocols[0].digest == protocols[1].digest
    assert "no video" in protocols[0].left_out["broken.mp4"]
    assert str(tmp_path) not in protocols[0].left_out["broken.mp4"]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_cases_keep_their_own_promises(tmp_path: Path, name: str) -> None:
    corpus = corpus_of(tmp_path, *CLIPS)
    protocol = made(name, corpus)
    assert protocol.wrong() is None
    for case in protocol.cases:
        assert case.start <= case.compared[0]
        assert case.compared[-1] < case.stop
        if case.drives_with_motion:
            assert len(load_motion(tmp_path / case.driver)) == case.stop
        else:
            assert case.stop - case.start <= SOME.frames
            assert len(case.compared) <= SOME.compared
            assert case.stop <= len(corpus.track(case.driver))
        assert case.group.startswith("turned by" if name == "multi-view" else person_of(case.source))
    assert set(protocol.clips) == {c for case in protocol.cases for c in (case.source, case.driver)} & {
        *CLIPS
    }
    assert protocol.clips["b_01.mp4"] == corpus.digest("b_01.mp4")


def test_persons_are_told_by_the_name_up_to_the_last_underscore() -> None:
    assert person_of("p101_02.mp4") == person_of("p101.mp4") == "p101"
    assert person_of("room/anna_maria_3.mov") == "room/anna_maria"


def test_a_limit_takes_the_first_cases(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, *CLIPS)
    whole, some = (made("cross-identity", corpus, limit=limit) for limit in (None, 3))
    assert some.cases == whole.cases[:3]
    assert some.left_out == {}, "a clip without a case is no news where cases are limited"


def test_a_clip_of_one_frame_drives_itself(tmp_path: Path) -> None:
    corpus = filmed.made_up_corpus(tmp_path, {"one.mp4": filmed.made_up_track(1)})
    for name in ("same-identity", "held-out"):
        (case,) = made(name, corpus, Sizes(100, 10)).cases
        assert (case.source_frame, case.start, case.stop, case.compared) == (0, 0, 1, (0,))


def test_cases_start_where_a_face_is_first_seen(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "late_1.mp4", unseen=(0, 1, 5))
    (case,) = made("same-identity", corpus).cases
    assert (case.source_frame, case.start, case.stop) == (2, 2, 8)
    assert case.compared == (3, 6, 7)


def test_a_wall_is_left_out_and_why(tmp_path: Path) -> None:
    filmed.film(tmp_path / "clips" / "wall_1.mp4", [0, 0], blank=(0, 1))
    filmed.film(tmp_path / "clips" / "face_1.mp4", [0, 3])
    (tmp_path / "tracks").mkdir()
    corpus = Corpus(tmp_path / "clips", tmp_path / "tracks", tracker_for)
    protocol = made("same-identity", corpus)
    assert [case.name for case in protocol.cases] == ["face_1"]
    assert protocol.left_out["wall_1.mp4"].startswith("no face found in wall_1.mp4")
    assert "wall_1.mp4" not in protocol.clips


def test_a_clip_that_is_closed_to_us_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = corpus_of(tmp_path, "a_01.mp4", "b_01.mp4")
    protocol = made("same-identity", corpus)

    def closed(path: Path) -> str:
        if path.name == "a_01.mp4":
            raise PermissionError(13, "Permission denied")
        return protocol.clips[path.name]

    for module in ("corpus", "protocols.protocol"):
        monkeypatch.setattr(f"countenance.evaluation.{module}.sha256_of", closed)
    again = Corpus(corpus.folder, tmp_path / "tracks", tracker_for)
    assert not again.is_tracked("a_01.mp4", "arkit")
    assert (
        "a_01.mp4: permission denied; make it readable" in made("same-identity", again).left_out["a_01.mp4"]
    )
    with pytest.raises(ProtocolUnreadable, match="permission denied; make it readable"):
        protocol.check_clips(corpus.folder)


def test_a_clip_that_a_protocol_has_no_use_for_is_left_out(tmp_path: Path) -> None:
    still, moving = filmed.made_up_track(4), turning()
    corpus = filmed.made_up_corpus(tmp_path, {"still_1.mp4": still, "moving_1.mp4": moving})
    assert made("multi-view", corpus).left_out == {"still_1.mp4": "the protocol has no case for it"}


@pytest.mark.parametrize("name", ["cross-identity", "cross-identity-relative", "interpolation"])
def test_one_person_cannot_drive_another(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadValue, match=r"two people or more; PERSON_NUMBER\.mp4"):
        made(name, corpus_of(tmp_path, "a_01.mp4", "a_02.mp4"))


def test_clips_that_no_case_can_be_made_of(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    corpus.folder.mkdir()
    with pytest.raises(BadValue, match="there are no clips"):
        made("same-identity", corpus)
    (corpus.folder / "text.mp4").write_text("hello")
    with pytest.raises(BadValue, match=r"no case of 'same-identity'.*no video"):
        made("same-identity", corpus)
    with pytest.raises(UnknownName, match="did you mean same-identity"):
        made("same-identty", corpus)


def test_every_case_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = ["x/same.mp4", "x-same.mp4", "same.mov", "same.mp4", "same-2.mp4", "Same.mkv"]
    corpus = corpus_of(tmp_path, *names)
    for name in ("same-identity", "editing"):
        protocol = made(name, corpus)
        cases = [case.name for case in protocol.cases]
        assert len({case.casefold() for case in cases}) == len(names)
        assert len({case.driver for case in protocol.cases}) == len(names), "nor do they share a motion file"
        assert Protocol.load(protocol.save(tmp_path)) == protocol


def test_names_of_cases_are_safe_as_names_of_files() -> None:
    assert case_name('room 1/Jürgen\'s "talk" 12:30.v2.mp4', "b.mov") == 'room 1-Jürgen\'s "talk" 12-30.v2__b'
    long = [case_name(f"{'ü' * 100}{end}.mp4", "b_01.mp4") for end in "xy"]
    assert long[0] != long[1]
    assert all(len(name.encode()) <= 150 for name in long)


def test_hidden_files_are_no_clips_and_odd_names_are_refused(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "b.mp4", ".hidden.mp4", "._b.mp4", ".trash/c.mp4", "A/d.MP4")
    assert corpus.clips() == ["A/d.MP4", "b.mp4"]
    try:
        (corpus.folder / "odd\udcff.mp4").write_text("")
    except OSError:
        pytest.skip("this file system takes no such names")
    with pytest.raises(BadValue, match="rename it"):
        corpus.clips()


def test_a_damaged_track_is_measured_again(tmp_path: Path) -> None:
    film = filmed.film(tmp_path / "clips" / "face_1.mp4", [0, 3])
    (tmp_path / "tracks").mkdir()
    whole = Corpus(film.parent, tmp_path / "tracks", tracker_for).track(film.name)
    (path,) = (tmp_path / "tracks").iterdir()
    for damage in (b"", path.read_bytes()[:-200], b"x" * 100, json.dumps({}).encode()):
        path.write_bytes(damage)
        corpus = Corpus(film.parent, tmp_path / "tracks", tracker_for)
        assert not corpus.is_tracked(film.name, "arkit")
        assert np.array_equal(corpus.track(film.name).coefficients, whole.coefficients)
        assert corpus.is_tracked(film.name, "arkit")


def test_spread() -> None:
    assert spread([], 5) == ()
    assert spread([7], 5) == (7,)
    assert spread([7, 8], 5) == (8,), "the first is left out where there is another"
    assert spread(list(range(11)), 3) == (1, 5, 10)
    assert spread(list(range(100)), 1) == (1,)
    assert spread(list(range(4)), 50) == (1, 2, 3)
    with pytest.raises(BadValue, match="1 or more"):
        Sizes(0, 10)
    with pytest.raises(BadValue, match="1 or more"):
        Sizes(10, -1)


@pytest.mark.parametrize("seed", range(5))
def test_cross_pairs_are_of_two_people_and_every_clip_has_its_turn(tmp_path: Path, seed: int) -> None:
    protocol = made("cross-identity", corpus_of(tmp_path, *CLIPS), seed=seed)
    pairs = [(case.source, case.driver) for case in protocol.cases]
    assert all(person_of(source) != person_of(driver) for source, driver in pairs)
    assert len(set(pairs)) == len(pairs) == 14, "5 x 4, but for the 6 pairs of person a"
    assert {source for source, _ in pairs[:5]} == set(CLIPS)
    assert {source for source, _ in pairs[5:10]} == set(CLIPS)
    assert {case.transfer for case in protocol.cases} == {"absolute"}
    assert all(case.truth is None for case in protocol.cases)


def test_a_seed_shuffles_the_pairs(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, *CLIPS)
    first, second = (made("cross-identity", corpus, seed=seed) for seed in (0, 1))
    assert first.cases != second.cases
    assert {case.name for case in first.cases} == {case.name for case in second.cases}


def test_relative_pairs_are_the_same_but_for_the_transfer(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, *CLIPS)
    absolute, relative = (made(name, corpus) for name in ("cross-identity", "cross-identity-relative"))
    assert tuple(replace(case, transfer="relative") for case in absolute.cases) == relative.cases


def test_multi_view_has_turned_frames_only(tmp_path: Path) -> None:
    angles = np.array([-8.0, -2.0, 1.0, 7.0, 12.5, 16.0, 19.0, 25.0, 40.0, 11.5])
    track = filmed.made_up_track(10, yaw=np.radians(angles), unseen=(6,))
    protocol = made("multi-view", filmed.made_up_corpus(tmp_path, {"a_01.mp4": track}), Sizes(100, 50))
    turned = {case.name: np.abs(angles[list(case.compared)] - 1) for case in protocol.cases}
    assert [case.source_frame for case in protocol.cases] == [2, 2, 2], "the most frontal one"
    for name, (low, high) in {"10": (10, 20), "20": (20, 30), "30": (30, 180)}.items():
        assert (turned[f"a_01__{name}deg"] >= low).all()
        assert (turned[f"a_01__{name}deg"] < high).all()
    assert not any(6 in case.compared for case in protocol.cases), "where no face was seen"
    assert [case.group for case in protocol.cases][1:] == [
        "turned by 20 to 30 degrees",
        "turned by over 30 degrees",
    ]


@pytest.mark.parametrize(("frames", "fps"), [(2000, 25.0), (900, 30.0), (7, 25.0), (1, 25.0)])
def test_held_out_is_the_end_and_never_the_first_half(tmp_path: Path, frames: int, fps: float) -> None:
    corpus = filmed.made_up_corpus(tmp_path, {"a_01.mp4": filmed.made_up_track(frames, fps)})
    (case,) = made("held-out", corpus, Sizes(10_000, 10)).cases
    assert case.start == max(frames // 2, frames - HELD_OUT_S * fps)
    assert case.stop == frames
    assert min(case.compared) >= case.start
    assert case.source_frame == 0


def test_in_betweens_go_evenly_from_ones_own_face_to_anothers(tmp_path: Path) -> None:
    here = filmed.made_up_track(3, jawOpen=0.1, yaw=0.2, x=100.0)
    there = filmed.made_up_track(4, jawOpen=[0.0, 0.3, 0.9, 0.2], pitch=[0, 0, 0.3, 0], x=200.0, unseen=(1,))
    corpus = filmed.made_up_corpus(tmp_path, {"a_01.mp4": here, "a_02.mp4": here, "b_01.mp4": there})
    first, _, back = made("interpolation", corpus).cases
    motion = load_motion(tmp_path / first.driver)
    assert motion.space is ARKIT
    assert (first.stop, len(first.compared), first.stills) == (
        drawn_motions.STEPS,
        drawn_motions.STEPS,
        False,
    )
    assert motion["jawOpen"][[0, -1]] == pytest.approx([0.1, 0.9], abs=1e-6)
    assert motion["pitch"][-1] == pytest.approx(0.3, abs=1e-5)
    assert motion["yaw"][[0, -1]] == pytest.approx([0.2, 0.0], abs=1e-5)
    assert np.diff(motion["jawOpen"]) == pytest.approx(np.full(24, 0.8 / 24), abs=1e-6)
    turned = np.einsum("tij,tkj->tik", motion.rotation()[1:], motion.rotation()[:-1])
    angles = np.degrees(np.arccos((np.trace(turned, axis1=1, axis2=2) - 1) / 2))
    assert angles == pytest.approx(np.full(24, angles.mean()), rel=1e-3), "rotations, too"
    assert np.ptp(motion["x", "y", "logScale"], axis=0) == pytest.approx([0, 0, 0]), "it stays in its place"
    assert load_motion(tmp_path / back.driver)["jawOpen"][-1] == pytest.approx(0.1)


def test_edited_faces_are_stills_that_stay_in_place(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    corpus = corpus_of(tmp_path, *CLIPS)
    protocol = made("editing", corpus)
    assert {(case.stills, case.stop) for case in protocol.cases} == {(True, drawn_motions.DRAWN)}
    first, second = (load_motion(tmp_path / case.driver) for case in protocol.cases[:2])
    assert np.abs(first.values - second.values).max() > 0.01, "each has its own"
    assert np.ptp(first["x", "y", "logScale"], axis=0) == pytest.approx([0, 0, 0])
    real = np.concatenate([corpus.track(clip).coefficients for clip in CLIPS])
    shapes = len(ARKIT_SHAPES)
    assert (first.values[:, :shapes] <= real[:, :shapes].max(0) + 1e-6).all()
    assert (first.values[:, :shapes] >= real[:, :shapes].min(0) - 1e-6).all()


def test_editing_needs_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn_motions, "find_spec", lambda _: None)
    with pytest.raises(DependencyMissing, match=r"countenance\[torch\]"):
        made("editing", corpus_of(tmp_path, "a_01.mp4"))


def test_motions_are_drawn_like_real_ones() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from countenance.evaluation.protocols.motion_vae import MotionVAE

    real = filmed.random_motions(400)
    model, again = MotionVAE.fitted(real, 1), MotionVAE.fitted(real, 1)
    drawn = model.drawn(300, 2)
    assert np.array_equal(drawn, again.drawn(300, 2)), "the same seeds, the same motions"
    assert not np.array_equal(drawn, MotionVAE.fitted(real, 5).drawn(300, 2))
    assert not np.array_equal(drawn, model.drawn(300, 3))
    assert drawn.shape == (300, real.shape[1])
    assert (drawn >= real.min(0)).all()
    assert (drawn <= real.max(0)).all()
    assert len(np.unique(drawn.round(4), axis=0)) == 300, "no draw is like another"
    assert 0.6 < drawn.std(0).mean() / real.std(0).mean() < 1.4
    assert np.abs(drawn.mean(0) - real.mean(0)).mean() < 0.25 * real.std(0).mean()
    with pytest.raises(BadValue, match="too few to learn"):
        MotionVAE.fitted(real[:1], 0)


def sound() -> Protocol:
    """A protocol with a case of each kind."""
    film = Case("b", "b.mp4", 2, "b.mp4", 2, 9, (3, 8), truth="b.mp4", group="ü")
    made_motion = Case("a", "a.mp4", 0, "motions/0.npz", 0, 10, tuple(range(10)), stills=True)
    cross = Case("c", "a.mp4", 0, "b.mp4", 0, 4, (1,), transfer="relative")
    return Protocol(
        "mixed", "All.", 7, (film, made_motion, cross), {"a.mp4": "1", "b.mp4": "2"}, {"c.mp4": "no"}
    )


def test_a_protocol_is_the_same_after_a_while_on_disk(tmp_path: Path) -> None:
    path = sound().save(tmp_path)
    assert path.name == FILE
    assert Protocol.load(path) == sound()
    assert Protocol.load(path).digest == sound().digest
    assert replace(sound(), seed=8).digest != sound().digest


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '{"format": "other"}',
        "[" * 100_000,
        "\0",
        '{"format": "countenance-protocol"}',
    ],
)
def test_files_that_are_no_protocols(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ProtocolUnreadable):
        Protocol.load(tmp_path / FILE)


def test_paths_without_a_protocol(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / FILE, tmp_path, tmp_path / "nowhere.json"):
        with pytest.raises(ProtocolUnreadable, match="make it anew"):
            Protocol.load(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "version 1"),
        ({"cases": []}, "names of their own"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": "0"}, "seed"),
        ({"clips": ["a.mp4", "b.mp4"]}, "damaged"),
        ({"clips": {"a.mp4": "1"}}, "b.mp4 is none of"),
        ({"clips": {"a.mp4": "1", "b.mp4": "2", "../c.mp4": "3"}}, "outside"),
        ({"clips": {"a.mp4": "1", "b.mp4": "2", "/c.mp4": "3"}}, "outside"),
        ({"left_out": None}, "damaged"),
        ({"description": 5}, "damaged"),
    ],
)
def test_protocols_that_nobody_should_run(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = sound().save(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ProtocolUnreadable, match=says):
        Protocol.load(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        *[
            ({"name": name}, "names of their own")
            for name in ("a", "", ".x", "x/y", "x\\y", "x:y", "\n", "x" * 300)
        ],
        ({"name": 5}, "damaged"),
        ({"start": -2}, "a whole number, 0 to 10000000"),
        ({"start": 9}, "are none"),
        ({"stop": 2.5}, "a whole number, 0 to 10000000"),
        ({"stop": "9"}, "a whole number, 0 to 10000000"),
        ({"source_frame": -1}, "a whole number, 0 to 10000000"),
        ({"source_frame": None}, "a whole number, 0 to 10000000"),
        ({"compared": []}, "are compared"),
        ({"compared": [1]}, "are compared"),
        ({"compared": [3, 9]}, "are compared"),
        ({"compared": 3}, "damaged"),
        ({"transfer": "somehow"}, "transfer"),
        ({"stills": 1}, "stills"),
        ({"group": None}, "group"),
        ({"driver": "../../secret.npz"}, "outside the protocol's folder"),
        ({"driver": "/etc/secret.npz"}, "outside the protocol's folder"),
        ({"driver": "d.mp4"}, "d.mp4 is none of"),
        ({"source": "../b.mp4"}, "is none of"),
        ({"truth": "d.mp4"}, "is none of"),
        ({"driver": 5}, "damaged"),
        ({"colour": "red"}, "damaged"),
    ],
)
def test_cases_that_nobody_should_run(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = sound().save(tmp_path)
    content = json.loads(path.read_text())
    content["cases"][0] |= changes
    path.write_text(json.dumps(content))
    with pytest.raises(ProtocolUnreadable, match=says) as complaint:
        Protocol.load(path)
    assert "\n" not in str(complaint.value).replace("\\n", "")


def test_other_films_under_the_same_names_are_noticed(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "a_01.mp4", "b_01.mp4")
    protocol = made("cross-identity", corpus)
    protocol.check_clips(corpus.folder)
    (corpus.folder / "b_01.mp4").write_text("another film")
    with pytest.raises(ProtocolUnreadable, match=r"b_01\.mp4: it is another film"):
        protocol.check_clips(corpus.folder)
    (corpus.folder / "b_01.mp4").unlink()
    with pytest.raises(ProtocolUnreadable, match=r"b_01\.mp4: the protocol needs this clip"):
        protocol.check_clips(corpus.folder)
