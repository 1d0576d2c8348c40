"""Films made of pictures: animated GIF, PNG, WebP and AVIF, and folders of stills."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from countenance.arrays import Image
from countenance.errors import MediaUnreadable
from countenance.media.alpha import over_white
from countenance.media.decoding.input_files import reason_of
from countenance.media.decoding.picture_files import PICTURE_ERRORS, check_size, open_picture
from countenance.media.decoding.time_stamps import LONGEST_GAP_S, held, nearest
from countenance.media.images import pixels_of, read_image
from countenance.ranges import FRAME_RATE

FOLDER_FPS: Final = 25.0
_PICTURES: Final = (*(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"),)
_UNSET_S, _SHORTEST_S = 0.1, 0.011  # browsers show what asks for 10 ms or less for a tenth of a second
_ENDS: tuple[type[Exception], ...] = (MediaUnreadable, *PICTURE_ERRORS)
_COUNTED: Final = 50  # frames whose durations tell the rate


class AnimatedPicture:
    """A picture of several frames, each shown for as long as it says; decoded one at a time.

    Attributes:
        width: px.
        height: px.
        fps: of its shortest frame among the first, so that none is left out.
        frame_count_estimate: from the header and the durations of the first frames.
        damage: what was wrong so far.

    Raises:
        MediaUnreadable: damaged from the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damage: dict[str, None] = {}
        picture = open_picture(path)
        if picture is None:
            raise MediaUnreadable(path, "it is no picture")
        with picture:
            self.width, self.height = picture.size
            count = int(picture.n_frames)
        durations = [seconds for seconds, _ in islice(self._timed(), _COUNTED)]
        if not durations:
            raise MediaUnreadable(path, "no frame of it can be decoded", "export it again")
        self.fps = min(max(1 / min(durations), FRAME_RATE.minimum), FRAME_RATE.maximum)
        mean_s = sum(durations) / len(durations)
        self.frame_count_estimate: int | None = round(count * mean_s * self.fps)

    def images(self, rate: float) -> Iterator[Image]:
        """All pictures from the start, at a constant rate."""
        return held(self._timed(), rate)

    def close(self) -> None:
        """Nothing is kept open."""

    def _timed(self) -> Iterator[tuple[float, Image]]:
        picture: Any = open_picture(self._path)
        with picture:
            index = 0
            while True:
                try:
                    picture.seek(index)
                    check_size(self._path, picture)  # a GIF's frames may reach beyond its first canvas
                    picture.load()
                    image, alpha = pixels_of(picture)
                    seconds = float(picture.info.get("duration") or 0) / 1000
                except EOFError:
                    return
                except _ENDS as error:
                    self.damage[f"it breaks off after {index} frames ({reason_of(error)})"] = None
                    return
                shown_s = seconds if seconds >= _SHORTEST_S else _UNSET_S
                image = image if alpha is None else over_white(image, alpha)
                yield min(shown_s, LONGEST_GAP_S), image[: self.height, : self.width]
                index += 1


class PictureFolder:
    """A folder of stills, in the order of their names, :data:`FOLDER_FPS` a second, all of the first one's size.

    Attributes:
        width: px.
        height: px.
        fps: :data:`FOLDER_FPS`.
        frame_count_estimate: how many there are.
        damage: nothing; a still that can't be read is an error.

    Raises:
        MediaUnreadable: no pictures, or a folder that may not be entered.
    """

    def __init__(self, path: Path) -> None:
        self.damage: dict[str, None] = {}
        try:
            found = [p for p in path.iterdir() if p.suffix.lower() in _PICTURES and p.name[0] != "."]
        except OSError as error:
            raise MediaUnreadable(path, reason_of(error), "check the folder's permissions") from None
        if not found:
            raise MediaUnreadable(path, "the folder holds no pictures", "give a folder of PNG or JPEG frames")
        self._pictures = sorted(found)
        self.height, self.width = read_image(self._pictures[0]).shape[:2]
        self.fps = FOLDER_FPS
        self.frame_count_estimate: int | None = len(self._pictures)

    def images(self, rate: float) -> Iterator[Image]:
        """All pictures from the start, at a constant rate."""
        timed = ((i / self.fps, path) for i, path in enumerate(self._pictures))
        return (self._sized(read_image(path)) for path in nearest(timed, rate, self.fps))

    def close(self) -> None:
        """Nothing is kept open."""

    def _sized(self, image: Image) -> Image:
        if image.shape[:2] == (self.height, self.width):
            return image
        import cv2

        sized = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return np.asarray(sized, np.uint8)
