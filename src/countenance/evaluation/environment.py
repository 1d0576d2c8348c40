"""On what a report was made."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "countenance",
    "numpy",
    "opencv-contrib-python",
    "mediapipe",
    "torch",
    "openvino",
    "scikit-image",
    "dlib-bin",
)


def environment() -> dict[str, str]:
    """Python, packages, system and processor, as texts."""
    found = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    found["processors"] = str(os.cpu_count())
    if name := _processor():
        found["processor"] = name
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        return next(names, "")
    except OSError:
        return platform.processor()
