"""``countenance study``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from countenance.ranges import DURATION_S, PICTURE_SIDE_PX, SEED, Range

if TYPE_CHECKING:
    from countenance.evaluation.study.answers import Answers
    from countenance.evaluation.study.key import Key
    from countenance.evaluation.study.scores import Score


@dataclass(frozen=True)
class Make:
    """Make one HTML file that asks people about result videos, and a key that says what they saw.

    The page needs no network and no server: people open it, answer, and download a CSV for you. It names neither
    folders nor files, and shows everything in another order to everybody. The key (study.key.json beside study.html)
    is for `countenance study score`: keep it, and keep it to yourself.

    Videos belong together by their names: A/anna.mp4 and B/anna.mp4, or folders of frames A/anna/00000.png.

    examples:
      countenance study make results/gdpw-lite results/geometric -o study.html
      countenance study make results/gdpw-lite --real clips -o fooling.html --items 30
      countenance study make A B C -o rated.html --kind ratings --contact "Ada, ada@example.org"
    """

    results: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of result videos, one a system."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The page, .html."""
    kind: Literal["pairs", "ratings"] = "pairs"
    """pairs: which of two looks more real (PIRenderer). ratings: each from 1 to 5 (PIR)."""
    real: Path | None = None
    """Folder of recordings of the same cases. Pairs are then a recording and a result; ratings have a system more."""
    questions: tuple[str, ...] = ()
    """Your own, instead of the papers': realism for pairs; lip-sync, image quality and realness for ratings."""
    items: Annotated[int, Range(1, 10_000)] = 20
    """At most so many pairs, or videos to rate."""
    seed: Annotated[int, SEED] = 0
    """Another seed draws other items."""
    title: str = "Videos of faces"
    """Of the page. Don't give away what is tested."""
    contact: str = ""
    """Whom people ask, and send their answers to."""
    notice: Path | None = None
    """Text file for the first page: who runs the study, what for, what happens to the answers."""
    seconds: Annotated[float, DURATION_S] = 10.0
    """Cut longer clips."""
    side: Annotated[int, PICTURE_SIDE_PX] = 256
    """Shrink clips whose longer side is longer, px."""
    sound: Literal["auto", "keep", "drop"] = "auto"
    """auto: keep it in ratings, if all videos have it; drop it in pairs. Pairs with sound play one after the other."""
    most_mb: Annotated[float, Range(0.1, 100_000, "MB")] = 150.0
    """Largest page, MB."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.cli.progress import bar, say
        from countenance.evaluation.study.make import Options, make_study

        options = Options(
            kind=self.kind,
            questions=self.questions,
            items=self.items,
            seed=self.seed,
            title=self.title,
            contact=self.contact,
            notice=self._notice(),
            side_px=self.side,
            seconds=self.seconds,
            sound=self.sound,
            most_mb=self.most_mb,
        )
        made = make_study(self.results, self.output, options, real=self.real, progress=bar)
        if not self.json:
            for note in made.notes:
                say(f"countenance: note: {note}")
        what = "pairs" if self.kind == "pairs" else "videos"
        from countenance.evaluation.study.key import key_path

        secret = key_path(made.page)
        return {
            "page": str(made.page),
            "key": str(secret),
            "study": made.key.study,
            "systems": list(made.key.systems),
            "items": len(made.key.items),
            "megabytes": round(made.megabytes, 2),
            "minutes": made.minutes,
            "notes": list(made.notes),
            "text": f"{made.page}: {len(made.key.items)} {what}, about {made.minutes} min, {made.megabytes:.1f} MB; "
            f"give people this file. {secret}: keep it, and to yourself",
        }

    def _notice(self) -> str:
        from countenance.errors import MediaUnreadable

        if self.notice is None:
            return ""
        try:
            return self.notice.read_text(encoding="utf-8-sig").strip()
        except OSError as error:
            raise MediaUnreadable(
                self.notice, (error.strerror or str(error)).lower(), "check the path"
            ) from error
        except UnicodeDecodeError as error:
            raise MediaUnreadable(self.notice, "it is no text", "save it as UTF-8 text") from error


@dataclass(frozen=True)
class ScoreAnswers:
    """Turn the CSV files that participants downloaded into scores with 95 % intervals.

    Pairs give shares: of a system against another, and with recordings the fooling rate (50 % is chance). Ratings
    give mean opinion scores. If somebody's answers are in several files, the last one given counts.

    examples:
      countenance study score study.key.json answers-*.csv
      countenance study score study.key.json answers-*.csv -o scores.csv
    """

    key: Annotated[Path, tyro.conf.Positional]
    """study.key.json."""
    answers: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """CSV files of the participants."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Write the scores as .csv, too."""
    json: bool = False
    """Print as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the scores."""
        from statistics import median

        from countenance.atomic import check_writable
        from countenance.cli.progress import say
        from countenance.errors import BadValue, OutputUnwritable
        from countenance.evaluation.study.answers import read_answers
        from countenance.evaluation.study.key import read_key
        from countenance.evaluation.study.scores import scores, write_scores

        if self.output is not None:
            if self.output.suffix.lower() != ".csv":
                raise OutputUnwritable(self.output, "scores are written as a table", "end it in .csv")
            check_writable(self.output)
            if self.output.resolve() in {path.resolve() for path in self.answers}:
                raise OutputUnwritable(self.output, "it holds answers", "give another name")
        key = read_key(self.key)
        if not self.answers:
            raise BadValue("there is nothing to score; give the CSV files that participants downloaded")
        answers = read_answers(self.answers, key)
        if not self.json:
            for note in answers.notes:
                say(f"countenance: note: {note}")
        found = scores(answers.rows, key)
        if self.output is not None:
            write_scores(self.output, found)
        people = {row.participant for row in answers.rows}
        lefts = [row.answer == "left" for row in answers.rows if key.kind == "pairs"]
        left = sum(lefts) / len(lefts) if lefts else None
        times: dict[tuple[str, str], float] = {}  # an item's clock goes on from question to question
        for row in answers.rows:
            what = (row.participant, row.item)
            times[what] = max(row.ms / 1000, times.get(what, 0.0))
        return {
            "study": key.study,
            "kind": key.kind,
            "questions": key.questions,
            "participants": len(people),
            "answers": len(answers.rows),
            "chosen_left": left,
            "median_seconds": round(median(times.values()), 1),
            "scores": [asdict(score) for score in found],
            "notes": list(answers.notes),
            "text": "\n".join(_lines(key, answers, found, len(people), left, median(times.values()))),
        }


