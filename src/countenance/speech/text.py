"""Text to speech through espeak-ng: a synthetic voice, and when each phoneme of it is spoken.

espeak-ng (https://github.com/espeak-ng/espeak-ng, GPL-3.0-or-later) is a formant synthesiser: small, quick, in
more than a hundred languages, and plainly a machine. It is loaded from the PyPI package ``espeakng-loader``,
which brings the library and its data, else from the system.
"""

from __future__ import annotations

import _ctypes
import ctypes
import importlib
import math
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Doubles, Floats
from countenance.audio.samples import RATE
from countenance.errors import BadValue, DependencyMissing, WeightsMissing

PAUSE: Final = "_"
"""Name of a :class:`Phoneme` in which nobody speaks."""

LEAD_S: Final = 0.12
"""Silence before the first word: lips move before they sound."""

TAIL_S: Final = 0.3
"""Silence after the last word, in which the mouth comes to rest."""

SPEEDS_WPM: Final = (80, 450)
"""The slowest and the fastest that espeak-ng speaks, words a minute."""

_Integers: TypeAlias = NDArray[np.int16]
_LOCK: Final = threading.Lock()

# From espeak-ng's speak_lib.h.
_SYNCHRONOUS: Final = 2
_PHONEME_EVENTS, _IPA_NAMES, _DONT_EXIT = 0x1, 0x2, 0x8000
_RATE, _PITCH = 1, 3
_UTF8: Final = 1
_FASTEST_TIMED: Final = 449  # at 450 espeak begins to shorten the sound after it has timed it
_LIST_END, _PHONEME_EVENT = 0, 7

# A plosive's burst follows a silence in which the mouth is shut; espeak counts that as the sound before.
_STOPS: Final = frozenset("pbtdkɡgqɢcɟʈɖ")
_STRESS: Final = "ˈˌ"
_CLOSURE_S: Final = 0.06
_STEP_S: Final = 0.005
_SEED: Final = 1
_QUIET: Final = 0.002  # root mean square, of full scale; a closure is at zero, the softest speech above

_LANGUAGE: Final = re.compile(r"[A-Za-z0-9 ()_-]{1,40}")

# espeak takes \x01 as the start of a command; the others stop it or say nothing.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Phoneme:
    """One sound of speech.

    Attributes:
        name: espeak's IPA name, with its stress and length marks (``ˈɑː``, ``tʃ``, ``oʊ``), at most 8 bytes of
            UTF-8; :data:`PAUSE` for a pause.
        start_s: seconds from the first sample.
        end_s: seconds, where the next phoneme starts.
    """

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class SpokenText:
    """Speech and its phonemes.

    Attributes:
        samples: (N,) float32, mono, :data:`RATE` a second, in [-1, 1].
        phonemes: ascending, without gaps, from 0 to ``duration_s``; first and last are pauses.
    """

    samples: Floats
    phonemes: tuple[Phoneme, ...]

    @property
    def duration_s(self) -> float:
        """Seconds of speech, with its pauses."""
        return len(self.samples) / RATE


