"""Parses the command line, runs a verb, and turns errors into one line and an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TextIO

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
from countenance.cli.signals import Signals
from countenance.cli.study import Study
from countenance.cli.talk import Talk
from countenance.cli.track import Track
from countenance.cli.train import Train
from countenance.cli.turntable import Turntable
from countenance.cli.usage import parsed
from countenance.errors import CountenanceError, DependencyMissing, Note
from countenance.ranges import check_fields

DESCRIPTION = """Make a portrait move: one photo (or video) of a person, driven by a video, a motion file or sliders.

examples:
  countenance animate me.jpg driver.mp4 -o out.mp4
  countenance talk me.jpg speech.wav -o out.mp4
  countenance edit me.jpg -o smile.png --set mouthSmileLeft=0.7 --set mouthSmileRight=0.7 --set yaw=15
  countenance edit me.jpg -o turn.mp4 --sweep yaw=-30:30
  countenance turntable me.jpg -o around.mp4
  countenance track talk.mp4 -o talk.csv
  countenance --version

Animate only yourself, or people who agreed. Every output is marked as synthetic.
Exit codes: 0 done, 2 bad input (one line says what and how to mend it), 70 a fault of Countenance itself,
130 interrupted."""

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
FAULT = 70  # EX_SOFTWARE of sysexits.h
_EXTRAS = {
    "torch": "torch",
    "openvino": "torch",
    "lightning_fabric": "train",
    "tensorboard": "train",
    "transformers": "wav2vec",
    "skimage": "evaluation",
    "dlib": "evaluation",
    "face_recognition_models": "evaluation",
    "jinja2": "evaluation",
    "matplotlib": "evaluation",
    "ray": "cluster",
}
"""Packages that a verb may need and an installation may lack -> the extra that brings them."""
_NO_LIBRARY = "cannot open shared object file"  # servers and containers lack what OpenCV and MediaPipe expect
SWITCH = "COUNTENANCE_TRACEBACK"
"""Set, this environment variable shows where a fault of ours happened."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``countenance`` and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with Signals() as signals:
        try:
            code = _answered(given, signals)
            if sys.stdout is not None:  # somebody may have closed it
                sys.stdout.flush()
        except KeyboardInterrupt:
            code = _fail("interrupted; nothing was written", 130, "--json" in given)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 0  # whoever reads the text has had enough, as `head` has; the work is done
            if not isinstance(error, BrokenPipeError):
                reason = (error.strerror or str(error)).lower()
                code = _fail(f"the result can't be printed: {reason}; free some space", 2, "--json" in given)
    sys.exit(code)


def _answered(arguments: list[str], signals: Signals) -> int:
    if arguments[:1] in (["--version"], ["-V"]):
        import countenance

        print(f"countenance {countenance.__version__}")
        return 0
    try:
        verb = parsed(VERBS, arguments, DESCRIPTION)
    except CountenanceError as error:
        return _fail(str(error), error.exit_code, "--json" in arguments)
    return run(verb, signals)


def run(verb: Any, signals: Signals | None = None) -> int:
    """Run a parsed verb; returns the exit code.

    Args:
        verb: a dataclass with ``run() -> dict`` and ``json: bool``.
        signals: what was caught meanwhile.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", Note)
            warnings.showwarning = _note
            check_fields(verb)
            summary = verb.run()
    except CountenanceError as error:
        return _fail(str(error), error.exit_code, verb.json)
    except KeyboardInterrupt:
        return _interrupted(verb)
    except MemoryError:
        fix = "use smaller pictures, a shorter film or fewer --workers"
        return _fail(f"the memory of this machine is not enough; {fix}", 2, verb.json)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            return _fail(_fault(error), FAULT, verb.json)
        missing = DependencyMissing(package, _EXTRAS[package], f"`countenance {_name(verb)}`")
        return _fail(str(missing), missing.exit_code, verb.json)
    except Exception as error:  # noqa: BLE001 (a person must get a line, whatever happened)
        if (
            signals is not None and signals.interrupted
        ):  # modules that were loading turn Ctrl-C into errors of their own
            return _interrupted(verb)
        if _NO_LIBRARY in str(error):
            library = str(error).partition(":")[0]
            fix = "on Debian or Ubuntu: apt-get install libgl1 libegl1 libgles2 libglib2.0-0"
            return _fail(f"a library of the system is missing, {library}; install it, {fix}", 2, verb.json)
        return _fail(_fault(error), FAULT, verb.json)
    if verb.json:
        print(json.dumps(summary))
    elif "text" in summary:
        print(summary["text"])
    return 0


def _name(verb: Any) -> str:
    return next((name for name, kind in VERBS.items() if isinstance(verb, kind)), "")  # type: ignore[arg-type]


def _interrupted(verb: Any) -> int:
    return _fail(getattr(verb, "interrupted", "interrupted; nothing was written"), 130, verb.json)


def _fault(error: Exception) -> str:
    if os.environ.get(SWITCH):
        traceback.print_exception(error)
    return (
        f"a fault of Countenance itself, {type(error).__name__}: {error}; please report it with what "
        f"`{SWITCH}=1 countenance ...` prints"
    )


def _note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Warnings as one line, without the place in the source that Python prints."""
    if issubclass(category, Note):
        print(f"countenance: note: {' '.join(str(message).split())}", file=sys.stderr)


def _fail(message: str, code: int, as_json: bool) -> int:
    line = " ".join(message.split())
    print(
        json.dumps({"error": line, "exit_code": code}) if as_json else f"countenance: {line}", file=sys.stderr
    )
    return code
