"""Parsing of ``name=value`` and ``name=start:stop``, with angles in degrees for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from countenance.errors import BadValue
from countenance.motion.expressions import expression
from countenance.motion.spaces import MotionSpace


def parse_settings(settings: Sequence[str], space: MotionSpace) -> dict[str, float]:
    """``yaw=15`` -> value in the unit of the space; ``expression=smile`` sets a whole expression.

    Raises:
        BadValue: no number, or none that the coefficient can take.
        UnknownName: no such coefficient or expression, with the nearest.
    """
    changes: dict[str, float] = {}
    for setting in settings:
        name, text = _split(setting)
        if name == "expression":
            changes.update(expression(text))
        else:
            changes[name] = _value(space, name, text)
    return changes


def parse_sweep(setting: str, space: MotionSpace) -> tuple[str, float, float]:
    """``yaw=-30:30`` -> name, start, stop in the unit of the space.

    Raises:
        BadValue: not of that form.
        UnknownName: no such coefficient.
    """
    name, text = _split(setting)
    if text.count(":") != 1:
        raise BadValue(f"'{setting}' is no sweep; write it as name=start:stop, such as yaw=-30:30")
    start, stop = text.split(":")
    return name, _value(space, name, start), _value(space, name, stop)


def _split(setting: str) -> tuple[str, str]:
    name, equals, text = setting.partition("=")
    if not equals or not name or not text:
        raise BadValue(
            f"'{setting}' is no setting; write it as name=value, such as mouthSmileLeft=0.7 or yaw=15"
        )
    return name.strip(), text.strip()


def _value(space: MotionSpace, name: str, text: str) -> float:
    coefficient = space.coefficients[space.index(name)]
    try:
        number = float(text)
    except ValueError:
        raise BadValue(f"'{text}' is no number for {name}; write for example {name}=0.5") from None
    in_degrees = coefficient.unit == "rad"
    value = math.radians(number) if in_degrees else number
    if not coefficient.minimum <= value <= coefficient.maximum:
        low, high = (math.degrees(v) if in_degrees else v for v in (coefficient.minimum, coefficient.maximum))
        unit = " degrees" if in_degrees else ""
        raise BadValue(f"{name}={text} is outside its range; give {low:g} to {high:g}{unit}")
    return value
