from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from countenance.errors import BadValue, MediaUnreadable, OutputUnwritable, StudyUnreadable
from countenance.evaluation.study.answers import read_answers
from countenance.evaluation.study.items import drawn_items
from countenance.evaluation.study.key import REAL, Key, Shown, key_path, read_key
from countenance.evaluation.study.make import LIP_SYNC, RATED, REALISM, Options, make_study
from countenance.evaluation.study.scores import Score, scores, wilson
from countenance.media.video import VideoReader, read_metadata
from studies import CASES, TINTS, Choice, answered, clips_in, film, results, row, sheet

NAMES = [f"case{k:02}" for k in range(10)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three systems' results of the same cases; one folder has a case more, and files that are no videos."""
    folder = tmp_path_factory.mktemp("results")
    made = {path.name: path for path in results(folder, TINTS, frames=12)}
    film(made["sharpnet"] / "extra.mp4", frames=12)
    (made["sharpnet"] / "summary.json").write_text("{}")
    (made["waxworks"] / "logs").mkdir()
    return made


@pytest.fixture(scope="module")
def pairs(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Key, Path]:
    page = tmp_path_factory.mktemp("pairs") / "study.html"
    systems = [folders["sharpnet"], folders["waxworks"]]
    return make_study(systems, page, Options(), real=folders["trueclips"]).key, page


# --- what is drawn -------------------------------------------------------------------------------------------------


def test_pairs_of_systems_come_equally_often_and_cases_come_back_last() -> None:
    items = drawn_items(NAMES, ["a", "b", "c"], "pairs", 15, seed=1)
    assert len(set(items)) == 15
    assert all(left.case == right.case for left, right in items)
    assert {clip.case for both in items[:10] for clip in both} == set(NAMES)
    counts = Counter(tuple(clip.system for clip in both) for both in items)
    assert set(counts) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert max(counts.values()) - min(counts.values()) <= 2


def test_all_pairs_there_are() -> None:
    items = drawn_items(NAMES, ["a", "b", "c"], "pairs", 99, seed=1)
    assert len(set(items)) == len(items) == 30


def test_recordings_are_in_every_pair() -> None:
    items = drawn_items(NAMES, ["a", "b", REAL], "pairs", 10, seed=1)
    assert all(REAL in {clip.system for clip in both} for both in items)
    assert len({both[0].case for both in items}) == 10  # no recording twice
    assert Counter(both[1].system for both in items) == {"a": 5, "b": 5}


def test_every_system_is_rated_on_the_same_cases() -> None:
    items = drawn_items(NAMES, ["a", "b", REAL], "ratings", 11, seed=1)
    shown = {name: {clip.case for (clip,) in items if clip.system == name} for name in ("a", "b", REAL)}
    assert len(items) == 9
    assert shown["a"] == shown["b"] == shown[REAL]


def test_seeds_draw() -> None:
    first, same, other = (drawn_items(NAMES, ["a", "b"], "pairs", 5, seed) for seed in (1, 1, 2))
    assert first == same != other


@pytest.mark.parametrize(
    ("systems", "kind", "count", "says"),
    [
        (["a"], "pairs", 5, "--real"),
        (["a", "b", "c"], "pairs", 2, "--items 3"),
        (["a", "b"], "ratings", 1, "--items 2"),
        (["a", REAL], "pairs", 0, "--items 1"),
    ],
)
def test_too_little_to_draw(systems: list[str], kind: str, count: int, says: str) -> None:
    with pytest.raises(BadValue, match=says):
        drawn_items(NAMES, systems, kind, count, 0)  # type: ignore[arg-type]


# --- the page ------------------------------------------------------------------------------------------------------


def test_a_page_tells_nobody_what_it_shows(pairs: tuple[Key, Path], folders: dict[str, Path]) -> None:
    key, page = pairs
    clips = clips_in(page)
    assert set(clips) == set(key.clips)
    assert list(clips) == sorted(clips)  # in the order of ids, which are hashes
    text = re.sub(r'(id="c-[0-9a-f]{12}">)[^<]+', r"\1", page.read_text())
    names = [*folders, *CASES, str(page.parent), "sharp", "wax"]
    assert [name for name in names if name.casefold() in text.casefold()] == []
    assert [name for name in names for clip in clips.values() if name.encode() in clip] == []
    study = json.loads(re.search(r'id="study">(.+?)</script>', text).group(1))  # type: ignore[union-attr]
    assert set(study) == {
        *("id", "kind", "mixed", "questions", "items", "minutes", "sound", "contact", "notice")
    }
    assert all(item["clips"] == sorted(item["clips"]) for item in study["items"])


def test_a_page_needs_no_network(pairs: tuple[Key, Path]) -> None:
    text = pairs[1].read_text()
    assert not re.search(r"https?://|\ssrc=|@import|url\(", text)
    policy = re.search(r'Policy" content="([^"]+)"', text).group(1)  # type: ignore[union-attr]
    assert policy.startswith("default-src 'none'; media-src blob:; ")
    for tag in ("style", "script"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL).group(1)  # type: ignore[union-attr]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_clips_are_alike_and_marked(pairs: tuple[Key, Path], tmp_path: Path) -> None:
    key, page = pairs
    marks = []
    for name, content in clips_in(page).items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(content)
        with VideoReader(path) as video:
            frames = list(video.frames())
            assert (video.width, video.height, video.fps, video.has_audio) == (64, 64, 25.0, False)
        assert len(frames) == 12
        colour = np.mean([frame.image.mean((0, 1)) for frame in frames], 0)
        shown = key.clips[name].system
        tint = TINTS["trueclips" if shown == REAL else shown]
        assert np.argmax(colour) == np.argmax(tint)
        marks.append(
            {
                name: text
                for name, text in read_metadata(path).items()
                if name in ("comment", "synthetic", "model")
            }
        )
    assert all(mark == marks[0] for mark in marks)
    assert marks[0]["synthetic"] == "true"
    assert "mixes synthetic media and recordings" in marks[0]["comment"]
    assert marks[0]["model"] == "withheld (blind study)"


def test_the_key_comes_back_and_is_the_same_for_the_same_folders(
    pairs: tuple[Key, Path], folders: dict[str, Path], tmp_path: Path
) -> None:
    key, page = pairs
    assert read_key(key_path(page)) == key
    assert key.systems == ("sharpnet", "waxworks", REAL)
    assert key.questions == {"q1": REALISM}
    systems = [folders["sharpnet"], folders["waxworks"]]
    real = folders["trueclips"]
    assert make_study(systems, tmp_path / "b.html", Options(title="Other"), real=real).key.items == key.items
    for other in (Options(seed=1), Options(side_px=32), Options(questions=("Why?",)), Options(items=6)):
        changed = make_study(
            systems, tmp_path / f"{other.seed}{other.items}{other.side_px}.html", other, real=real
        )
        assert changed.key.study != key.study


def test_the_key_of_another_study_is_kept(folders: dict[str, Path], tmp_path: Path) -> None:
    systems, page = [folders["sharpnet"], folders["waxworks"]], tmp_path / "study.html"
    make_study(systems, page, Options())
    make_study(systems, page, Options())  # the same again does no harm
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputUnwritable, match="another study"):
        make_study(systems, page, Options(seed=3))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_notes_for_the_maker(folders: dict[str, Path], tmp_path: Path) -> None:
    systems = [folders["sharpnet"], folders["waxworks"]]
    options = Options(kind="ratings", title="Is Waxworks good?")
    notes = " ".join(make_study(systems, tmp_path / "r.html", options).notes)
    assert "left out, as not all folders have them: extra" in notes
    assert "lip-sync is not asked" in notes
    assert "text names waxworks" in notes
    whole_words = Options(kind="ratings", title="Is sharpnets a word of its own?")
    assert "text names" not in " ".join(make_study(systems, tmp_path / "w.html", whole_words).notes)
    notes = " ".join(make_study(systems, tmp_path / "p.html", Options(), real=folders["trueclips"]).notes)
    assert ": 8" in notes
    assert "recordings come back" in notes


