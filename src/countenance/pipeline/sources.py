"""The person to be moved: photos read and measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from countenance.arrays import Image
from countenance.errors import (
    BadValue,
    FaceNotThere,
    MediaUnreadable,
    NoFaceFound,
    expect_type,
)
from countenance.media.alpha import over_white
from countenance.media.images import read_image_with_alpha
from countenance.media.kinds import kind_of
from countenance.portrait.portrait import Portrait
from countenance.ranges import CROP_SCALE, FACE_NUMBER
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.portraits import portrait_of_face
from countenance.trackers.tracker import Tracker


def load_portrait(
    source: Path | str | Image, *, face: int = 1, crop_scale: float = 1.0, tracker: Tracker | None = None
) -> Portrait:
    """Read a photo and find the person in it.

    Args:
        source: the path of a still picture of any format that Pillow reads; or its pixels, H x W x 3 uint8 RGB, or
            H x W x 4 with an alpha channel.
        face: 1 for the largest, 2 for the next ...
        crop_scale: size of the crop; take ``renderer.spec.crop_scale``.
        tracker: measures the face; MediaPipe by default.

    Raises:
        MediaUnreadable: no still picture.
        NoFaceFound: nobody in it.
        FaceNotThere: fewer faces than ``face``.
        BadValue: an array of another shape or type.
    """
    FACE_NUMBER.check(face, "the face's number")
    return load_portraits(source, (face,), crop_scale=crop_scale, tracker=tracker)[0]


def load_portraits(
    source: Path | str | Image,
    faces: Iterable[int] | None = None,
    *,
    crop_scale: float = 1.0,
    tracker: Tracker | None = None,
) -> list[Portrait]:
    """Read a photo and find several people in it, or all of them.

    Args:
        source: as in :func:`load_portrait`.
        faces: numbers of faces, 1 for the largest; all if None.
        crop_scale: as in :func:`load_portrait`.
        tracker: as in :func:`load_portrait`.

    Returns:
        One portrait a face, in the order of ``faces``, all of the same picture.

    Raises:
        CountenanceError: as :func:`load_portrait`.
    """
    image, cutout = _pixels(source)
    where = "the picture" if isinstance(source, np.ndarray) else str(source)
    using = tracker or load_tracker()
    there = using.faces(image)
    if not there:
        raise NoFaceFound(where)
    expect_type(faces or (), Iterable, "the faces", "give a list of numbers, such as (1, 2)")
    CROP_SCALE.check(crop_scale, "crop_scale")
    numbers = list(range(1, len(there) + 1)) if faces is None else list(faces)
    for number in numbers:
        if not 1 <= number <= len(there):
            raise FaceNotThere(where, number, len(there))
    return [portrait_of_face(image, there[n - 1], using, crop_scale, cutout=cutout) for n in numbers]


def _pixels(source: Path | str | Image) -> tuple[Image, Image | None]:
    """The picture over white, H x W x 3; and as it is, H x W x 4, if it is transparent anywhere."""
    expect_type(
        source, (Path, str, np.ndarray), "a photo", "give its path, or its pixels as H x W x 3 uint8 RGB"
    )
    if isinstance(source, np.ndarray):
        if source.ndim != 3 or source.shape[2] not in (3, 4) or source.dtype != np.uint8 or not source.size:
            raise BadValue(
                f"the picture is an array of shape {source.shape} and type {source.dtype}; give H x W x 3 uint8 RGB"
            )
        image = np.ascontiguousarray(source[..., :3])
        alpha = np.ascontiguousarray(source[..., 3]) if source.shape[2] == 4 else None
    else:
        path = Path(source)
        if path.is_dir():
            raise MediaUnreadable(path, "it is a folder", "give a picture of the person")
        if (kind := kind_of(path)) != "image":
            raise MediaUnreadable(path, f"it is {kind}, not a photo", "give a picture of the person")
        image, alpha = read_image_with_alpha(path)
    if alpha is None or (alpha == 255).all():
        return image, None
    return over_white(image, alpha), np.dstack([image, alpha])


def photos_in(folder: Path) -> list[Path]:
    """The still pictures directly in a folder, by name.

    Raises:
        MediaUnreadable: there are none.
    """
    photos = []
    for path in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        try:
            if kind_of(path) == "image":
                photos.append(path)
        except MediaUnreadable:
            continue
    if not photos:
        raise MediaUnreadable(folder, "the folder holds no photos", "give a photo, or a folder of photos")
    return photos
