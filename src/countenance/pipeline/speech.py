"""A portrait says something: a recording or a text in, an animation with its sound out."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from countenance.animation import Animation, animate
from countenance.audio.features import speech_features
from countenance.audio.samples import read_samples, write_wave
from countenance.errors import BadValue, expect_type
from countenance.motion.sequence import Motion
from countenance.portrait.portrait import Portrait
from countenance.ranges import ARTICULATIONS, SEED, TEMPERATURES, check_fields
from countenance.renderers.renderer import Renderer
from countenance.speech.catalogue import ARTICULATION, DEFAULT, TEMPERATURE, load_cast
from countenance.speech.performance import perform, with_offset
from countenance.speech.text import speak


@dataclass(frozen=True)
class Performance:
    """How something is said.

    Attributes:
        voice_model: what turns speech into motion: a name, or a .safetensors file of your own training.
        seed: another seed, another performance.
        temperature: how lively: 0 calm, 1 as lively as the people it was learnt from.
        head: "sampled" by the models; "none" keeps the portrait's pose; or the poses of a motion, to and fro.
        blink: blink where the models do so too rarely.
        articulation: how far the lips move: 1 as the model says, which is less than people do; 0 hardly at all.
        offset: coefficient -> what is added to it throughout.
        device: where the models compute: "auto", "cpu", "cuda" or "mps".
    """

    voice_model: str = DEFAULT
    seed: Annotated[int, SEED] = 0
    temperature: Annotated[float, TEMPERATURES] = TEMPERATURE
    head: Literal["sampled", "none"] | Motion = "sampled"
    blink: bool = True
    articulation: Annotated[float, ARTICULATIONS] = ARTICULATION
    offset: Mapping[str, float] = field(default_factory=dict)
    device: str = "auto"

    def __post_init__(self) -> None:
        """Checks what was given.

        Raises:
            BadValue: a number outside its range, or something of a wrong type.
        """
        check_fields(self)
        expect_type(self.voice_model, str, "the voice model", "give its name, or the path of a file as text")
        expect_type(self.offset, Mapping, "the offset", "write for example {'browInnerUp': 0.3}")
        if not isinstance(self.head, Motion) and self.head not in ("sampled", "none"):
            raise BadValue(f"the head's motion is {self.head!r}; give 'sampled', 'none' or a Motion")


def talk(
    portrait: Portrait,
    speech: Path | str | None = None,
    renderer: Renderer[Any] | None = None,
    *,
    text: str | None = None,
    voice: str = "en-us",
    performance: Performance | None = None,
    avatar: Any = None,
) -> Animation:
    """Let a portrait say a recording, or a text in a synthetic voice.

    Args:
        portrait: the person.
        speech: a recording of a voice, or a video with sound; its sound goes with the animation.
        renderer: makes the pictures; the default one if None.
        text: what to say, instead of a recording.
        voice: for a text: a language of espeak-ng, with a variant if you like: en-us, de, fr+f3 ...
        performance: how it is said.
        avatar: of this portrait, if it was enrolled before.

    Returns:
        Frames at 25 a second, lazily; ``write_video(path, animation)`` writes them with the sound.

    Raises:
        BadValue: neither or both of a recording and a text, or an empty text.
        MediaUnreadable: no sound in the recording.
        DependencyMissing: PyTorch, or espeak-ng for a text.
    """
    expect_type(portrait, Portrait, "the portrait", "read one with load_portrait")
    said = Performance() if performance is None else performance
    expect_type(said, Performance, "the performance", "make one, such as Performance(seed=1)")
    for what, given in (("the recording", speech), ("the text", text), ("the voice", voice)):
        if given is not None or what == "the voice":
            expect_type(given, (Path, str) if what == "the recording" else str, what, "give text")
    if (speech is None) == (text is None):
        raise BadValue("talk takes a recording or a text; give one of the two")
    if speech is not None:
        path = Path(speech)
        motion = next(speech_motions(path, portrait.motion, said))
        animation = animate(portrait, motion, renderer, avatar=avatar)
        animation.sound = path
        return animation
    folder = tempfile.TemporaryDirectory()  # holds the voice for as long as the animation lives
    path = _spoken(text or "", voice, Path(folder.name))
    motion = next(speech_motions(path, portrait.motion, said))
    animation = animate(portrait, motion, renderer, avatar=avatar)
    animation.sound = path
    weakref.finalize(animation, folder.cleanup)
    return animation


def speech_motions(sound: Path, own: Motion, performance: Performance, count: int = 1) -> Iterator[Motion]:
    """What a person does who says a recording, in several performances.

    Args:
        sound: a recording, or a video with sound.
        own: the person's motion; its first frame counts.
        performance: how it is said; the seeds go up from its own.
        count: how many.

    Raises:
        MediaUnreadable: no sound.
        BadValue: a performance that can't be.
    """
    speaker, performer = load_cast(performance.voice_model, performance.device)
    features = speech_features(read_samples(sound), keep_samples=speaker.spec.needs_samples)
    for k in range(count):
        motion = perform(
            features,
            own,
            speaker,
            performer,
            seed=performance.seed + k,
            temperature=performance.temperature,
            head=performance.head,
            blink=performance.blink,
            articulation=performance.articulation,
        )
        yield with_offset(motion, dict(performance.offset)) if performance.offset else motion


@contextmanager
def spoken(text: str, voice: str) -> Iterator[Path]:
    """A text read aloud into a temporary file.

    Args:
        text: plain text.
        voice: a language of espeak-ng.

    Raises:
        BadValue: nothing to say, or no such voice.
        DependencyMissing: no espeak-ng on this machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield _spoken(text, voice, Path(folder))


def _spoken(text: str, voice: str, folder: Path) -> Path:
    path = folder / "speech.wav"
    write_wave(path, speak(text, voice=voice).samples)
    return path