def test_videos_that_differ_are_made_alike(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    film(tmp_path / "a" / "x.mp4", frames=40, width=80, height=60, fps=20)
    film(tmp_path / "b" / "x.webm", frames=25, width=33, height=33, fps=25)
    made = make_study([tmp_path / "a", tmp_path / "b"], tmp_path / "s.html", Options(side_px=64))
    notes = " ".join(made.notes)
    assert all(text in notes for text in ("in shape", "in frame rate", "cut to the shortest"))
    found = []
    for name, content in clips_in(tmp_path / "s.html").items():
        (tmp_path / "clip.mp4").write_bytes(content)
        with VideoReader(tmp_path / "clip.mp4") as video:
            found.append(
                (made.key.clips[name].system, video.width, video.height, video.fps, len([*video.frames()]))
            )
    assert sorted(found) == [("a", 64, 48, 25.0, 25), ("b", 64, 64, 25.0, 25)]


def test_long_clips_are_cut_and_folders_of_frames_are_videos(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        film(tmp_path / name / "x", frames=40, width=48, height=48)
    make_study([tmp_path / "a", tmp_path / "b"], tmp_path / "s.html", Options(seconds=1))
    for content in clips_in(tmp_path / "s.html").values():
        (tmp_path / "clip.mp4").write_bytes(content)
        with VideoReader(tmp_path / "clip.mp4") as video:
            assert (len([*video.frames()]), video.width) == (25, 48)


def test_sound_is_kept_for_ratings(tmp_path: Path) -> None:
    systems = results(tmp_path, ["a", "b"], ["x"], sound=True, frames=25)
    made = make_study(systems, tmp_path / "s.html", Options(kind="ratings"))
    assert tuple(made.key.questions.values()) == (LIP_SYNC, *RATED)
    for options, heard in (
        (Options(kind="ratings"), True),
        (Options(), False),
        (Options(sound="keep"), True),
    ):
        page = tmp_path / f"{options.kind}{options.sound}.html"
        make_study(systems, page, options)
        for content in clips_in(page).values():
            (tmp_path / "clip.mp4").write_bytes(content)
            with VideoReader(tmp_path / "clip.mp4") as video:
                assert video.has_audio is heard


def test_no_text_breaks_out_of_the_page(folders: dict[str, Path], tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script><!-- script -->"
    options = Options(questions=(nasty,), title=nasty, contact=nasty, notice=nasty)
    make_study([folders["sharpnet"], folders["waxworks"]], tmp_path / "s.html", options)
    text = (tmp_path / "s.html").read_text()
    assert "<script>alert" not in text
    study = json.loads(re.search(r'id="study">(.+?)</script>', text).group(1))  # type: ignore[union-attr]
    assert study["contact"] == nasty


def test_too_large_a_page_is_not_written(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="fewer --items"):
        make_study([folders["sharpnet"], folders["waxworks"]], tmp_path / "s.html", Options(most_mb=0.02))
    assert list(tmp_path.iterdir()) == []


def test_folders_that_make_no_study(folders: dict[str, Path], tmp_path: Path) -> None:
    one, page = folders["sharpnet"], tmp_path / "s.html"
    for name in ("empty", "real", "twice"):
        (tmp_path / name).mkdir()
    for suffix in (".mp4", ".webm"):
        film(tmp_path / "twice" / f"x{suffix}", frames=2)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / f"{CASES[0]}.mp4").write_text("no video")
    with pytest.raises(BadValue, match="nothing to show"):
        make_study([], page, Options())
    with pytest.raises(MediaUnreadable, match="no such folder"):
        make_study([one, tmp_path / "missing"], page, Options())
    with pytest.raises(BadValue, match="given twice"):
        make_study([one, one], page, Options())
    with pytest.raises(BadValue, match="rename the folder"):
        make_study([tmp_path / "real"], page, Options(), real=one)
    with pytest.raises(BadValue, match="sharpnet 5, empty 0"):
        make_study([one, tmp_path / "empty"], page, Options())
    with pytest.raises(BadValue, match="both the case 'x'"):
        make_study([one, tmp_path / "twice"], page, Options())
    with pytest.raises(MediaUnreadable, match="it is no video"):
        make_study([one, tmp_path / "broken"], page, Options())
    with pytest.raises(BadValue, match="not all videos have sound"):
        make_study([one, folders["waxworks"]], page, Options(sound="keep"))
    assert not page.exists()


def test_folders_of_one_name_are_told_apart(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        results(tmp_path / name, ["out"], ["x"], frames=3)
    made = make_study([tmp_path / "one" / "out", tmp_path / "two" / "out"], tmp_path / "s.html", Options())
    assert made.key.systems == (str(tmp_path / "one" / "out"), str(tmp_path / "two" / "out"))


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"study": "s-000000000000"}, "line 2 is of the study 's-000000000000'"),
        ({"item": "i-000000000000"}, "line 2: item 'i-000000000000'"),
        ({"question": "q9"}, "line 2: question 'q9'"),
        ({"left": "c-000000000000"}, "line 2: clips 'c-000000000000"),
        ({"right": ""}, "line 2: clips"),
        ({"answer": "both"}, "line 2: answer 'both'"),
        ({"answer": "4"}, "line 2: answer '4'"),
        ({"kind": "ratings"}, "line 2: kind 'ratings'"),
        ({"participant": "1.2E+15"}, "line 2: participant"),
        ({"position": 99}, "line 2: position '99'"),
        ({"ms": -4}, "line 2: ms '-4'"),
        ({"ms": "4,5"}, "line 2 has 12 fields, not 11"),
        ({"ms": '"4'}, "line 2 is damaged"),
    ],
)
def test_damaged_rows(pairs: tuple[Key, Path], tmp_path: Path, changes: dict[str, object], says: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(sheet(row(pairs[0], **changes)))
    with pytest.raises(StudyUnreadable, match=re.escape(says)):
        read_answers([path], pairs[0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b" \r\n", "it is empty"),
        (b"\xff\xfe\x00", "it is no text"),
        (b"name,age\nAda,36\n", "line 1 does not name the columns"),
        (sheet().encode(), "it holds no answers"),
    ],
)
def test_files_that_hold_no_answers(
    pairs: tuple[Key, Path], tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "answers.csv"
    path.write_bytes(content)
    with pytest.raises(StudyUnreadable, match=re.escape(says)):
        read_answers([path], pairs[0])


def test_the_same_answered_twice_in_a_file(pairs: tuple[Key, Path], tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(sheet(row(pairs[0]), row(pairs[0], answer="right")))
    with pytest.raises(StudyUnreadable, match="line 3 answers the same again as line 2"):
        read_answers([path], pairs[0])


def test_of_a_participant_the_later_file_counts(pairs: tuple[Key, Path], tmp_path: Path) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text(sheet(row(pairs[0])))
    second.write_text(
        "\ufeff" + sheet(row(pairs[0], answer="right")).replace(",", ";")
    )  # out of a spreadsheet
    found = read_answers([first, second], pairs[0])
    assert [answer.answer for answer in found.rows] == ["right"]
    assert "only the latter counts" in found.notes[0]
    assert [answer.answer for answer in read_answers([second, first], pairs[0]).rows] == ["left"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: "{", "no JSON"),
        (lambda text: "[]", "no study key"),
        (lambda text: text.replace("study key 1", "study key 2"), "no study key"),
        (lambda text: text.replace('"pairs"', '"triples"'), "damaged"),
        (lambda text: text.replace('"waxworks"\n  }', '"other"\n  }'), "damaged"),
        (lambda text: text.replace('"questions"', '"quests"'), "damaged"),
    ],
)
def test_damaged_keys(pairs: tuple[Key, Path], tmp_path: Path, spoil: object, says: str) -> None:
    path = tmp_path / "study.key.json"
    path.write_text(spoil(key_path(pairs[1]).read_text()))  # type: ignore[operator]
    with pytest.raises(StudyUnreadable, match=says):
        read_key(path)


