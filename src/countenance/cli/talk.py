"""``countenance talk``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from countenance.speech.catalogue import ARTICULATION, DEFAULT, TEMPERATURE, load_cast

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
    seed: int = 0
    """Another seed, another performance."""
    count: int = 1
    """How many performances, with seeds from --seed on."""
    temperature: float = TEMPERATURE
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
    articulation: float = ARTICULATION
    """How far the lips move: 1 as the model says, which is less than people do; 0 hardly at all."""
    blink: bool = True
    """Blink where the model does so too rarely."""
    model: str | None = None
    """Renderer; `countenance models` lists them and says which is the default."""
    face: int = 1
    """Which face of the photo: 1 is the largest."""
    avatar: Path | None = None
    """A .safetensors file: if it is there, the photo's avatar is read from it, else it is written. Enrolling takes
    a minute with otavatar-lite and longer with otavatar."""
    crop: bool = False
    """Write only the square around the face."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.errors import BadValue
        from countenance.media.kinds import MOTION_SUFFIXES

        if self.count < 1:
            raise BadValue(f"--count is {self.count}; give 1 or more")
        motion_only = self.output.suffix.lower() in MOTION_SUFFIXES
        portrait, speech = self._inputs(motion_only)
        with self._sound(speech) as sound:
            outputs = self._outputs()
            if motion_only:
                written = self._motions(portrait, sound, outputs)
            else:
                written = self._videos(self._needed(portrait), sound, outputs)
        names = ", ".join(map(str, outputs))
        return {
            "outputs": [str(path) for path in outputs],
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
        from countenance.errors import BadValue
        from countenance.media.kinds import kind_of

        if portrait is None:
            raise BadValue("talk needs a photo of the person; write it before the recording")
        if (kind := kind_of(portrait)) != "image":
            raise BadValue(f"{portrait} is {kind}; talk moves a photo: give a picture first, then the speech")
        return portrait

    @contextmanager
    def _sound(self, speech: Path | None) -> Iterator[Path]:
        """The recording; or the text, read into a temporary file."""
        if speech is not None:
            yield speech
            return
        from countenance.audio.samples import write_wave
        from countenance.speech.text import speak

        spoken = speak(self.text or "", voice=self.voice)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "speech.wav"
            write_wave(path, spoken.samples)
            yield path

    def _outputs(self) -> list[Path]:
        if self.count == 1:
            return [self.output]
        return [
            self.output.with_name(f"{self.output.stem}_{k + 1}{self.output.suffix}")
            for k in range(self.count)
        ]

    def _motions(self, portrait: Path | None, sound: Path, outputs: list[Path]) -> int:
        from countenance.motion.files import check_motion_output, save_motion
        from countenance.motion.sequence import Motion
        from countenance.motion.spaces import ARKIT
        from countenance.production import load_portrait

        for path in outputs:
            check_motion_output(path)
        own = Motion.neutral(ARKIT, 1, 25.0)
        if portrait is not None:
            own = load_portrait(self._needed(portrait), face=self.face).motion
        for path, motion in zip(outputs, self._performances(sound, own), strict=True):
            save_motion(path, motion)
        return len(motion)

    def _videos(self, photo: Path, sound: Path, outputs: list[Path]) -> int:
        from countenance.animation import animate
        from countenance.cli.avatars import check_avatar, enrolled, load_enroller
        from countenance.cli.progress import bar
        from countenance.media.writer import check_output
        from countenance.portrait.crop import Crop
        from countenance.production import load_portrait, write_video
        from countenance.trackers.catalogue import tracker_for

        for path in outputs:
            check_output(path)
        check_avatar(self.avatar)
        renderer = load_enroller(self.model)
        tracker = tracker_for(renderer.spec.motion_space)
        portrait = load_portrait(photo, face=self.face, crop_scale=renderer.spec.crop_scale, tracker=tracker)
        square = Crop.around(portrait.box_px) if self.crop else None
        # Before enrolling, which may take minutes: a recording that is none should be told at once.
        performances = list(self._performances(sound, portrait.motion))
        avatar = enrolled(portrait, renderer, self.avatar)
        written = 0
        for path, motion in zip(outputs, performances, strict=True):
            shown = animate(portrait, motion, renderer, avatar=avatar)
            frames = bar(shown, f"rendering {path.name}", len(motion))
            has_sound = path.suffix.lower() not in ("", ".gif")
            written = write_video(
                path,
                frames,
                motion.fps,
                model=renderer.spec.name,
                audio=sound if has_sound else None,
                crop=square,
            )
        return written

    def _performances(self, sound: Path, own: Motion) -> Iterator[Motion]:
        """One for each output."""
        from countenance.audio.features import speech_features
        from countenance.audio.samples import read_samples
        from countenance.cli.settings import parse_offsets
        from countenance.motion.expressions import expression
        from countenance.production import driver_motion
        from countenance.speech.performance import perform, with_offset

        offset = parse_offsets(self.settings, own.space)
        if self.emotion:
            offset = {name: 0.5 * value for name, value in expression(self.emotion).items()} | offset
        speaker, performer = load_cast(self.voice_model)
        features = speech_features(read_samples(sound), keep_samples=speaker.spec.needs_samples)
        head: Any = self.pose if self.pose_from is None else driver_motion(self.pose_from)
        for k in range(self.count):
            motion = perform(
                features,
                own,
                speaker,
                performer,
                seed=self.seed + k,
                temperature=self.temperature,
                head=head,
                blink=self.blink,
                articulation=self.articulation,
            )
            yield with_offset(motion, offset) if offset else motion
