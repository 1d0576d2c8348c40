"""Small pictures of a case for the page: strips of moments, and a looping video side by side."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

import cv2
import numpy as np

from countenance.arrays import Image
from countenance.errors import CountenanceError
from countenance.evaluation.corpus import Corpus
from countenance.evaluation.models import REPEATED, Model, pictures_of, source_picture
from countenance.evaluation.protocols.protocol import Case
from countenance.evaluation.work import RESULTS, TRACKS, VIDEOS
from countenance.media.video import VideoReader
from countenance.media.writer import VideoWriter
from countenance.provenance.marks import marks
from countenance.trackers.catalogue import tracker_for

MOMENTS, TILE_PX = 6, 128
LOOP_S = 8.0
_WIDEST_PX = 228  # 16:9
_QUALITY, _LOOP_CRF = 82, 26
_GREY, _CROSS = 128, 160


@dataclass(frozen=True)
class Strip:
    """A row of pictures of one case.

    Attributes:
        label: "truth", "driver", or a model's.
        synthetic: a model made it.
        uri: of a JPEG, or "" where there are none.
        note: what is wanting, or "".
        width: px.
        height: px.
    """

    label: str
    synthetic: bool
    uri: str = ""
    note: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Pictures:
    """What the page shows of one case.

    Attributes:
        moments: numbers of the driver's frames in the strips.
        source: JPEG of the portrait, or "".
        strips: the recording, if any, then the models in the report's order.
        loop: MP4, or "".
        loop_labels: of its tiles, from the left.
        loop_width: px.
    """

    moments: tuple[int, ...]
    source: str
    strips: tuple[Strip, ...]
    loop: str = ""
    loop_labels: tuple[str, ...] = ()
    loop_width: int = 0

    @property
    def size(self) -> int:
        """Characters of it in the page."""
        return len(self.source) + len(self.loop) + sum(len(strip.uri) for strip in self.strips)


@dataclass(frozen=True)
class _Tiles:
    """Small pictures of one row, by their number from the case's first frame."""

    label: str
    synthetic: bool
    pictures: Mapping[int, Image]
    note: str = ""


def fingerprint(output: Path, label: str) -> str:
    """What a model was when it was evaluated: see :attr:`countenance.evaluation.models.Model.fingerprint`."""
    path = output / RESULTS / label / ".model"
    return path.read_text(encoding="utf-8") if path.is_file() else label


def case_pictures(
    case: Case, failed: Mapping[str, str | None], output: Path, data: Path, *, loop: bool
) -> Pictures:
    """Strips of a case, and a video if there is one to show. What can't be read is said, not raised.

    Args:
        case: of the protocol.
        failed: model -> why it failed, or None.
        output: folder of the evaluation.
        data: folder of the clips.
        loop: make the video, too.
    """
    corpus = Corpus(data, output / TRACKS, tracker_for)
    try:
        source: Image | None = source_picture(case, corpus)
    except (CountenanceError, OSError, StopIteration):
        source = None
    size = _tile_size(source)
    moments = _moments(case.compared)
    numbers = [moment - case.start for moment in moments]
    fps = _rate(case, data, output, failed)
    looped = range(min(case.stop - case.start, round(LOOP_S * fps))) if loop and not case.stills else range(0)
    wanted = {*numbers, *looped}
    rows = [] if case.truth is None and case.drives_with_motion else [_recorded(case, data, wanted, size)]
    for label, error in failed.items():
        if error is not None:
            rows.append(_Tiles(label, True, {}, "failed"))
            continue
        rows.append(_made(label, case, corpus, output, source, wanted, size))
    shown = _jpeg(_fitted(source, size)) if source is not None else ""
    strips = tuple(_strip(row, numbers, size) for row in rows)
    if not any(row.pictures for row in rows if row.synthetic) or not looped:
        return Pictures(moments, shown, strips)
    if rows[0].synthetic and source is not None:
        rows.insert(0, _Tiles("source", False, dict.fromkeys(looped, _fitted(source, size))))
    tiles = [row for row in rows if row.pictures]
    return Pictures(moments, shown, strips, *_loop(tiles, looped, fps, size))


def _moments(compared: tuple[int, ...]) -> tuple[int, ...]:
    picked = np.linspace(0, len(compared) - 1, min(MOMENTS, len(compared))).round().astype(int)
    return tuple(compared[i] for i in picked.tolist())


def _tile_size(source: Image | None) -> tuple[int, int]:
    """Width and height in px, even, of the source's shape; a square where there is none."""
    if source is None:
        return TILE_PX, TILE_PX
    height, width = source.shape[:2]
    scale = min(TILE_PX / height, _WIDEST_PX / width)
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def _rate(case: Case, data: Path, output: Path, labels: Mapping[str, str | None]) -> float:
    """Frames a second of the driver, or else of the first result."""
    driver = [] if case.drives_with_motion else [data / case.driver]
    for path in [*driver, *(output / VIDEOS / label / f"{case.name}.mp4" for label in labels)]:
        try:
            with VideoReader(path) as video:
                return video.fps
        except (CountenanceError, OSError):
            continue
    return 25.0


