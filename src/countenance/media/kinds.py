"""What a file holds: the one rule by which all verbs tell stills, films, sound and motion apart."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final, Literal, TypeAlias

from countenance.errors import MediaUnreadable
from countenance.media.decoding.input_files import DECODER_ERRORS, check_input_file, is_folder
from countenance.media.decoding.picture_files import moves, open_picture
from countenance.motion.live_link import names_columns

Kind: TypeAlias = Literal["image", "video", "audio", "motion"]

MOTION_SUFFIXES: Final = (".npz", ".csv")
VIDEO_SUFFIXES: Final = (
    ".mp4",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".wmv",
    ".flv",
    ".gif",
)
"""What counts as a video when a folder is searched; a file that is named is opened whatever its suffix."""

_HEAD: Final = 16_384  # bytes; a header of Live Link's columns is 1 KB


def kind_of(path: Path) -> Kind:
    """Tell pictures, films, sound and motion files apart, by what they hold.

    - "image": a picture, also one with several pages, with a camera's second picture, or a GIF, PNG, WebP or AVIF
      of one frame. :func:`countenance.media.images.read_image` reads it.
    - "video": a film, a GIF, PNG, WebP or AVIF of several frames, or a folder (a film of its pictures).
      :class:`countenance.media.video.VideoReader` reads it.
    - "audio": sound, with a cover picture or without.
    - "motion": a motion file, or a file called ``.npz`` or ``.csv`` that is nothing else;
      :func:`countenance.motion.files.load_motion` says what is wrong with it.

    Raises:
        MediaUnreadable: missing, empty, or none of these.
        DependencyMissing: HEIC without the extra that reads it.
    """
    if is_folder(path):
        return "video"
    check_input_file(path)
    if _is_motion(path):
        return "motion"
    if (picture := open_picture(path)) is not None:
        with picture:
            return "video" if moves(picture) else "image"
    try:
        return _stream_kind(path)
    except MediaUnreadable:
        if path.suffix.lower() in MOTION_SUFFIXES:
            return "motion"
        raise


def _is_motion(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if head[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                return {"format.npy", "values.npy"} <= set(archive.namelist())
        return names_columns(head)
    except DECODER_ERRORS:
        return False


def _stream_kind(path: Path) -> Kind:
    from countenance.media.decoding.containers import open_container, pictures_stream

    with open_container(path, "picture, film or sound") as container:
        if pictures_stream(container) is not None:
            return "video"
        if container.streams.audio:
            return "audio"
    raise MediaUnreadable(path, "it is no picture, film or sound that can be read")
