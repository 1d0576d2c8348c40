"""The mark that every output carries: its container says that it is synthetic, and what made it.

Signed credentials (C2PA) and a watermark in the pixels will join it here; all writers get their marks from
:func:`marks`, so nothing else needs to change then.
"""

from __future__ import annotations

from importlib.metadata import version

IPTC_SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"
"""IPTC's term for pictures that mix captured and synthetic elements."""


def marks(model: str) -> dict[str, str]:
    """Metadata for an output's container.

    Args:
        model: name of the renderer that made it.

    Returns:
        key -> text, with keys that MP4, MKV, WebM, PNG, JPEG and GIF writers can hold.
    """
    tool = f"Countenance {version('countenance')}"
    return {
        "comment": f"Synthetic media: this person's face was animated by software. Made with {tool}, model {model}.",
        "software": tool,
        "digital_source_type": IPTC_SYNTHETIC,
        "synthetic": "true",
        "model": model,
    }


def blind_marks(mixed: bool) -> dict[str, str]:
    """The mark of clips in a blind study: it names no model, as that would tell whose clip it is.

    Args:
        mixed: recordings are among the clips. Then all carry the same mark, which says so: a mark on the generated
            ones alone would tell them apart.
    """
    texts = marks("withheld (blind study)")
    if mixed:
        texts["comment"] = (
            "Clip of a blind study that mixes synthetic media and recordings; take it for synthetic unless the "
            f"study's key says otherwise. Made with {texts['software']}."
        )
    return texts
