"""JSON that somebody gives: a cap on its size, no NaN, no infinite numbers, no name twice, no endless nesting."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Final

from countenance.stored.content import MOST_TEXT, Malformed, read_text

_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")  # as most characters beyond 16 bits are written: two halves


def read_json(path: Path, most: int = MOST_TEXT) -> Any:
    """What a file of JSON holds.

    Raises:
        OSError: it can't be read.
        Malformed: no JSON, larger than ``most`` bytes, or as :func:`parsed_json`.
    """
    return parsed_json(read_text(path, most))


def parsed_json(text: str) -> Any:
    """What a text of JSON holds.

    Raises:
        Malformed: no JSON; or with NaN, infinite numbers, a name twice in a table, or nested without end.
    """
    try:
        found = json.loads(
            text, object_pairs_hook=_table, parse_constant=_no_number, parse_float=_finite, parse_int=_whole
        )
        if _HALF.search(text):
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except UnicodeEncodeError as error:
        raise Malformed("its JSON holds half a character") from error
    except RecursionError as error:
        raise Malformed("its JSON is nested too deeply") from error
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"it is no JSON ({error})") from error


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise Malformed("its JSON names something twice")
    return table


def _no_number(word: str) -> float:
    raise Malformed(f"its JSON holds {word}, which is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Malformed(f"its JSON holds {digits[:20]}, which is larger than any number here")
    return number


def _whole(digits: str) -> int:
    if len(digits) > 30:
        raise Malformed(f"its JSON holds a number of {len(digits)} digits")
    return int(digits)