@dataclass(frozen=True)
class Study:
    """Ask people which results look real: `make` a page for them, `score` what they answered.

    steps:
      1. Render the same cases with every system, into a folder each: results/A/anna.mp4, results/B/anna.mp4 ...
      2. make the page, and give it to people who agree; it runs from a file, a stick or any web server.
      3. They answer, download their answers, and send you the CSV files.
      4. score those with the key. docs/user-studies.md says what the numbers mean.

    examples:
      countenance study make results/A results/B -o study.html
      countenance study make results/A results/B --real clips -o fooling.html
      countenance study make results/A results/B -o rated.html --kind ratings
      countenance study score study.key.json answers-*.csv -o scores.csv
    """

    step: (
        Annotated[Make, tyro.conf.subcommand("make", prefix_name=False)]
        | Annotated[ScoreAnswers, tyro.conf.subcommand("score", prefix_name=False)]
    )
    """make or score."""

    @property
    def json(self) -> bool:
        """Print as JSON."""
        return self.step.json

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        return self.step.run()


def _lines(
    key: Key, answers: Answers, found: list[Score], people: int, left: float | None, seconds: float
) -> list[str]:
    """A table for each question."""
    side = "" if left is None else f", left chosen {100 * left:.0f} %"
    lines = [
        f"{key.title} ({key.study}): {_counted(people, 'participant')}, {_counted(len(answers.rows), 'answer')}, "
        f"{seconds:.1f} s an item{side}"
    ]
    for question, text in key.questions.items():
        rows = [score for score in found if score.question == question]
        lines += ["", text, "| measure | system | against | value | 95 % | answers | people | cases |"]
        lines += ["| --- " * 8 + "|", *map(_line, rows)]
    if any(score.interval == "wilson" for score in found):
        lines += ["", "* answers taken as independent (Wilson), as one person answered or all answered alike"]
    return lines


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _line(score: Score) -> str:
    share = score.measure != "opinion"

    def shown(value: float) -> str:
        return f"{100 * value:.1f}" if share else f"{value:.2f}"

    if score.low is None or score.high is None:
        between = "none"
    else:
        between = f"{shown(score.low)} to {shown(score.high)}" + ("*" if score.interval == "wilson" else "")
    value = f"{shown(score.value)} %" if share else shown(score.value)
    cells = [score.measure, score.system, score.against, value, between]
    return "| " + " | ".join([*cells, *map(str, (score.answers, score.participants, score.cases))]) + " |"
