from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from countenance.cli.main import main
from countenance.evaluation.study.key import REAL, Shown, read_key
from studies import answered, film, results, row, sheet


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return results(tmp_path_factory.mktemp("results"), ["sharpnet", "waxworks", "trueclips"], frames=6)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, _ = run(capsys, "study", "--help")
    assert code == 0
    for text in (
        "study make results/A results/B --real clips",
        "study score study.key.json",
        "user-studies.md",
    ):
        assert text in printed
    assert "fooling rate" in run(capsys, "study", "score", "--help")[1]


def test_from_folders_to_scores(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, key_file = tmp_path / "study.html", tmp_path / "study.key.json"
    code, printed, noted = run(
        capsys, "study", "make", folders[0], folders[1], "--real", folders[2], "-o", page, "--items", 8
    )
    assert code == 0
    assert "8 pairs" in printed
    assert "keep it, and to yourself" in printed
    assert noted.startswith("countenance: note: recordings come back")
    assert sorted(tmp_path.iterdir()) == [page, key_file]
    key = read_key(key_file)

    def choose(participant: str, left: Shown, right: Shown) -> str:
        fooled = "sharpnet" in (left.system, right.system) and participant.endswith("1")
        return "left" if (left.system == REAL) != fooled else "right"

    for number in range(2):
        (tmp_path / f"{number}.csv").write_text(answered(key, number, choose))
    files = [tmp_path / "0.csv", tmp_path / "1.csv"]
    code, printed, _ = run(capsys, "study", "score", key_file, *files)
    assert code == 0
    assert "2 participants, 16 answers, 4.5 s an item, left chosen" in printed
    assert "| fooling rate | sharpnet | real | 50.0 % | " in printed
    assert "| fooling rate | waxworks | real | 0.0 % | 0.0 to 32.4* | 8 | 2 | 4 |" in printed
    code, printed, _ = run(
        capsys, "study", "score", key_file, *files, "-o", tmp_path / "scores.csv", "--json"
    )
    found = json.loads(printed)
    assert found["chosen_left"] is not None
    with (tmp_path / "scores.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [{**line, "low": "", "high": ""} for line in table] == [
        {name: "" if name in ("low", "high") else str(value) for name, value in score.items()}
        for score in found["scores"]
    ]


def test_ratings(folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "study.html"
    asked = ("--questions", "Sharp?", "Alive?")
    code, printed, _ = run(
        capsys, "study", "make", *folders[:2], "-o", page, "--kind", "ratings", *asked, "--json"
    )
    assert code == 0
    made = json.loads(printed)
    assert (made["items"], made["systems"]) == (8, ["sharpnet", "waxworks"])
    answers = tmp_path / "1.csv"
    rates = {"sharpnet": "5", "waxworks": "2"}
    answers.write_text(answered(read_key(Path(made["key"])), 1, lambda who, clip, same: rates[clip.system]))
    code, printed, _ = run(capsys, "study", "score", made["key"], answers)
    assert code == 0
    assert "Sharp?\n" in printed
    assert printed.count("| opinion | sharpnet |  | 5.00 | none | 4 | 1 | 4 |") == 2


def test_a_participant_twice_is_noted(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "study", "make", *folders[:2], "-o", tmp_path / "s.html")
    key = read_key(tmp_path / "s.key.json")
    for name, answer in (("a", "left"), ("b", "right")):
        (tmp_path / f"{name}.csv").write_text(sheet(row(key, answer=answer)))
    code, printed, noted = run(
        capsys, "study", "score", tmp_path / "s.key.json", tmp_path / "a.csv", tmp_path / "b.csv"
    )
    assert code == 0
    assert "1 participant, 1 answer, 2.1 s an item" in printed
    assert "left chosen 0 %" in printed
    assert noted.count("\n") == 1
    assert "only the latter counts" in noted


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("make -o s.html", "nothing to show"),
        ("make A -o s.html", "one and --real"),
        ("make A A -o s.html", "given twice"),
        ("make A missing -o s.html", "no such folder"),
        ("make A empty -o s.html", "name them <case>.mp4 everywhere"),
        ("make A broken -o s.html", "it is no video"),
        ("make A B -o s.mp4", "ends in .html"),
        ("make A B -o missing/s.html", "mkdir -p"),
        ("make A B -o s.html --items 0", "--items 1"),
        ("make A B -o s.html --side 2", "--side 2"),
        ("make A B -o s.html --seconds 0", "--seconds 0"),
        ("make A B -o s.html --seconds nan", "--seconds nan"),
        ("make A B -o s.html --most-mb 0.01", "fewer --items"),
        ("make A B -o s.html --notice missing.txt", "check the path"),
        ("make A B -o s.html --notice broken/anna_0417.mp4", "it is no text"),
        ("make A B -o s.html --sound keep", "not all videos have sound"),
        ("make A B -o taken.html", "another study"),
        ("score missing.json good.csv", "no such file"),
        ("score good.csv good.csv", "it is no JSON"),
        ("score taken.key.json good.csv", "no study key"),
        ("score good.key.json", "nothing to score"),
        ("score good.key.json missing.csv", "no such file"),
        ("score good.key.json empty.csv", "it is empty"),
        ("score good.key.json empty", "is a directory"),
        ("score good.key.json other.csv", "line 2 is of the study"),
        ("score good.key.json damaged.csv", "line 3: answer 'lft'"),
        ("score good.key.json good.csv -o scores.txt", "end it in .csv"),
        ("score good.key.json good.csv -o missing/scores.csv", "mkdir -p"),
        ("score good.key.json good.csv -o good.csv", "it holds answers"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    folders: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    given: str,
    says: str,
) -> None:
    assert run(capsys, "study", "make", *folders[:2], "-o", tmp_path / "good.html")[0] == 0
    key = read_key(tmp_path / "good.key.json")
    second = list(key.items)[1]
    left, right = key.items[second]
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "anna_0417.mp4").write_bytes(b"\xff\xfeno video")
    (tmp_path / "taken.key.json").write_text("{}")
    (tmp_path / "good.csv").write_text(sheet(row(key)))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "other.csv").write_text(sheet(row(key, study="s-ffffffffffff")))
    (tmp_path / "damaged.csv").write_text(
        sheet(row(key), row(key, item=second, left=left, right=right, answer="lft"))
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.chdir(tmp_path)
    words = [{"A": str(folders[0]), "B": str(folders[1])}.get(word, word) for word in given.split()]
    code, printed, complaint = run(capsys, "study", *words)
    assert code == 2
    assert says in complaint
    assert complaint.startswith("countenance: ")
    assert complaint.count("\n") == 1
    assert printed == ""
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_ctrl_c_leaves_nothing(
    folders: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from countenance.evaluation.study import make

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(make, "encoded_case", interrupted)
    code, _, complaint = run(capsys, "study", "make", *folders[:2], "-o", tmp_path / "s.html")
    assert code == 130
    assert "interrupted" in complaint
    assert list(tmp_path.iterdir()) == []


def test_a_notice_is_on_the_page(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notice.txt").write_text("Run by nobody.\nFor nothing.\n")
    film(tmp_path / "ignored.mp4", frames=2)
    given = ("--notice", tmp_path / "notice.txt", "--contact", "Ada <ada@example.org>")
    assert run(capsys, "study", "make", *folders[:2], "-o", tmp_path / "s.html", *given)[0] == 0
    text = (tmp_path / "s.html").read_text()
    assert '"notice": "Run by nobody.\\nFor nothing."' in text
    assert "Ada \\u003cada@example.org>" in text
