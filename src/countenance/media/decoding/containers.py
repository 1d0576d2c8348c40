"""Opening films and sound through FFmpeg: files only, no protocols, no lists of other files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

import av

from countenance.errors import MediaUnreadable
from countenance.media.decoding.input_files import DECODER_ERRORS, check_input_file
from countenance.media.decoding.picture_files import is_jpeg_stream, still_brands

STREAM_ERRORS: tuple[type[Exception], ...] = (av.FFmpegError, *DECODER_ERRORS)
"""What demuxing, decoding and converting may raise."""

LARGEST_FRAME_SIDE_PX: Final = 16_384
LARGEST_FRAME_AREA_PX: Final = 8192 * 8192
_MOST_STREAMS: Final = 100

# They open what a file names (playlists, scripts, indices), are devices, or make films of pictures and text.
_REFUSED: Final = {
    "alias_pix", "applehttp", "avs", "avisynth", "bin", "adf", "idf", "xbin", "brender_pix", "concat", "dash",
    "ffmetadata", "gif", "apng", "hls", "hls,applehttp", "image2", "image2pipe", "imf", "lavfi", "mpjpeg", "rtp",
    "rtsp", "sap", "sdp", "tty", "vapoursynth", "vobsub", "webm_dash_manifest",
}  # fmt: skip
_LISTS: Final = (b"#EXTM3U", b"ffconcat", b"v=0", b"<?xml", b"<MPD", b"<SmoothStreamingMedia", b"[playlist]")


def open_container(path: Path, expected: str = "film or sound") -> Any:
    """Open a film or sound file for reading; close it after use.

    Args:
        path: the file.
        expected: what it should hold, for errors.

    Raises:
        MediaUnreadable: no file, no film or sound, or a list of other files.
    """
    check_input_file(path)
    if still_brands(path):  # FFmpeg would decode each tile of a HEIC as a film of its own
        raise MediaUnreadable(path, f"it is no {expected}, but a picture")
    limits = {
        "protocol_whitelist": "file",
        "format_whitelist": _formats(),
        "max_streams": str(_MOST_STREAMS),
    }
    try:
        return av.open(
            f"file:{path.absolute()}",
            format="mjpeg" if is_jpeg_stream(path) else None,
            container_options=limits,
            metadata_errors="replace",
        )
    except STREAM_ERRORS as error:
        if _is_list(path):
            fix = "give the film or sound itself"
            raise MediaUnreadable(path, "it is a list of other files, which is never followed", fix) from None
        raise MediaUnreadable(path, f"it is no {expected}") from error


def pictures_stream(container: Any) -> Any | None:
    """The stream of a film's pictures: the first that can be decoded and is no cover of a sound file."""
    return next(
        (s for s in container.streams.video if s.codec_context is not None and not _is_cover(s)), None
    )


def pictures_start_s(container: Any) -> float | None:
    """When a film's pictures begin, by its own clock; None for sound."""
    stream = pictures_stream(container)
    return None if stream is None else float((stream.start_time or 0) * stream.time_base)


def _is_cover(stream: Any) -> bool:
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    return bool(getattr(stream, "disposition", 0) & covers)


@cache
def _formats() -> str:
    allowed = (name for name in av.formats_available if name not in _REFUSED and not name.endswith("_pipe"))
    return ",".join(sorted(allowed))


def _is_list(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_LISTS)
    except OSError:
        return False
