"""Whole expressions by name, as values of ``arkit`` coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from countenance.errors import UnknownName


def _both_sides(**values: float) -> dict[str, float]:
    return {name + side: value for name, value in values.items() for side in ("Left", "Right")}


EXPRESSIONS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "smile": _both_sides(mouthSmile=0.7, cheekSquint=0.4, eyeSquint=0.25, mouthDimple=0.15),
        "grin": {
            **_both_sides(
                mouthSmile=0.85, cheekSquint=0.5, eyeSquint=0.3, mouthUpperUp=0.4, mouthLowerDown=0.3
            ),
            "jawOpen": 0.12,
        },
        "surprise": {**_both_sides(eyeWide=0.7, browOuterUp=0.8), "browInnerUp": 0.8, "jawOpen": 0.45},
        "frown": {**_both_sides(mouthFrown=0.7, browDown=0.3), "browInnerUp": 0.5, "mouthShrugLower": 0.4},
        "anger": _both_sides(browDown=0.9, eyeSquint=0.4, noseSneer=0.4, mouthPress=0.5),
        "disgust": _both_sides(noseSneer=0.8, mouthUpperUp=0.5, browDown=0.4, eyeSquint=0.3, mouthFrown=0.3),
        "kiss": {"mouthPucker": 0.9, "mouthFunnel": 0.2},
        "wink": {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.5, "mouthSmileLeft": 0.35, "eyeSquintLeft": 0.3},
        "closed-eyes": _both_sides(eyeBlink=1.0),
    }
)
"""Expression -> coefficient -> weight. Composed by hand after what the coefficients' names say."""


def expression(name: str) -> Mapping[str, float]:
    """The coefficients of a named expression, for ``Motion.set`` or a keyframe.

    Raises:
        UnknownName: with the nearest names of :data:`EXPRESSIONS`.
    """
    try:
        return EXPRESSIONS[name]
    except KeyError:
        raise UnknownName("expression", name, EXPRESSIONS) from None