# --- scores --------------------------------------------------------------------------------------------------------


def study_of(systems: tuple[str, ...], kind: str, cases: int = 10) -> Key:
    """A study without videos."""
    names = [f"case{k:02}" for k in range(cases)]
    drawn = drawn_items(names, list(systems), kind, 999, 0)  # type: ignore[arg-type]
    ids = {clip: f"c-{k:012x}" for k, clip in enumerate(dict.fromkeys(c for both in drawn for c in both))}
    items = {f"i-{k:012x}": tuple(ids[clip] for clip in both) for k, both in enumerate(drawn)}
    clips = {name: clip for clip, name in ids.items()}
    return Key("s-0", kind, "t", {"q1": "?"}, systems, clips, items)  # type: ignore[arg-type]


def scored(key: Key, folder: Path, people: int, choose: Choice) -> dict[tuple[str, str, str], Score]:
    paths = []
    for number in range(people):
        paths.append(folder / f"{number}.csv")
        paths[-1].write_text(answered(key, number, choose))
    found = scores(read_answers(paths, key).rows, key)
    return {(score.measure, score.system, score.against): score for score in found}


def side_of(system: str, left: Shown, right: Shown) -> str:
    return "left" if left.system == system else "right"


def test_shares_are_those_of_the_choices(tmp_path: Path) -> None:
    """a wins in 7 of 10 cases against b, and always against c; b wins against c with people of an even number."""

    def choose(participant: str, left: Shown, right: Shown) -> str:
        systems = {left.system, right.system}
        if systems == {"a", "b"}:
            return side_of("a" if int(left.case[-2:]) < 7 else "b", left, right)
        if systems == {"b", "c"}:
            return side_of("b" if int(participant[-1], 16) % 2 == 0 else "c", left, right)
        return side_of("a", left, right)

    found = scored(study_of(("a", "b", "c"), "pairs"), tmp_path, 6, choose)
    shares = {what: score.value for what, score in found.items()}
    assert shares == pytest.approx(
        {
            ("preferred to", "a", "b"): 0.7,
            ("preferred to", "a", "c"): 1.0,
            ("preferred to", "b", "c"): 0.5,
            ("preferred", "a", ""): 0.85,
            ("preferred", "b", ""): 0.4,
            ("preferred", "c", ""): 0.25,
        }
    )
    split = found["preferred to", "a", "b"]
    assert (split.answers, split.participants, split.cases, split.interval) == (60, 6, 10, "bootstrap")
    assert split.low is not None
    assert split.high is not None
    assert (
        0.3 < split.low < 0.5
    )  # as wide as 10 cases make it: 60 independent answers would give 0.58 to 0.80
    assert 0.9 <= split.high <= 1.0
    always = found["preferred to", "a", "c"]
    assert (always.interval, always.low, always.high) == ("wilson", *wilson(1.0, 60))


