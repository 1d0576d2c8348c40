"""Where networks compute: "auto", "cpu", "cuda" or "mps", and what this machine has of these."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, TypeAlias

from countenance.errors import BadValue

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
"""What a person asks for; "auto" is the fastest that is there."""


def devices_here() -> tuple[str, ...]:
    """Names of the devices of this machine that PyTorch can use, the fastest first; "cpu" is always the last."""
    if find_spec("torch") is None:
        return ("cpu",)
    import torch

    found = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def device_named(asked: str) -> str:
    """The device to compute on, as PyTorch names it.

    Args:
        asked: a :data:`Device`; "cuda:1" and the like are passed on, too.

    Raises:
        BadValue: no such device, or none on this machine.
    """
    here = devices_here()
    if asked == "auto":
        return here[0]
    kind = asked.partition(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise BadValue(f"'{asked}' is no device; give auto, cpu, cuda or mps")
    if kind not in here:
        raise BadValue(f"there is no '{kind}' on this machine; use --device {' or '.join(here)}")
    return asked
