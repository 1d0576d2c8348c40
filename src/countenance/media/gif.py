"""What GIF can hold: how fast it is, and the one place for text, its comment extension (GIF89a, section 24)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FASTEST_FPS = 50
"""A frame is shown for whole hundredths of a second, and what is shown for one alone, browsers show for ten."""

_BLOCK = 255
_TRAILER = b"\x3b"
_TAIL = 2**16  # bytes at a file's end, in which the comment is looked for


def add_gif_comment(path: Path, texts: Mapping[str, str]) -> None:
    """Append texts to a finished GIF, as lines ``key: text``; FFmpeg's writer has no metadata for GIF.

    Args:
        path: a GIF; its last byte is the trailer, before which the comment goes.
        texts: key -> text.
    """
    payload = "\n".join(f"{key}: {text}" for key, text in texts.items()).encode("ascii", "replace")
    blocks = [payload[i : i + _BLOCK] for i in range(0, len(payload), _BLOCK)]
    comment = b"\x21\xfe" + b"".join(bytes([len(b)]) + b for b in blocks) + b"\x00"
    with path.open("r+b") as file:
        file.seek(-1, 2)
        if file.read(1) == _TRAILER:
            file.seek(-1, 2)
            file.write(comment + _TRAILER)


def read_gif_comment(path: Path) -> dict[str, str]:
    """What :func:`add_gif_comment` wrote; empty if there is none."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _TAIL))
        raw = file.read()
    start = raw.rfind(b"\x21\xfe")
    texts: dict[str, str] = {}
    if start < 0:
        return texts
    at, payload = start + 2, b""
    while at < len(raw) and raw[at]:
        payload += raw[at + 1 : at + 1 + raw[at]]
        at += 1 + raw[at]
    for line in payload.decode("ascii", "replace").splitlines():
        key, separator, text = line.partition(": ")
        if separator:
            texts[key] = text
    return texts