def test_fooling_rate(tmp_path: Path) -> None:
    def choose(participant: str, left: Shown, right: Shown) -> str:
        system = ({left.system, right.system} - {REAL}).pop()
        fooled = int(left.case[-2:]) < (4 if system == "good" else 1)
        return side_of(system if fooled else REAL, left, right)

    found = scored(study_of(("good", "bad", REAL), "pairs"), tmp_path, 3, choose)
    assert {what: round(score.value, 6) for what, score in found.items()} == {
        ("fooling rate", "good", REAL): 0.4,
        ("fooling rate", "bad", REAL): 0.1,
    }


def test_opinions(tmp_path: Path) -> None:
    def choose(participant: str, left: Shown, right: Shown) -> str:
        return str({"a": 4, "b": 2, REAL: 5}[left.system] - int(left.case[-2:]) % 2 * (left.system != REAL))

    found = scored(study_of(("a", "b", REAL), "ratings", cases=8), tmp_path, 5, choose)
    assert {what[1]: score.value for what, score in found.items()} == {"a": 3.5, "b": 1.5, REAL: 5.0}
    opinion = found["opinion", "a", ""]
    assert opinion.low is not None
    assert 3 < opinion.low < 3.5
    assert found["opinion", REAL, ""].interval == "none"  # all the same: nothing says how far it may be off


