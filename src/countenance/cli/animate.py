"""``countenance animate``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from countenance.devices import Device
from countenance.ranges import DURATION_S, FACE_NUMBER, FRAME_RATE, PICTURE_SIDE_PX, STRENGTH

if TYPE_CHECKING:
    from countenance.animation import Animation
    from countenance.motion.sequence import Motion
    from countenance.portrait.crop import Crop
    from countenance.portrait.portrait import Portrait
    from countenance.trackers.tracker import Tracker

_STILL_FPS = 25.0  # of an output whose driver is a picture


@dataclass(frozen=True)
class Animate:
    """Drive a portrait with a video, a picture or a motion file.

    examples:
      countenance animate me.jpg driver.mp4 -o out.mp4
      countenance animate me.jpg iphone.csv -o out.mp4
      countenance animate me.jpg laughing.jpg -o out.mp4               # becomes the picture's expression and stays
      countenance animate group.jpg driver.mp4 -o out.mp4 --face all
      countenance animate group.jpg anna.mp4 ben.mp4 -o out.mp4 --face 1 --face 2
      countenance animate me.jpg driver.mp4 -o out.gif --crop --lips 1.3 --pose 0.5 --fps 25
      countenance animate interview.mp4 driver.mp4 -o redriven.mp4 --pose 0
      countenance animate photos/ driver.mp4 -o animated/              # every photo of a folder
    """

    source: Annotated[Path, tyro.conf.Positional]
    """The person to be moved: a photo; a film, whose own frames are re-driven; or a folder of photos, each of which
    is animated into a film of its own."""
    drivers: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """What moves them: a film or picture with a face, a folder of a film's frames, or motion (.npz, Live Link Face
    .csv). Several, if several people follow one each; see --face."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """.mp4, .mov, .mkv, .webm, .gif, or a folder for PNG frames; for a folder of photos a folder."""
    model: str | None = None
    """Renderer; `countenance models` lists them and says which is the default."""
    device: Device = "auto"
    """Where networks compute; auto takes the fastest that is here."""
    avatar: Path | None = None
    """A .safetensors file: if it is there, the photo's avatar is read from it, else it is written. Enrolling takes
    a minute with otavatar-lite and longer with otavatar."""
    crop: bool = False
    """Write only the square around the face."""
    max_size: Annotated[int | None, PICTURE_SIDE_PX] = None
    """Scale larger results down to so many pixels on the longer side."""
    fps: Annotated[float | None, FRAME_RATE] = None
    """Frame rate of the output, of a photo; the driver's own by default."""
    face: Annotated[list[str], tyro.conf.UseAppendAction] = field(default_factory=list)
    """Which face of the source: 1 is the largest, and the default; all animates everybody in a photo. May be given
    several times, with one driver for all or a driver each."""
    driver_face: Annotated[int, FACE_NUMBER] = 1
    """Which face of the driver: 1 is the largest."""
    transfer: Literal["relative", "absolute", "renormalized"] = "relative"
    """relative: changes since the reference frame, added to the source's own pose and expression. absolute: the
    driver's numbers as they are. renormalized: fitted to the source's own mean and spread (for video sources)."""
    reference: str = "auto"
    """The driver's frame that counts as the source's own expression: auto (the most similar one, as drivers rarely
    begin calm), first, or a number."""
    pose: Annotated[float, STRENGTH] = 1.0
    """Strength of head motion; 0 keeps the source's, above 1 exaggerates."""
    expression: Annotated[float, STRENGTH] = 1.0
    """Strength of the whole expression."""
    lips: Annotated[float | None, STRENGTH] = None
    """Strength of mouth and jaw, if other than the expression's."""
    eyes: Annotated[float | None, STRENGTH] = None
    """Strength of lids and gaze, if other than the expression's."""
    brows: Annotated[float | None, STRENGTH] = None
    """Strength of the brows, if other than the expression's."""
    smooth: Annotated[float, STRENGTH] = 1.0
    """Smoothing of a tracked driver: 0 none, 1 normal; blinks stay."""
    seconds: Annotated[float, DURATION_S] = 2.0
    """Length, where the driver is a picture."""
    audio: bool = True
    """Copy the driver's sound into the output."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.cli.avatars import check_avatar, load_enroller
        from countenance.cli.progress import bar
        from countenance.pipeline.drivers import driver_motion
        from countenance.trackers.catalogue import tracker_for

        source_kind = self._check()
        check_avatar(self.avatar)
        renderer = load_enroller(self.model, self.device)
        tracker = tracker_for(renderer.spec.motion_space, self.device)
        motions = [
            driver_motion(path, face=self.driver_face, smoothing=self.smooth, tracker=tracker, progress=bar)
            for path in self.drivers
        ]
        if self.source.is_dir():
            return self._folder(renderer, tracker, motions[0])
        if source_kind == "video":
            return self._film(renderer, tracker, motions[0])
        return self._photo(self.source, self.output, renderer, tracker, motions)

    def _check(self) -> str:
        """Everything that can be wrong and seen before long work begins; returns the source's kind."""
        from countenance.atomic import expect_other_than_inputs
        from countenance.errors import BadValue
        from countenance.media.kinds import kind_of
        from countenance.media.writer import check_output

        if not self.drivers:
            raise BadValue(
                "animate needs a source and a driver; write: countenance animate me.jpg driver.mp4 -o out.mp4"
            )
        self._faces()
        self._reference()
        inputs = [self.source, *self.drivers]
        expect_other_than_inputs(self.output, inputs)
        folder = self.source.is_dir()
        source_kind = "image" if folder else kind_of(self.source)
        self._expect_roles(source_kind, kind_of(self.drivers[0]))
        one = not folder and source_kind == "image" and len(self.face) < 2 and self.face != ["all"]
        if self.avatar is not None and not one:
            raise BadValue("--avatar is for one face of one photo; leave it out")
        if not one and len(self.drivers) > 1 and (folder or source_kind == "video"):
            raise BadValue("several drivers are for several people of one photo; give one driver")
        if source_kind == "video" and self.fps is not None:
            raise BadValue("a film as source keeps its own frame rate; leave --fps out")
        if folder and self.output.suffix:
            raise BadValue(
                f"{self.source} is a folder of photos; give a folder for their films, too, not {self.output}"
            )
        if not folder:
            check_output(self.output)
        return source_kind

    def _expect_roles(self, source: str, driver: str) -> None:
        from countenance.errors import BadValue, MediaUnreadable

        first = self.drivers[0]
        swapped = driver == "image" and source in ("video", "motion", "audio")
        if swapped and not first.is_dir():
            raise BadValue(
                f"{self.source} is {source} and {first} a picture, so they seem to be swapped; write: countenance "
                f"animate {first} {self.source} -o {self.output}"
            )
        if source in ("motion", "audio"):
            raise MediaUnreadable(
                self.source, f"it is {source}, and a source shows a person", "give a photo first"
            )

    def _faces(self) -> list[int] | None:
        """Numbers; None for all."""
        from countenance.errors import BadValue

        if self.face == ["all"]:
            return None
        for text in self.face:
            if not text.isdecimal() or not FACE_NUMBER.holds(int(text)):
                raise BadValue(f"--face {text} is no face; give a number from 1, or all")
        return [int(text) for text in self.face] or [1]

    def _reference(self) -> Literal["first", "auto"] | int:
        from countenance.errors import BadValue

        if self.reference in ("first", "auto"):
            return self.reference  # type: ignore[return-value]
        if not self.reference.isdecimal():
            raise BadValue(f"--reference {self.reference} is not auto, first or a frame number")
        return int(self.reference)

    def _strengths(self) -> dict[str, float]:
        narrow = {"lips": self.lips, "eyes": self.eyes, "brows": self.brows}
        return {
            "pose": self.pose,
            "expression": self.expression,
            **{region: value for region, value in narrow.items() if value is not None},
        }

    def _photo(
        self, photo: Path, output: Path, renderer: Any, tracker: Tracker, motions: list[Motion]
    ) -> dict[str, Any]:
        from countenance.animation import animate, animate_group
        from countenance.cli.avatars import enrolled
        from countenance.errors import BadValue
        from countenance.media.writer import check_output
        from countenance.pipeline.sources import load_portraits
        from countenance.portrait.crop import Crop

        scale = renderer.spec.crop_scale
        portraits = load_portraits(photo, self._faces(), crop_scale=scale, tracker=tracker)
        given = motions * len(portraits) if len(motions) == 1 else motions
        if len(given) != len(portraits):
            raise BadValue(
                f"{len(motions)} drivers can't move {len(portraits)} face(s); give one driver, or one for each --face"
            )
        rate = self.fps or (given[0].fps if len(given[0]) > 1 else _STILL_FPS)
        check_output(output, rate)
        driven = [self._driven(m, p.motion).resample(rate) for m, p in zip(given, portraits, strict=True)]
        if len(portraits) == 1:
            animation = animate(
                portraits[0], driven[0], renderer, avatar=enrolled(portraits[0], renderer, self.avatar)
            )
        else:
            animation = animate_group(portraits, driven, renderer)
        square = Crop.around(_boxes(portraits)) if self.crop else None
        found = self._reference_of(given[0], portraits[0].motion)
        return self._written(animation, output, square, given, {**found, "faces": len(portraits)})

    def _driven(self, motion: Motion, own: Motion) -> Motion:
        """A driver's motion made the source's own; a picture's expression, held."""
        from countenance.motion.transfer import transfer
        from countenance.pipeline.drivers import held

        if len(motion) == 1:
            still = transfer(motion, own, "absolute", "first", self._strengths())
            return held(still, own, self.seconds, self.fps or _STILL_FPS)
        return transfer(motion, own, self.transfer, self._reference(), self._strengths())

    def _reference_of(self, driver: Motion, own: Motion) -> dict[str, int]:
        """For the summary: the frame that counted as the source's own expression."""
        from countenance.motion.transfer import reference_number

        if len(driver) == 1 or self.transfer != "relative":
            return {}
        return {"reference_frame": reference_number(driver, own, self._reference())}

    def _film(self, renderer: Any, tracker: Tracker, driver: Motion) -> dict[str, Any]:
        from countenance.cli.progress import bar
        from countenance.errors import BadValue
        from countenance.pipeline.films import load_film, redrive_film

        faces = self._faces()
        if faces is None or len(faces) > 1:
            raise BadValue("several faces can be animated in a photo only; give one --face for a film")
        scale = renderer.spec.crop_scale
        film = load_film(self.source, tracker, face=faces[0], crop_scale=scale, progress=bar)
        animation = redrive_film(film, driver, renderer, self.transfer, self._reference(), self._strengths())
        own = next(shot.motion for shot in film.shots if shot.motion is not None)
        more = {
            **self._reference_of(driver.resample(film.fps), own),
            "faceless_frames": film.faceless(animation.frames),
            "shots": len(film.shots),
        }
        return self._written(animation, self.output, film.crop if self.crop else None, [driver], more)

    def _folder(self, renderer: Any, tracker: Tracker, driver: Motion) -> dict[str, Any]:
        """Every photo of a folder into a film of its own; those that show no face are named and left out."""
        import warnings

        from countenance.atomic import make_folder
        from countenance.errors import CountenanceError, LeftOut
        from countenance.pipeline.sources import photos_in

        photos = photos_in(self.source)
        stems = [photo.stem for photo in photos]
        new = not self.output.exists()
        make_folder(self.output)
        done, reason = [], None
        for photo in photos:
            name = photo.stem if stems.count(photo.stem) == 1 else photo.name
            try:
                done.append(self._photo(photo, self.output / f"{name}.mp4", renderer, tracker, [driver]))
            except CountenanceError as error:
                reason = reason or error
                warnings.warn(LeftOut(str(error)), stacklevel=2)
        if not done and reason is not None:
            if new:
                self.output.rmdir()
            raise reason
        text = "\n".join(
            [*(each.pop("text") for each in done), f"{len(done)} of {len(photos)} photos animated"]
        )
        return {"outputs": done, "left_out": len(photos) - len(done), "text": text}

    def _written(
        self,
        animation: Animation,
        output: Path,
        square: Crop | None,
        drivers: list[Motion],
        more: dict[str, int],
    ) -> dict[str, Any]:
        """Render into the file; returns the summary."""
        from countenance.cli.progress import bar
        from countenance.pipeline.outputs import write_video

        fps, model = animation.fps, animation.model
        written = write_video(
            output,
            bar(animation, f"rendering {output.name}", animation.frames),
            fps,
            model=model,
            audio=self._sound(),
            crop=square,
            max_side_px=self.max_size,
        )
        bridged = sum(0 if m.observed is None else int((~m.observed).sum()) for m in drivers)
        text = f"{output}: {written} frames, {written / fps:.1f} s at {fps:g} fps, model {model}"
        if "reference_frame" in more and self.reference == "auto":
            text += f"; the driver's frame {more['reference_frame']} counts as the source's expression"
        if bridged:
            text += f"; {bridged} frames of the driver show no face and were bridged"
        if more.get("faceless_frames"):
            text += f"; {more['faceless_frames']} frames of the source show no face and were left as they are"
        if more.get("shots", 1) > 1:
            text += f"; {more['shots']} shots"
        counts = {"output": str(output), "frames": written, "fps": fps, "model": model}
        return {**counts, "bridged_frames": bridged, **more, "text": text}

    def _sound(self) -> Path | None:
        """The first driver that is a film with sound, if sound is wanted."""
        from countenance.media.kinds import kind_of
        from countenance.media.video import VideoReader

        if not self.audio:
            return None
        for path in self.drivers:
            if kind_of(path) == "video":
                with VideoReader(path) as film:
                    if film.has_audio:
                        return path
        return None


def _boxes(portraits: list[Portrait]) -> Any:
    """(1, 4): one box around all faces."""
    import numpy as np

    boxes = np.stack([portrait.box_px for portrait in portraits])
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])[None]