def _recorded(case: Case, data: Path, wanted: set[int], size: tuple[int, int]) -> _Tiles:
    """The true pictures, or else the driver's."""
    label = "truth" if case.truth is not None else "driver"
    try:
        with VideoReader(data / (case.truth or case.driver)) as video:
            frames = (frame.image for frame in islice(video.frames(), case.start, case.stop))
            return _Tiles(label, False, _taken(frames, wanted, size))
    except (CountenanceError, OSError) as error:
        return _Tiles(label, False, {}, _reason(error))


def _made(
    label: str,
    case: Case,
    corpus: Corpus,
    output: Path,
    source: Image | None,
    wanted: set[int],
    size: tuple[int, int],
) -> _Tiles:
    """What a model made: the source again, what lies in the folder of another program, or the kept video."""
    origin = fingerprint(output, label)
    try:
        if origin == REPEATED:
            frames: Iterator[Image] = (
                repeat(source, case.stop - case.start) if source is not None else iter(())
            )
            return _Tiles(label, False, _taken(frames, wanted, size))
        if Path(origin).is_absolute() and Path(origin).is_dir() and source is not None:
            frames, _ = pictures_of(Model(label, origin), case, corpus, output, source)
            return _Tiles(label, True, _taken(frames, wanted, size))
        path = output / VIDEOS / label / f"{case.name}.mp4"
        if not path.is_file():
            return _Tiles(label, True, {}, "its pictures were not kept")
        with VideoReader(path) as video:
            return _Tiles(label, True, _taken((frame.image for frame in video.frames()), wanted, size))
    except (CountenanceError, OSError) as error:
        return _Tiles(label, True, {}, _reason(error))


def _reason(error: Exception) -> str:
    return f"no pictures: {' '.join(str(error).split())}"


def _taken(frames: Iterator[Image], wanted: set[int], size: tuple[int, int]) -> dict[int, Image]:
    some = enumerate(islice(frames, max(wanted, default=-1) + 1))
    return {number: _fitted(image, size) for number, image in some if number in wanted}


def _fitted(image: Image, size: tuple[int, int]) -> Image:
    """A picture within a tile, whole; what it does not fill is grey."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    scale = min(size[0] / width, size[1] / height)
    inner = min(size[0], max(1, round(width * scale))), min(size[1], max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = np.asarray(cv2.resize(image, inner, interpolation=how), np.uint8)
    tile = np.full((size[1], size[0], 3), _GREY, np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    tile[top : top + inner[1], left : left + inner[0]] = small
    return tile


def _missing(size: tuple[int, int]) -> Image:
    """Stands for a picture that did not come: grey, crossed out."""
    tile = np.full((size[1], size[0], 3), _GREY, np.uint8)
    ends = (0, 0), (size[0] - 1, size[1] - 1), (size[0] - 1, 0), (0, size[1] - 1)
    cv2.line(tile, ends[0], ends[1], (_CROSS,) * 3, 2)
    cv2.line(tile, ends[2], ends[3], (_CROSS,) * 3, 2)
    return tile


def _strip(row: _Tiles, numbers: list[int], size: tuple[int, int]) -> Strip:
    absent = sum(number not in row.pictures for number in numbers)
    if absent == len(numbers):
        return Strip(row.label, row.synthetic, note=row.note or "it has none of these frames")
    picture = np.hstack([row.pictures.get(number, _missing(size)) for number in numbers])
    note = f"{absent} of {len(numbers)} missing" if absent else row.note
    mark = row.label if row.synthetic else None
    return Strip(row.label, row.synthetic, _jpeg(picture, mark), note, picture.shape[1], picture.shape[0])


def _jpeg(image: Image, model: str | None = None) -> str:
    """A data URI; what a model made carries the mark of synthetic pictures."""
    import PIL.Image

    exif = PIL.Image.Exif()
    if model is not None:
        texts = marks(model)
        exif[0x010E] = "; ".join(f"{key}: {text}" for key, text in texts.items())  # ImageDescription
        exif[0x0131] = texts["software"]
    content = io.BytesIO()
    PIL.Image.fromarray(image).save(content, "JPEG", quality=_QUALITY, exif=exif)
    return _uri("image/jpeg", content.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _loop(
    rows: list[_Tiles], numbers: range, fps: float, size: tuple[int, int]
) -> tuple[str, tuple[str, ...], int]:
    """All rows side by side as a video; its labels and its width."""
    scale = min(1.0, TILE_PX / size[0])
    small = max(2, 2 * round(size[0] * scale / 2)), max(2, 2 * round(size[1] * scale / 2))
    texts = marks(", ".join(row.label for row in rows if row.synthetic))
    if not rows[0].synthetic:
        texts["comment"] += " The picture on the left is a recording."
    width = small[0] * len(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.mp4"
        with VideoWriter(path, fps, width, small[1], metadata=texts, crf=_LOOP_CRF) as writer:
            for number in numbers:
                tiles = [row.pictures.get(number, _missing(size)) for row in rows]
                writer.write(np.hstack([_fitted(tile, small) for tile in tiles]))
        content = path.read_bytes()
    return _uri("video/mp4", content), tuple(row.label for row in rows), width