def test_one_participant_gets_wilson(tmp_path: Path) -> None:
    def choose(participant: str, left: Shown, right: Shown) -> str:
        return side_of("a" if int(left.case[-2:]) < 8 else "b", left, right)

    share = scored(study_of(("a", "b"), "pairs"), tmp_path, 1, choose)["preferred to", "a", "b"]
    assert (share.value, share.interval) == (0.8, "wilson")
    assert (share.low, share.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # 8 of 10, from tables


def test_more_people_and_cases_narrow_the_interval(tmp_path: Path) -> None:
    def choose(participant: str, left: Shown, right: Shown) -> str:
        return side_of(
            "ab"[int(hashlib.sha256((participant + left.case).encode()).hexdigest(), 16) % 2], left, right
        )

    widths = []
    for people, cases in ((4, 4), (20, 30)):
        key = study_of(("a", "b"), "pairs", cases)
        share = scored(key, tmp_path, people, choose)["preferred to", "a", "b"]
        assert share.low is not None
        assert share.high is not None
        assert share.low <= share.value <= share.high
        widths.append(share.high - share.low)
    assert widths[1] < 0.6 * widths[0]


def test_intervals_hold_the_truth(tmp_path: Path) -> None:
    """People and cases differ, so answers of one person, or about one case, are alike; 95 % of intervals are right."""
    from countenance.evaluation.study import scores as module

    chance, right = np.random.default_rng(1), 0
    for _ in range(100):
        people, cases = chance.normal(0, 0.5, 12), chance.normal(0, 0.5, 12)
        marks = [
            module._Mark(f"{i:02}", f"{j:02}", 3 + person + case + chance.normal(0, 0.7))
            for i, person in enumerate(people)
            for j, case in enumerate(cases)
        ]
        score = module._score("opinion", "q1", "a", "", marks)
        right += score.low <= 3 <= score.high  # type: ignore[operator]
    assert 88 <= right <= 99
