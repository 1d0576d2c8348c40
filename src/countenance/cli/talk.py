"""``countenance talk``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from countenance.devices import Device
from countenance.ranges import ARTICULATIONS, COUNT, FACE_NUMBER, PICTURE_SIDE_PX, SEED, TEMPERATURES
from countenance.speech.catalogue import ARTICULATION, DEFAULT, TEMPERATURE

if TYPE_CHECKING:
    from countenance.motion.sequence import Motion


@dataclass(frozen=True)
class Talk:
    """Let a portrait say something: a recording, or a text that a synthetic voice reads.

    Lips follow the sound; head, brows and blinks are made up, another way for every seed. The output may be a motion
    file instead of a video: then no portrait is needed.

    examples:
      countenance talk me.jpg speech.wav -o out.mp4
      countenance talk me.jpg speech.mp3 -o out.mp4 --seed 7 --emotion smile
      countenance talk me.jpg speech.wav -o out.mp4 --count 3          # out_1.mp4, out_2.mp4, out_3.mp4
      countenance talk me.jpg --text "Good morning, everybody." -o out.mp4
      countenance talk me.jpg speech.wav -o out.mp4 --pose-from nodding.mp4
      countenance talk speech.wav -o speech.csv                        # Live Link Face, for your own rig
    """

    inputs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """A photo, then a recording of speech or a video with sound. With --text no recording; for motion no photo."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """.mp4, .mov, .mkv, .webm, .gif, a folder for PNG frames; or motion: .npz, .csv (Live Link Face)."""
    text: str | None = None
    """Say this, in a synthetic voice (espeak-ng)."""
    voice: str = "en-us"
    """Voice for --text: a language of espeak-ng, with a variant if you like: en-us, de, fr+f3 ..."""
    voice_model: str = DEFAULT
    """What turns speech into motion: transformer-lite, flow-lite, or a .safetensors file of your own training."""
    seed: Annotated[int, SEED] = 0
    """Another seed, another performance."""
    count: Annotated[int, COUNT] = 1
    """How many performances, with seeds from --seed on."""
    temperature: Annotated[float, TEMPERATURES] = TEMPERATURE
    """How lively: 0 calm, 1 as lively as the people it was learnt from."""
    pose: Literal["sampled", "none"] = "sampled"
    """sampled: the head moves as learnt. none: it keeps the photo's pose."""
    pose_from: Path | None = None
    """Take the head's motion from this video or motion file, to and fro if it is shorter than the speech."""
    emotion: str | None = None
    """A whole expression to hold throughout, at half strength: smile, surprise, frown ..."""
    settings: Annotated[list[str], tyro.conf.UseAppendAction, tyro.conf.arg(name="set")] = field(
        default_factory=list
    )
    """name=value: added to a coefficient throughout, negative takes away; may be given several times."""
    articulation: Annotated[float, ARTICULATIONS] = ARTICULATION
    """How far the lips move: 1 as the model says, which is less than people do; 0 hardly at all."""
    blink: bool = True
    """Blink where the model does so too rarely."""
    model: str | None = None
    """Renderer; `countenance models` lists them and says which is the default."""
    device: Device = "auto"
    """Where networks compute; auto takes the fastest that is here."""
    face: Annotated[int, FACE_NUMBER] = 1
    """Which face of the photo: 1 is the largest."""
    avatar: Path | None = None
    """A .safetensors file: if it is there, the photo's avatar is read from it, else it is written. Enrolling takes
    a minute with otavatar-lite and longer with otavatar."""
    crop: bool = False
    """Write only the square around the face."""
    max_size: Annotated[int | None, PICTURE_SIDE_PX] = None
    """Scale larger results down to so many pixels on the longer side."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.media.kinds import MOTION_SUFFIXES

        motion_only = self.output.suffix.lower() in MOTION_SUFFIXES
        portrait, speech = self._inputs(motion_only)
        self._check_outputs(motion_only)
        with self._sound(speech) as sound:
            if motion_only:
                written = self._motions(portrait, sound)
            else:
                written = self._videos(self._needed(portrait), sound)
        names = ", ".join(map(str, self._outputs()))
        return {
            "outputs": [str(path) for path in self._outputs()],
            "frames": written,
            "fps": 25.0,
            "text": f"{names}: {written} frames, {written / 25:.1f} s at 25 fps, voice model {self.voice_model}",
        }

    def _inputs(self, motion_only: bool) -> tuple[Path | None, Path | None]:
        """Portrait and recording, where given."""
        from countenance.errors import BadValue

        wanted = (self.text is None) + (not motion_only)
        given = len(self.inputs)
        if not wanted <= given <= wanted + motion_only:
            raise BadValue(
                "talk needs a photo and a recording (or --text); write: countenance talk me.jpg speech.wav -o out.mp4"
            )
        speech = self.inputs[-1] if self.text is None else None
        portrait = self.inputs[0] if given > (speech is not None) else None
        return portrait, speech

    def _needed(self, portrait: Path | None) -> Path:
        """The photo, if it is one."""
        from countenance.errors import BadValue
        from countenance.media.kinds import kind_of

        if portrait is None:
            raise BadValue("talk needs a photo of the person; write it before the recording")
        if (kind := kind_of(portrait)) == "image":
            return portrait
        if len(self.inputs) > 1 and kind_of(self.inputs[1]) == "image":
            raise BadValue(
                f"{portrait} is {kind} and {self.inputs[1]} a picture, so they seem to be swapped; write: countenance "
                f"talk {self.inputs[1]} {portrait} -o {self.output}"
            )
        raise BadValue(f"{portrait} is {kind}; talk moves a photo: give a picture first, then the speech")

    def _check_outputs(self, motion_only: bool) -> None:
        """Fail early, before long work, where a result can't be written."""
        from countenance.atomic import expect_other_than_inputs
        from countenance.cli.avatars import check_avatar
        from countenance.media.writer import check_output
        from countenance.motion.files import check_motion_output

        for path in self._outputs():
            (check_motion_output if motion_only else check_output)(path)
            given = [path for path in (*self.inputs, self.pose_from, self.avatar) if path is not None]
            expect_other_than_inputs(path, given)
        check_avatar(self.avatar)

    @contextmanager
    def _sound(self, speech: Path | None) -> Iterator[Path]:
        """The recording; or the text, read into a temporary file."""
        from countenance.pipeline.speech import spoken

        if speech is not None:
            yield speech
            return
        with spoken(self.text or "", self.voice) as path:
            yield path

    def _outputs(self) -> list[Path]:
        if self.count == 1:
            return [self.output]
        return [
            self.output.with_name(f"{self.output.stem}_{k + 1}{self.output.suffix}")
            for k in range(self.count)
        ]

    def _motions(self, portrait: Path | None, sound: Path) -> int:
        from countenance.motion.files import save_motion
        from countenance.motion.sequence import Motion
        from countenance.motion.spaces import ARKIT
        from countenance.pipeline.sources import load_portrait

        own = Motion.neutral(ARKIT, 1, 25.0)
        if portrait is not None:
            own = load_portrait(self._needed(portrait), face=self.face).motion
        for path, motion in zip(self._outputs(), self._performances(sound, own), strict=True):
            save_motion(path, motion)
        return len(motion)

    def _videos(self, photo: Path, sound: Path) -> int:
        from countenance.animation import animate
        from countenance.cli.avatars import enrolled, load_enroller
        from countenance.cli.progress import bar
        from countenance.pipeline.outputs import write_video
        from countenance.pipeline.sources import load_portrait
        from countenance.portrait.crop import Crop
        from countenance.trackers.catalogue import tracker_for

        renderer = load_enroller(self.model, self.device)
        tracker = tracker_for(renderer.spec.motion_space, self.device)
        portrait = load_portrait(photo, face=self.face, crop_scale=renderer.spec.crop_scale, tracker=tracker)
        square = Crop.around(portrait.box_px) if self.crop else None
        # Before enrolling, which may take minutes: a recording that is none should be told at once.
        performances = list(self._performances(sound, portrait.motion))
        avatar = enrolled(portrait, renderer, self.avatar)
        written = 0
        for path, motion in zip(self._outputs(), performances, strict=True):
            shown = animate(portrait, motion, renderer, avatar=avatar)
            written = write_video(
                path,
                bar(shown, f"rendering {path.name}", len(motion)),
                shown.fps,
                model=shown.model,
                audio=sound,
                crop=square,
                max_side_px=self.max_size,
            )
        return written

    def _performances(self, sound: Path, own: Motion) -> Iterator[Motion]:
        """One for each output."""
        from countenance.cli.settings import parse_offsets
        from countenance.motion.expressions import expression
        from countenance.pipeline.drivers import driver_motion
        from countenance.pipeline.speech import Performance, speech_motions

        offset = parse_offsets(self.settings, own.space)
        if self.emotion:
            offset = {name: 0.5 * value for name, value in expression(self.emotion).items()} | offset
        performance = Performance(
            voice_model=self.voice_model,
            seed=self.seed,
            temperature=self.temperature,
            head=self.pose if self.pose_from is None else driver_motion(self.pose_from, smoothing=0),
            blink=self.blink,
            articulation=self.articulation,
            offset=offset,
            device=self.device,
        )
        return speech_motions(sound, own, performance, self.count)
