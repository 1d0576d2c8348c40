"""One check for all numbers that come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import pytest

from countenance.errors import BadValue
from countenance.ranges import COUNT, FRAME_RATE, Range, check_fields


@pytest.mark.parametrize("number", [0.1, 25, 480.0, np.float32(30), np.int64(60)])
def test_numbers_inside_pass(number: object) -> None:
    FRAME_RATE.check(number, "--fps")


@pytest.mark.parametrize(
    "number", [-1, 0, 1e-5, 481, float("nan"), float("inf"), "25", None, True, 10**400, np.zeros(2), 1 + 0j]
)
def test_numbers_outside_are_refused_in_one_line_that_names_the_range(number: object) -> None:
    with pytest.raises(BadValue, match=r"--fps is .*; give 0\.1 to 480 frames a second") as refused:
        FRAME_RATE.check(number, "--fps")
    assert "\n" not in str(refused.value)


def test_whole_numbers_are_of_a_whole_type() -> None:
    for number in (1, np.int64(3)):
        COUNT.check(number, "--count")
    for number in (1.0, 1.5, np.float32(2), "1"):
        with pytest.raises(BadValue, match="a whole number, 1 to 1000000"):
            COUNT.check(number, "--count")


@dataclass(frozen=True)
class Verb:
    size: Annotated[int | None, Range(1, 10, "pixels")] = None
    many: Annotated[list[float], Range(0, 1)] = field(default_factory=list)
    name: str = ""


def test_fields_are_checked_by_their_annotations() -> None:
    check_fields(Verb())
    check_fields(Verb(10, [0.0, 1.0]))
    with pytest.raises(BadValue, match="--size is 11; give 1 to 10 pixels"):
        check_fields(Verb(11))
    with pytest.raises(BadValue, match="--many is 2; give 0 to 1"):
        check_fields(Verb(1, [0.5, 2.0]))
