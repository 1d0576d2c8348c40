"""Parsing of ``name=value`` and ``name=start:stop``, with angles in degrees for people; lengths of films."""

from __future__ import annotations

import math
from collections.abc import Sequence

from countenance.editing import slider
from countenance.errors import BadValue
from countenance.motion.expressions import expression
from countenance.motion.spaces import MotionSpace
from countenance.renderers.spec import RendererSpec


def parse_settings(settings: Sequence[str], spec: RendererSpec) -> dict[str, float]:
    """``yaw=15`` -> value in the unit of the model's space; ``expression=smile`` sets a whole expression.

    Raises:
        BadValue: no number, or none that the coefficient can take; or a shape, and the model can't change shapes.
        UnknownName: no such coefficient, shape slider or expression, with the nearest.
    """
    changes: dict[str, float] = {}
    for setting in settings:
        name, text = _split(setting)
        if name == "expression":
            changes.update(expression(text))
        else:
            changes[name] = _value(spec, name, text)
    return changes


def parse_offsets(settings: Sequence[str], space: MotionSpace) -> dict[str, float]:
    """``browInnerUp=0.3`` -> what is added to a coefficient, in the unit of the space; negative takes away.

    Raises:
        BadValue: no number, or more than the coefficient's whole range.
        UnknownName: no such coefficient, with the nearest.
    """
    offsets: dict[str, float] = {}
    for setting in settings:
        name, text = _split(setting)
        known = space.coefficients[space.index(name)]
        whole = known.maximum - known.minimum
        offsets[name] = _number(text, name, known.unit, -whole, whole)
    return offsets


def parse_sweep(setting: str, spec: RendererSpec) -> tuple[str, float, float]:
    """``yaw=-30:30`` -> name, start, stop in the unit of the model's space.

    Raises:
        BadValue: not of that form; or as in :func:`parse_settings`.
        UnknownName: no such coefficient or shape slider.
    """
    name, text = _split(setting)
    if text.count(":") != 1:
        raise BadValue(f"'{setting}' is no sweep; write it as name=start:stop, such as yaw=-30:30")
    start, stop = text.split(":")
    return name, _value(spec, name, start), _value(spec, name, stop)


def frame_count(seconds: float, fps: float) -> int:
    """How many frames a film has.

    Raises:
        BadValue: fewer than two, or no numbers.
    """
    if not (math.isfinite(seconds) and math.isfinite(fps) and seconds > 0 and fps > 0):
        raise BadValue(f"{seconds} s at {fps} frames/s make no film; give positive numbers")
    count = round(seconds * fps)
    if count < 2:
        raise BadValue(f"{seconds} s at {fps} frames/s are {count} frames; give at least 2")
    return count


def _split(setting: str) -> tuple[str, str]:
    name, equals, text = setting.partition("=")
    if not equals or not name or not text:
        raise BadValue(
            f"'{setting}' is no setting; write it as name=value, such as mouthSmileLeft=0.7 or yaw=15"
        )
    return name.strip(), text.strip()


def _value(spec: RendererSpec, name: str, text: str) -> float:
    known = slider(spec, name)
    return _number(text, name, known.unit, known.minimum, known.maximum)


def _number(text: str, name: str, unit: str, minimum: float, maximum: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise BadValue(f"'{text}' is no number for {name}; write for example {name}=0.5") from None
    in_degrees = unit == "rad"
    value = math.radians(number) if in_degrees else number
    if not minimum <= value <= maximum:
        low, high = (math.degrees(v) if in_degrees else v for v in (minimum, maximum))
        degrees = " degrees" if in_degrees else ""
        raise BadValue(f"{name}={text} is outside its range; give {low:g} to {high:g}{degrees}")
    return value
