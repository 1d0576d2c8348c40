"""Parses the command line, runs a verb, and turns errors into one line and an exit code."""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TextIO

import tyro

from countenance.cli.animate import Animate
from countenance.cli.assets import Assets
from countenance.cli.bench import Bench
from countenance.cli.convert import Convert
from countenance.cli.edit import Edit
from countenance.cli.evaluate import Evaluate
from countenance.cli.interpolate import Interpolate
from countenance.cli.models import Models
from countenance.cli.morph import Morph
from countenance.cli.prepare import Prepare
from countenance.cli.study import Study
from countenance.cli.talk import Talk
from countenance.cli.track import Track
from countenance.cli.train import Train
from countenance.cli.turntable import Turntable
from countenance.errors import CountenanceError, MediaDamaged, PoorPhoto

DESCRIPTION = """Make a portrait move: one photo (or video) of a person, driven by a video, a motion file or sliders.

examples:
  countenance animate me.jpg driver.mp4 -o out.mp4
  countenance talk me.jpg speech.wav -o out.mp4
  countenance edit me.jpg -o smile.png --set mouthSmileLeft=0.7 --set mouthSmileRight=0.7 --set yaw=15
  countenance edit me.jpg -o turn.mp4 --sweep yaw=-30:30
  countenance turntable me.jpg -o around.mp4 --model otavatar
  countenance track talk.mp4 -o talk.csv

Animate only yourself, or people who agreed. Every output is marked as synthetic.
Exit codes: 0 done, 2 bad input (one line says what and how to mend it), 130 interrupted."""

VERBS: dict[str, Callable[..., Any]] = {
    "animate": Animate,
    "talk": Talk,
    "edit": Edit,
    "interpolate": Interpolate,
    "turntable": Turntable,
    "morph": Morph,
    "track": Track,
    "models": Models,
    "bench": Bench,
    "study": Study,
    "assets": Assets,
    "convert": Convert,
    "prepare": Prepare,
    "train": Train,
    "evaluate": Evaluate,
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``countenance`` and exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that half-written files are removed
    verb = tyro.extras.subcommand_cli_from_dict(
        VERBS,
        prog="countenance",
        description=DESCRIPTION,
        args=list(arguments) if arguments is not None else None,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    sys.exit(run(verb))


def run(verb: Any) -> int:
    """Run a parsed verb; returns the exit code.

    Args:
        verb: has ``run() -> dict`` and ``json: bool``.
    """
    try:
        with warnings.catch_warnings():
            for always in (MediaDamaged, PoorPhoto):
                warnings.simplefilter("always", always)
            warnings.showwarning = _note
            summary = verb.run()
    except CountenanceError as error:
        return _fail(str(error), error.exit_code, verb.json)
    except KeyboardInterrupt:
        told = getattr(verb, "interrupted", "interrupted; nothing was written")
        return _fail(told, 130, verb.json)
    if verb.json:
        print(json.dumps(summary))
    elif "text" in summary:
        print(summary["text"])
    return 0


def _note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Warnings as one line, without the place in the source that Python prints."""
    print(f"countenance: note: {message}", file=sys.stderr)


def _fail(message: str, code: int, as_json: bool) -> int:
    line = " ".join(message.split())
    print(
        json.dumps({"error": line, "exit_code": code}) if as_json else f"countenance: {line}", file=sys.stderr
    )
    return code
