"""What numbers may be: one check for all that come in, from the command line, files and Python.

A :class:`Range` stands in the annotation of a field (``fps: Annotated[float, FRAME_RATE] = 25``), where
:func:`check_fields` finds it, or is asked directly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, get_type_hints

from countenance.errors import BadValue


@dataclass(frozen=True)
class Range:
    """An interval of finite numbers, both ends included.

    Attributes:
        minimum: the least.
        maximum: the greatest.
        unit: named in errors, such as "frames a second"; empty where there is none.
        whole: only whole numbers, which must be of a type of whole numbers.
    """

    minimum: float
    maximum: float
    unit: str = ""
    whole: bool = False

    def holds(self, number: object) -> bool:
        """Whether ``number`` is a real number (no bool) of this interval."""
        if isinstance(number, bool) or not hasattr(number, "__float__"):
            return False
        if self.whole and not isinstance(number, Integral):
            return False
        try:
            value = float(number)
        except (TypeError, ValueError, OverflowError):
            return False
        return math.isfinite(value) and self.minimum <= value <= self.maximum

    def check(self, number: object, name: str) -> None:
        """Refuse a number outside the interval.

        Args:
            number: anything.
            name: what it is, as the person who gave it knows it: ``--fps``, or "its frame rate".

        Raises:
            BadValue: it is no finite number, or outside.
        """
        if not self.holds(number):
            given = f"{number:g}" if isinstance(number, float) else repr(number)[:40]
            kind = "a whole number, " if self.whole and not isinstance(number, Integral) else ""
            raise BadValue(f"{name} is {given}; give {kind}{self}")

    def __str__(self) -> str:
        """As errors name it: ``1 to 240 frames a second``."""
        ends = f"{_plain(self.minimum)} to {_plain(self.maximum)}"
        return f"{ends} {self.unit}" if self.unit else ends


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"


FRAME_RATE = Range(0.1, 480, "frames a second")
"""Of motion and films. The slowest slide shows and the fastest phones are inside; a browser's 1000 is not."""
DURATION_S = Range(0.04, 86_400, "seconds")
STRENGTH = Range(0, 5)
"""Of head motion, expression, articulation ...: 0 nothing, 1 as it is, above 1 exaggerated."""
TEMPERATURES = Range(0, 2)
"""Of a speech model's performance: 0 calm, 1 as lively as the people it was learnt from."""
ARTICULATIONS = Range(0, 4)
"""Of a speech model's lips: 1 as it says."""
PICTURE_SIDE_PX = Range(16, 12_000, "pixels", whole=True)
TRAINING_SIDE_PX = Range(32, 2048, "pixels", whole=True)
FACE_NUMBER = Range(1, 1000, whole=True)
SHARE = Range(0, 1)
COUNT = Range(1, 1_000_000, whole=True)
WORKERS = Range(1, 1024, "processes", whole=True)
SEED = Range(0, 2**32 - 1, whole=True)

LAYERS = Range(0, 64, "layers")
"""Of one kind in a network; what is repeated is bounded more narrowly than what is wide."""
KERNEL = Range(1, 31, "pixels")
PATCH = Range(1, 16)
HEADS = Range(1, 256)
CODES = Range(1, 64)
WINDOW = Range(0, 501, "frames")
PERIOD = Range(1, 10_000, "frames")
SAMPLES = Range(0, 1024)
"""Of a ray."""
NETWORK_SIDE_PX = Range(4, 4096, "pixels")
FRAME_NUMBER = Range(0, 10_000_000)
CROP_SCALE = Range(0.25, 8)
"""Of a renderer's crop, relative to the standard one."""


def check_fields(given: Any) -> None:
    """Check every field of a dataclass whose annotation names a :class:`Range`; None passes, lists item by item.

    Raises:
        BadValue: with the field's name as the command line writes it.
    """
    hints = get_type_hints(type(given), include_extras=True)
    for field in fields(given):
        for allowed in getattr(hints[field.name], "__metadata__", ()):
            if isinstance(allowed, Range):
                value = getattr(given, field.name)
                for one in value if isinstance(value, list | tuple) else [value]:
                    if one is not None:
                        allowed.check(one, f"--{field.name.replace('_', '-')}")