def speak(text: str, *, voice: str = "en-us", speed_wpm: int = 165, pitch: int = 50) -> SpokenText:
    """Speaks a text. With espeak-ng 1.52, as the package brings it, the same arguments give the same
    samples, whenever and after whatever.

    The names of phonemes are those of espeak's IPA events: unlike its mnemonics, a letter means the same in
    every language. A plosive's silent closure counts to the plosive, up to 60 ms of it.

    May be called from any thread; calls wait for each other. espeak keeps its oscillators' state from call to
    call and offers no way to reset it, so it is loaded anew each time (4 ms). If another part of the process
    holds the same library open, that does not reset it, and the two disturb each other.

    Args:
        text: plain text; markup is read aloud. Control characters count as spaces.
        voice: a language of espeak-ng (``en-us``, ``de``, ``fr``), and perhaps a variant: ``en-us+f3``.
        speed_wpm: words a minute, in :data:`SPEEDS_WPM`.
        pitch: 0 (low) to 100 (high).

    Raises:
        BadValue: nothing to speak, an unknown voice or variant, speed or pitch out of range.
        DependencyMissing: no espeak-ng on this machine.
        WeightsMissing: espeak-ng without its data.
    """
    slowest, fastest = SPEEDS_WPM
    if not slowest <= speed_wpm <= fastest:
        raise BadValue(f"the speed is {speed_wpm} words a minute; use {slowest} to {fastest}")
    if not 0 <= pitch <= 100:
        raise BadValue(f"the pitch is {pitch}; use 0 (low) to 100 (high)")
    plain = _CONTROLS.sub(" ", text).strip()
    if not plain:
        raise BadValue("the text is empty; give at least one word to speak")
    with _LOCK, _espeak() as (library, rate):
        _choose_voice(library, voice)
        library.espeak_SetParameter(_RATE, min(speed_wpm, _FASTEST_TIMED), 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        spoken, events = _synthesise(library, plain.encode("utf-8", "replace"))
    return _assembled(spoken, events, rate, plain)


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_void_p), ("string", ctypes.c_ubyte * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@contextmanager
def _espeak() -> Iterator[tuple[ctypes.CDLL, int]]:
    """The library, initialised, and its samples a second; unloaded at the end."""
    library, data = _load()
    try:
        options = _PHONEME_EVENTS | _IPA_NAMES | _DONT_EXIT
        rate = int(library.espeak_Initialize(_SYNCHRONOUS, 0, data, options))
        if rate <= 0:
            fix = "install espeakng-loader again, in a folder whose path is shorter than 120 characters"
            raise WeightsMissing("espeak-ng-data", fix)
        # Since 1.52 espeak draws breath and flutter by numbers that begin with the second of the day; before,
        # there was neither the seed nor the function that sets it.
        if hasattr(library, "espeak_ng_SetRandSeed"):
            library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
        try:
            yield library, rate
        finally:
            library.espeak_Terminate()
    finally:
        if sys.platform == "win32":
            _ctypes.FreeLibrary(library._handle)
        else:
            _ctypes.dlclose(library._handle)


def _load() -> tuple[ctypes.CDLL, bytes | None]:
    """The library, and the folder of its data; None for where it looks by itself."""
    try:
        loader = importlib.import_module("espeakng_loader")
        return ctypes.CDLL(loader.get_library_path()), os.fsencode(loader.get_data_path())
    except (ImportError, OSError, RuntimeError) as error:
        system = find_library("espeak-ng")
        if system is None:
            raise DependencyMissing("espeakng-loader", "text", "speaking a text") from error
        return ctypes.CDLL(system), None


def _choose_voice(library: ctypes.CDLL, voice: str) -> None:
    language, plus, variant = voice.partition("+")
    # espeak itself passes over a variant that it does not know, and a long one ends the whole process.
    if plus and variant not in (known := _variants(library)):
        some = ", ".join(v for v in ("f1", "f2", "f3", "m1", "m2", "m3") if v in known)
        raise BadValue(f"espeak-ng has no variant '{variant}' of a voice; use one such as {some}")
    if not _LANGUAGE.fullmatch(language) or library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise BadValue(f"espeak-ng has no voice '{voice}'; use a language such as en-us, en, de, fr or es")


def _variants(library: ctypes.CDLL) -> set[str]:
    library.espeak_Info.restype = ctypes.c_char_p
    folder = ctypes.c_char_p()
    library.espeak_Info(ctypes.byref(folder))
    return {file.name for file in Path(os.fsdecode(folder.value or b""), "voices", "!v").glob("*")}


def _synthesise(library: ctypes.CDLL, text: bytes) -> tuple[_Integers, list[tuple[float, str]]]:
    """(N,) samples, and the start in seconds and name of each phoneme; the last is where the speech ends."""
    chunks: list[bytes] = []
    events: list[tuple[float, str]] = []
    end_s = 0.0

    def receive(wave: Any, count: int, event: Any) -> int:
        nonlocal end_s
        if count > 0:
            chunks.append(ctypes.string_at(wave, 2 * count))
        index = 0
        while event[index].type != _LIST_END:
            at = event[index]
            end_s = max(end_s, at.audio_position / 1000)
            if at.type == _PHONEME_EVENT:
                # Longer names are cut after 8 bytes, perhaps within a letter.
                name = bytes(at.id.string).split(b"\0")[0].decode("utf-8", "ignore")
                if not name.startswith("("):  # "(en)" and "(fr)" enclose a word of another language
                    events.append((at.audio_position / 1000, name or PAUSE))
            index += 1
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    return np.frombuffer(b"".join(chunks), dtype=np.int16), [*events, (end_s, PAUSE)]


def _assembled(spoken: _Integers, events: list[tuple[float, str]], rate: int, text: str) -> SpokenText:
    if all(name == PAUSE for _, name in events):
        raise BadValue(f"there is nothing to speak in '{text[:40]}'; give at least one word")
    from scipy.signal import resample_poly

    lead, tail = round(LEAD_S * rate), round(TAIL_S * rate)
    padded = np.pad(spoken.astype(np.float64) / 32768, (lead, tail))
    common = math.gcd(RATE, rate)
    resampled = resample_poly(padded, RATE // common, rate // common)
    samples = np.clip(resampled, -1, 1).astype(np.float32)
    names = [PAUSE, *(name for _, name in events)]
    starts = np.array([0.0, *(LEAD_S + start for start, _ in events)])
    starts = _with_closures(starts, names, samples)
    return SpokenText(samples, _phonemes(starts, names, len(samples) / RATE))


def _with_closures(starts: Doubles, names: list[str], samples: Floats) -> Doubles:
    """Moves the start of each plosive to the start of the silence before it."""
    step = round(_STEP_S * RATE)
    whole = samples[: len(samples) // step * step].reshape(-1, step)
    quiet = np.sqrt(np.mean(whole**2, axis=1)) < _QUIET
    moved = starts.copy()
    for i in range(1, len(starts)):
        if names[i].lstrip(_STRESS)[:1] not in _STOPS:
            continue
        earliest = max(starts[i] - _CLOSURE_S, (starts[i - 1] + starts[i]) / 2)
        block = int(starts[i] / _STEP_S)
        while block > 0 and quiet[block - 1] and (block - 1) * _STEP_S >= earliest:
            block -= 1
        moved[i] = min(starts[i], block * _STEP_S)
    return moved


def _phonemes(starts: Doubles, names: list[str], duration_s: float) -> tuple[Phoneme, ...]:
    """Joins neighbouring pauses and leaves out what has no length."""
    ends = [*(float(start) for start in starts[1:]), duration_s]
    found: list[Phoneme] = []
    for name, start, end in zip(names, map(float, starts), ends, strict=True):
        if end <= start:
            continue
        if found and name == PAUSE == found[-1].name:
            found[-1] = Phoneme(PAUSE, found[-1].start_s, end)
        else:
            found.append(Phoneme(name, start, end))
    return tuple(found)
