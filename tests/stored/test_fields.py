"""Plain values become dataclasses only where every field is of its type and in its range."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

import pytest

from countenance.errors import BadValue
from countenance.ranges import Range
from countenance.stored.fields import NEWER, record


@dataclass(frozen=True)
class Inner:
    width: int


@dataclass(frozen=True)
class Sizes:
    layers: Annotated[int, Range(1, 64)]
    rate: float
    kind: Literal["a", "b"]
    named: bool
    name: str
    inner: Inner
    scales: tuple[int, ...]
    pair: tuple[float, float]
    clamp: float | None
    table: dict[str, int]
    later: int = field(default=3, metadata=NEWER)


GOOD = {
    "layers": 4,
    "rate": 1,
    "kind": "a",
    "named": False,
    "name": "x",
    "inner": {"width": 8},
    "scales": [1, 2],
    "pair": [0.5, 2],
    "clamp": None,
    "table": {"a": 1},
}


def test_what_is_right_comes_back() -> None:
    made = record(Sizes, GOOD)
    assert made == Sizes(4, 1, "a", False, "x", Inner(8), (1, 2), (0.5, 2), None, {"a": 1}, 3)
    assert record(Sizes, asdict(made)) == made
    assert record(Sizes, {**GOOD, "later": 5, "clamp": 2.5}).later == 5


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("layers", True, "its layers is True; a whole number, 1 to 64, belongs there"),
        ("layers", "4", "its layers is '4'"),
        ("layers", 4.0, "its layers is 4.0"),
        ("layers", 10**9, "its layers is 1000000000"),
        ("layers", 0, "its layers is 0"),
        ("layers", None, "its layers is None"),
        ("rate", float("nan"), "its rate is nan"),
        ("rate", True, "its rate is True"),
        ("kind", "c", "'a' or 'b' belongs there"),
        ("named", 0, "true or false belongs there"),
        ("name", 7, "a text belongs there"),
        ("inner", {"width": "8"}, "its inner.width is '8'"),
        ("inner", {"width": 8, "height": 8}, "its inner does not fit: height"),
        ("inner", [8], "its inner is no table"),
        ("scales", [1, "2"], r"its scales\[1\] is '2'"),
        ("scales", 3, "a list belongs there"),
        ("pair", [1.0], "a list belongs there"),
        ("clamp", "none", "or nothing belongs there"),
        ("table", {"a": 1.5}, r"its table\.a is 1.5"),
        ("odd", 1, "its content does not fit: odd"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: object, says: str) -> None:
    with pytest.raises(BadValue, match=says):
        record(Sizes, {**GOOD, name: value})


def test_what_is_missing_is_named() -> None:
    with pytest.raises(BadValue, match="its content does not fit: rate"):
        record(Sizes, {name: value for name, value in GOOD.items() if name != "rate"})
    with pytest.raises(BadValue, match="no table"):
        record(Sizes, [1, 2])
