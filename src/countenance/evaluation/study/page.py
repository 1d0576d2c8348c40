"""The page: one HTML file that needs no network and knows no names."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from countenance.errors import BadValue
from countenance.evaluation.study.key import Key

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Words:
    """What the page says beside its own text.

    Attributes:
        minutes: how long it will take.
        sound: clips have sound.
        contact: who answers questions and gets the answers; may be empty.
        notice: text on the first page, its lines kept; may be empty.
    """

    minutes: int
    sound: bool
    contact: str = ""
    notice: str = ""


def as_text(clips: Mapping[str, bytes]) -> dict[str, str]:
    """Clips as the page holds them: base64."""
    return {name: base64.b64encode(content).decode() for name, content in clips.items()}


def check_size(characters: int, most_mb: float) -> None:
    """A page that is too large opens slowly, or on phones not at all.

    Raises:
        BadValue: more than ``most_mb`` million characters.
    """
    if characters > most_mb * 1e6:
        raise BadValue(
            f"the page grows over {most_mb:g} MB; give fewer --items, a smaller --side or --seconds, or raise --most-mb"
        )


def page_text(key: Key, clips: Mapping[str, str], words: Words) -> str:
    """The whole page.

    Clips, items and the two clips of an item stand in the order of their ids, which tells nothing.

    Args:
        key: of the study; case and system names stay out.
        clips: id -> base64 of an MP4.
        words: see there.
    """
    study = {
        "id": key.study,
        "kind": key.kind,
        "mixed": key.has_real,
        "questions": [{"id": name, "text": text} for name, text in key.questions.items()],
        "items": [{"id": name, "clips": sorted(key.items[name])} for name in sorted(key.items)],
        "minutes": words.minutes,
        "sound": words.sound,
        "contact": words.contact,
        "notice": words.notice,
    }
    style = _part("page.css")
    script = _part("player.js") + _part("page.js")
    policy = (
        f"default-src 'none'; media-src blob:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    blocks = [
        f'<script type="text/plain" id="{name}">{clips[name]}</script>'
        for name in sorted(clips)  # a data block: the browser does not run it
    ]
    parts = {
        "policy": policy,
        "title": html.escape(key.title),
        "style": style,
        "study": json.dumps(study, ensure_ascii=False).replace("<", "\\u003c"),  # no text can end the script
        "script": script,
        "clips": "\n".join(blocks),
    }
    page = _part("page.html")
    for name, text in parts.items():
        page = page.replace(f"<!-- {name} -->", text)
    return page


def _part(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
