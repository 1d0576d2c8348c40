"""The command line becomes a verb; what can't be understood is told in one line, as every other error is."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from typing import Any

import tyro

from countenance.errors import BadValue

_FRAME = re.compile(r"^[│╭╰]|[│╮╯]\s*$")
_RULE = re.compile(r"─{8,}")
_HELP_INDENT = 6  # tyro explains an option so far to the right, or farther


def parsed(verbs: Mapping[str, Callable[..., Any]], arguments: Sequence[str], description: str) -> Any:
    """The verb that a person asks for.

    Args:
        verbs: name -> dataclass.
        arguments: as given.
        description: of the whole command, for ``--help``.

    Raises:
        BadValue: what can't be understood, and where help is.
        SystemExit: with 0, after help was printed.
    """
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            return tyro.extras.subcommand_cli_from_dict(
                dict(verbs),
                prog="countenance",
                description=description,
                args=list(arguments),
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        verb = arguments[0] if arguments and arguments[0] in verbs else ""
        dash = next((a for a in arguments if re.fullmatch(r"-[^-].*\.\w+", a)), None)
        hint = f"a name that begins with '-' is written ./{dash}; " if dash else ""
        raise BadValue(
            f"{_gist(told.getvalue())}; {hint}see: countenance {verb} --help".replace("  ", " ")
        ) from None


def _gist(box: str) -> str:
    """What a box of tyro's says, without its frame, the explanations of options and the way to help."""
    said: list[str] = []
    for line in box.splitlines()[1:]:
        text = _FRAME.sub("", line)
        if _RULE.search(text) or (said and not text.strip()):
            break
        if len(text) - len(text.lstrip()) < _HELP_INDENT:
            said.append(text.strip())
    return " ".join(filter(None, said)).rstrip(".") or "this can't be understood"
