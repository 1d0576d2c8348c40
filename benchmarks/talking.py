"""How well speech drives a face, beside baselines: filmed people, synthetic speech, and what differs from seed to seed.

    python benchmarks/talking.py [--clips FOLDER] [--markdown docs/results.md]
    python benchmarks/talking.py --fit-gain ../shared/data/heads/train

`--fit-gain` measures nothing else: it prints the constant of the baseline "loudness" in
`countenance/evaluation/talking.py`, fitted on the clips of that folder. Rows "openfacefx" need that package.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from countenance.arrays import Floats
from countenance.audio.features import FPS, SpeechFeatures, speech_features
from countenance.audio.samples import RATE, all_samples
from countenance.evaluation.talking import (
    LOUDNESS_GAIN,
    FilmedSpeech,
    Speaker,
    TalkScores,
    closed_mouth,
    coming_loudness,
    face_height,
    filmed_speech,
    held_lips,
    known_speech,
    lip_opening,
    lips_of,
    loudness_jaw,
    mean_talk_scores,
    talking,
)
from countenance.face.mediapipe_model import mediapipe_model
from countenance.media.video import VideoReader
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.speech.catalogue import DEFAULT, PERFORMER, load_speech_driver
from countenance.speech.driver import SpeechDriver, SpeechSpec
from countenance.speech.performance import laid_onto, perform
from countenance.speech.spoken_text import AHEAD_S
from countenance.speech.text import Phoneme, SpokenText, speak
from countenance.speech.visemes import viseme_motion
from countenance.trackers.catalogue import load_tracker
from openfacefx_peer import INSTALLED, from_sound, from_text
from page import replace_section

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "heads" / "test"
TEMPERATURE = 0.6  # the default of `perform`
FILMED_SEEDS, VARIETY_SEEDS = range(3), range(6)
SILENCE_S = 10.0
OPEN = 0.01  # of the face's height: lips that are this much farther apart than at rest
BLINK = 0.4  # of eyeBlink: above it the eye is shut
VOICES = (("en-us+f5", 150, 55), ("en+m6", 165, 40), ("en-us+m8", 180, 50))  # not those of training
SENTENCES = (
    "Bob gave the puppy a bowl of warm milk.",
    "The ferry to the island leaves at half past five.",
    "Why would anybody paint a whole house purple?",
    "My father fixed the old clock with a paper clip.",
    "She whispered something, but I could not hear it.",
    "Four brave women crossed the mountain before winter.",
    "We have no more bread, so please buy some on your way.",
    "Move the lamp a bit closer, it is too dark to read.",
    "Tomorrow morning the shop will open at nine.",
    "A thousand birds flew over the empty valley.",
    "Both of them smiled when the music began.",
    "Is this the famous bridge you told me about?",
)
"""Others than those of countenance/speech/sentences.txt, which training may use."""


@dataclass(frozen=True, eq=False)
class Remembered:
    """A driver that is asked for the same again and again."""

    driver: SpeechDriver
    known: dict[tuple[object, ...], Motion] = field(default_factory=dict)

    @property
    def spec(self) -> SpeechSpec:
        """Of the driver."""
        return self.driver.spec

    def motion(
        self,
        features: SpeechFeatures,
        *,
        first: Motion | None = None,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> Motion:
        """Of the driver; the same object for the same arguments."""
        own = None if first is None else first.values.tobytes()
        key = (features.log_mel.tobytes(), own, seed, temperature)
        if key not in self.known:
            self.known[key] = self.driver.motion(features, first=first, seed=seed, temperature=temperature)
        return self.known[key]


@dataclass(frozen=True)
class Voices:
    """The models that are measured."""

    lips: SpeechDriver
    whole: SpeechDriver

    def alone(self, driver: SpeechDriver, seed: int = 0) -> Speaker:
        """What a model says, laid onto the portrait."""

        def speaker(features: SpeechFeatures, own: Motion) -> Motion:
            said = driver.motion(features, first=own, seed=seed, temperature=TEMPERATURE)
            return laid_onto(said, own)

        return speaker

    def talk(self, seed: int = 0) -> Speaker:
        """What `countenance talk` does by default."""
        return partial(perform, speaker=self.lips, performer=self.whole, seed=seed)

    def speakers(self, flow_seeds: Sequence[int]) -> dict[str, list[Speaker]]:
        """Ways to speak by their names in the tables, one for each seed."""
        return {
            self.lips.spec.name: [self.alone(self.lips)],
            self.whole.spec.name: [self.alone(self.whole, seed) for seed in flow_seeds],
            "`talk`": [self.talk()],
        }


def speaking_clips(folder: Path) -> list[Path]:
    """Clips in which somebody speaks: as the manifest beside the folder says, else all that have sound."""
    clips = sorted(folder.glob("*.mp4")) if folder.is_dir() else []
    manifest = folder.parent / "manifest.jsonl"
    if not manifest.is_file():
        return [clip for clip in clips if _has_sound(clip)]
    entries = [json.loads(line) for line in manifest.read_text().splitlines() if line]
    speaking = {Path(entry["file"]).parts[-2:] for entry in entries if entry.get("speech")}
    return [clip for clip in clips if clip.parts[-2:] in speaking]


def _has_sound(clip: Path) -> bool:
    with VideoReader(clip) as video:
        return video.has_audio


def heard_and_tracked(folder: Path) -> list[FilmedSpeech]:
    """All clips in which somebody speaks."""
    clips = speaking_clips(folder)
    if not clips:
        sys.exit(f"no .mp4 clips with speech in {folder}; name a folder with --clips")
    tracker = load_tracker()
    filmed = []
    for clip in clips:
        filmed.append(filmed_speech(clip, tracker))
        print(f"tracked {clip.name}: {len(filmed[-1].frames)} frames", file=sys.stderr)
    return filmed


def fitted_gain(clips: Sequence[FilmedSpeech]) -> float:
    """The gain of the baseline "loudness" that brings lips nearest to filmed ones, by least squares."""
    jaw = Motion.neutral(ARKIT, 1, FPS).set(jawOpen=1.0)
    along = size = 0.0
    for filmed in clips:
        shut = lips_of(closed_mouth(filmed.features, filmed.motion[0])[:1], filmed.neutral)
        basis = lips_of(jaw, filmed.neutral) - lips_of(jaw.set(jawOpen=0.0), filmed.neutral)
        loudness = coming_loudness(filmed.features)
        moments = filmed.frames * (FPS / filmed.motion.fps)
        opened = np.interp(moments, np.arange(len(loudness)), loudness)[:, None, None] * basis
        along += float((opened * (filmed.lips[filmed.frames] - shut)).sum())
        size += float((opened**2).sum())
    return along / size


def scored(filmed: FilmedSpeech, speakers: Mapping[str, Sequence[Speaker]]) -> dict[str, TalkScores]:
    """Scores by name, means over seeds."""
    return {
        name: mean_talk_scores([talking(filmed, {name: one})[name] for one in seeds])
        for name, seeds in speakers.items()
    }


def means_table(results: Sequence[Mapping[str, TalkScores]]) -> str:
    """A row a way to speak."""
    lines = [
        "| | lip landmark distance (% of face height) | correlation of lip opening | correlation of jawOpen "
        "| size of the movement |",
        "| --- " * 5 + "|",
    ]
    for name in results[0]:
        mean = mean_talk_scores([result[name] for result in results])
        cells = (mean.opening_correlation, mean.jaw_correlation, mean.movement)
        lines.append(
            f"| {name} | {mean.lip_distance_percent:.3f} | " + " | ".join(f"{c:.2f}" for c in cells) + " |"
        )
    return "\n".join(lines)


def clips_table(names: Sequence[str], results: Sequence[Mapping[str, TalkScores]]) -> str:
    """A row a clip, a column a way to speak."""
    shown = list(results[0])
    lines = ["| clip | " + " | ".join(shown) + " |", "| --- " * (len(shown) + 1) + "|"]
    for name, result in zip(names, results, strict=True):
        cells = [
            f"{s.lip_distance_percent:.2f} / {s.opening_correlation:.2f} / {s.jaw_correlation:.2f}"
            for s in (result[way] for way in shown)
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def filmed_text(folder: Path, clips: Sequence[FilmedSpeech], voices: Voices) -> str:
    """Section "talking filmed"."""
    gain = fitted_gain(clips)
    results = []
    for filmed in clips:
        speakers: dict[str, list[Speaker]] = {
            "first frame held": [held_lips],
            "closed mouth": [closed_mouth],
            "loudness": [loudness_jaw],
            "loudness, fitted on these clips": [partial(loudness_jaw, gain=gain)],
            **as_speakers(from_sound(all_samples(folder / filmed.name), AHEAD_S)),
            **voices.speakers(FILMED_SEEDS),
            "tracked coefficients": [lambda _, __, filmed=filmed: filmed.motion],
        }
        results.append(scored(filmed, speakers))
    left_out = ("first frame held", "loudness, fitted on these clips", "tracked coefficients")
    by_clip = [{name: s for name, s in result.items() if name not in left_out} for result in results]
    names = [Path(filmed.name).stem for filmed in clips]
    seconds = sum(len(filmed.frames) / filmed.motion.fps for filmed in clips)
    return (
        f"{len(clips)} clips, {seconds:.0f} s. Full loudness opens jaws by {LOUDNESS_GAIN:.2f}, as in our training "
        f"clips, and by {gain:.2f} where it is fitted on these.\n\n{means_table(results)}\n\n"
        "By clip, lip landmark distance / correlation of lip opening / correlation of jawOpen:\n\n"
        f"{clips_table(names, by_clip)}"
    )


@dataclass(frozen=True, eq=False)
class Sentence:
    """A sentence that a synthetic voice says."""

    text: str
    spoken: SpokenText
    features: SpeechFeatures
    phonemes: tuple[Phoneme, ...]  # when mouths form them

    @property
    def truth(self) -> FilmedSpeech:
        """What our rule makes of the phonemes."""
        moved = viseme_motion(self.phonemes, len(self.features) / FPS, FPS)
        rest = Motion.neutral(ARKIT, 1, FPS)
        return known_speech(self.text, self.features, laid_onto(moved, rest))


def sentences() -> list[Sentence]:
    """All of them in all voices."""
    made = []
    for text in SENTENCES:
        for voice, speed, pitch in VOICES:
            spoken = speak(text, voice=voice, speed_wpm=speed, pitch=pitch)
            early = (
                Phoneme(p.name, max(0.0, p.start_s - AHEAD_S), p.end_s - AHEAD_S) for p in spoken.phonemes
            )
            made.append(Sentence(text, spoken, speech_features([spoken.samples]), tuple(early)))
    return made


def as_speakers(motions: Mapping[str, Motion]) -> dict[str, list[Speaker]]:
    """What openfacefx made, by what it was given."""

    def speaker(said: Motion) -> Speaker:
        return lambda _, own: laid_onto(said, own)

    return {f"openfacefx: {given}": [speaker(said)] for given, said in motions.items()}


def synthetic_text(voices: Voices) -> str:
    """Section "talking synthetic"."""
    results, seconds = [], 0.0
    for sentence in sentences():
        speakers: dict[str, list[Speaker]] = {
            "closed mouth": [closed_mouth],
            "loudness": [loudness_jaw],
            **voices.speakers(range(1)),
            **as_speakers(from_sound(sentence.spoken.samples, AHEAD_S)),
            **as_speakers(from_text(sentence.text, sentence.phonemes, sentence.spoken.duration_s, AHEAD_S)),
        }
        results.append(scored(sentence.truth, speakers))
        seconds += sentence.spoken.duration_s
    missing = "" if INSTALLED else " openfacefx is not installed: its rows are left out."
    return f"{len(SENTENCES)} sentences in {len(VOICES)} voices, {seconds:.0f} s.{missing}\n\n{means_table(results)}"


def spreads(motions: Sequence[Motion], over: str) -> tuple[float, float, float]:
    """Standard deviation of pose in degrees, of brows and of lips: "seeds" or "time"."""
    values = np.stack([motion.values for motion in motions])
    spread = values.std(0 if over == "seeds" else 1)
    pose = np.degrees(spread[..., ARKIT.indices(("yaw", "pitch", "roll"))])
    regions = (spread[..., ARKIT.region_indices(region)] for region in ("brows", "lips"))
    return float(pose.mean()), *(float(region.mean()) for region in regions)


def variety_table(clips: Sequence[FilmedSpeech], voices: Voices) -> str:
    """Spread from seed to seed, and over time beside that of the people who were filmed."""
    rows = ["| | pose (deg) | brows | lips |", "| --- " * 4 + "|"]

    def add(name: str, measured: Sequence[tuple[float, float, float]]) -> None:
        pose, brows, lips = np.mean(measured, 0)
        rows.append(f"| {name} | {pose:.2f} | {brows:.4f} | {lips:.4f} |")

    for name, way in _performing(voices).items():
        said = [[way(seed)(f.features, f.motion[0]) for seed in VARIETY_SEEDS] for f in clips]
        for over in ("seeds", "time"):
            add(f"{name}, over {over}", [spreads(motions, over) for motions in said])
    add("filmed people, over time", [spreads([f.motion], "time") for f in clips])
    return "\n".join(rows)


def silence_table(voices: Voices) -> str:
    """What faces do while nobody speaks."""
    features = speech_features([np.zeros(round(SILENCE_S * RATE), np.float32)])
    rest = Motion.neutral(ARKIT, 1, FPS)
    rows = [
        "| | frames with an open mouth, % | blinks in 10 s | yaw, standard deviation (deg) |",
        "| --- " * 4 + "|",
    ]
    for name, way in _performing(voices).items():
        measured = [in_silence(way(seed)(features, rest)) for seed in VARIETY_SEEDS]
        parted, blinks, yaw = np.mean(measured, 0)
        rows.append(f"| {name} | {100 * parted:.1f} | {blinks:.1f} | {yaw:.2f} |")
    return "\n".join(rows)


def in_silence(motion: Motion) -> tuple[float, float, float]:
    """Share of frames with an open mouth, number of blinks, spread of yaw in degrees."""
    neutral = mediapipe_model().mean.astype(np.float64)
    opening = lip_opening(lips_of(motion, neutral))
    at_rest = lip_opening(lips_of(Motion.neutral(ARKIT, 1, FPS), neutral))
    shut = motion["eyeBlinkLeft", "eyeBlinkRight"].mean(1) > BLINK
    yaw: Floats = np.degrees(motion["yaw"])
    parted = opening > at_rest + OPEN * face_height(neutral)
    return float(parted.mean()), float((np.diff(shut.astype(np.int8)) > 0).sum()), float(yaw.std())


def _performing(voices: Voices) -> dict[str, Callable[[int], Speaker]]:
    return {voices.whole.spec.name: partial(voices.alone, voices.whole), "`talk`": voices.talk}


def variety_text(clips: Sequence[FilmedSpeech], voices: Voices) -> str:
    """Section "talking variety"."""
    return (
        f"{len(VARIETY_SEEDS)} seeds, temperature {TEMPERATURE}; the sound of the {len(clips)} clips above:\n\n"
        f"{variety_table(clips, voices)}\n\n"
        f"{SILENCE_S:.0f} s of silence, mean of the same seeds:\n\n{silence_table(voices)}"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--markdown", type=Path, help="file whose marked sections are replaced")
    parser.add_argument("--fit-gain", type=Path, help="folder of training clips; only fits the baseline")
    args = parser.parse_args()
    if args.fit_gain:
        print(f"LOUDNESS_GAIN = {fitted_gain(heard_and_tracked(args.fit_gain)):.3f}")
        return
    clips = heard_and_tracked(args.clips)
    voices = Voices(Remembered(load_speech_driver(DEFAULT)), Remembered(load_speech_driver(PERFORMER)))
    texts = {
        "talking filmed": filmed_text(args.clips, clips, voices),
        "talking synthetic": synthetic_text(voices),
        "talking variety": variety_text(clips, voices),
    }
    for section, text in texts.items():
        print(f"{section}\n\n{text}\n")
        if args.markdown:
            replace_section(args.markdown, section, text)


if __name__ == "__main__":
    main()
