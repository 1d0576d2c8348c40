"""A portrait says something: what a model makes of speech, laid onto a person's own face."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from countenance.arrays import Floats
from countenance.audio.features import SpeechFeatures
from countenance.errors import BadValue, MotionSpaceMismatch
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, MotionSpace
from countenance.motion.transfer import transfer
from countenance.ranges import ARTICULATIONS
from countenance.speech.blinks import with_blinks
from countenance.speech.catalogue import ARTICULATION, TEMPERATURE
from countenance.speech.driver import SpeechDriver

_OPENING = ("jaw", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthRoll",
            "mouthShrug", "tongue", "eyeBlink")  # fmt: skip
"""What speaking decides alone. All else is added to how the person holds the face."""

_PARTING = ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp")
_CALM = 4.0  # frames: spread of the filter; half is left of movements that come 1.2 times a second
_HOLD, _EASE = 7, 5  # frames: of the quarter of a second around a sound, and of the mouth's way to rest


def laid_onto(said: Motion, own: Motion) -> Motion:
    """The motion of a face that speaks, for a portrait that holds its face in its own way.

    Coefficients that open, round and close the mouth are taken as they are: a photo with parted lips must still be able
    to close them. All other expressions are added to the portrait's own, counted from their median. Heads turn from
    the portrait's pose.

    Args:
        said: T frames, of a speech driver.
        own: the portrait's motion; its first frame counts.

    Returns:
        T frames with the portrait's identity.

    Raises:
        MotionSpaceMismatch: the two are in different spaces.
    """
    if said.space != own.space:
        raise MotionSpaceMismatch(said.space.name, own.space.name, "the portrait's model")
    space = said.space
    added = _added(space)
    values = said.values.copy()
    own_values = own.values[0]
    values[:, added] += own_values[added] - np.median(values[:, added], 0)
    expression = space.region_indices("expression")
    low = np.minimum(space.minimum, own_values)[expression]
    high = np.maximum(space.maximum, own_values)[expression]
    values[:, expression] = values[:, expression].clip(low, high)
    pose = space.region_indices("pose")
    values[:, pose] = transfer(said, own[0], "relative", "first").values[:, pose]
    return replace(said.with_values(values), identity=own.identity)


def lips_from(lips: Motion, rest: Motion) -> Motion:
    """``rest`` with the lips and jaw of ``lips``; both of the same length, rate and space.

    Raises:
        BadValue: they are not.
    """
    if (lips.space, lips.fps, len(lips)) != (rest.space, rest.fps, len(rest)):
        raise BadValue("lips and the rest of a face must be motions of one space, rate and length")
    columns = lips.space.region_indices("lips")
    values = rest.values.copy()
    values[:, columns] = lips.values[:, columns]
    return rest.with_values(values)


def pose_from(motion: Motion, poses: Motion) -> Motion:
    """``motion`` with the head of ``poses``, played to and fro until it is long enough.

    Raises:
        MotionSpaceMismatch: different spaces.
    """
    if motion.space != poses.space:
        raise MotionSpaceMismatch(poses.space.name, motion.space.name, "the speech's motion")
    at_rate = poses.resample(motion.fps).values
    there_and_back = np.concatenate([at_rate, at_rate[-2:0:-1]]) if len(at_rate) > 2 else at_rate
    taken = np.arange(len(motion)) % len(there_and_back)
    columns = motion.space.region_indices("pose")
    values = motion.values.copy()
    values[:, columns] = there_and_back[taken][:, columns]
    return motion.with_values(values)


def still_head(motion: Motion) -> Motion:
    """``motion`` with the head in its first pose."""
    columns = motion.space.region_indices("pose")
    values = motion.values.copy()
    values[:, columns] = values[:1, columns]
    return motion.with_values(values)


def with_offset(motion: Motion, offset: dict[str, float]) -> Motion:
    """``motion`` with a lasting expression added: an emotion.

    Args:
        motion: of any space.
        offset: coefficient -> what is added to it in every frame; results stay in their ranges.

    Raises:
        UnknownName: a coefficient that the space does not have.
    """
    values: Floats = motion.values.copy()
    space = motion.space
    for name, amount in offset.items():
        column = space.index(name)
        values[:, column] += amount
        if space.coefficients[column].region != "pose":
            values[:, column] = values[:, column].clip(space.minimum[column], space.maximum[column])
    return motion.with_values(values)


def _added(space: MotionSpace) -> NDArray[np.intp]:
    """Columns of expressions that are added to the person's own."""
    expression = space.region_indices("expression")
    if space != ARKIT:
        return expression
    return np.array([k for k in expression if not space.names[k].startswith(_OPENING)], np.intp)


def perform(
    features: SpeechFeatures,
    own: Motion,
    speaker: SpeechDriver,
    performer: SpeechDriver | None = None,
    *,
    seed: int = 0,
    temperature: float = TEMPERATURE,
    head: Literal["sampled", "none"] | Motion = "sampled",
    blink: bool = True,
    articulation: float = ARTICULATION,
) -> Motion:
    """What a portrait does while it says something.

    Args:
        features: of the speech.
        own: the portrait's motion; its first frame counts.
        speaker: moves the lips; and the rest as well, if it moves heads.
        performer: moves head, brows and eyes where the speaker does not.
        seed: another seed, another performance.
        temperature: 0 calm, 1 as lively as the people that were learnt from.
        head: "sampled" by the models; "none" keeps the portrait's pose; or the poses of a motion.
        blink: add blinks where there are too few.
        articulation: see :func:`articulated`.

    Returns:
        As many frames as the features, at 25 a second.

    Raises:
        MotionSpaceMismatch: portrait and models speak of different spaces.
        BadValue: a seed below 0, or values that the models refuse.
    """
    if not 0 <= seed < 2**63:
        raise BadValue(f"seed is {seed}; use 0 or more, below 2**63")
    start = own[0]
    said = speaker.motion(features, first=start, seed=seed, temperature=temperature)
    if performer is not None and not speaker.spec.moves_head:
        said = lips_from(said, performer.motion(features, first=start, seed=seed, temperature=temperature))
    said = with_calm_face(said)
    said = closed_in_silence(articulated(said, articulation), features)
    if head == "none":
        said = still_head(said)
    elif isinstance(head, Motion):
        said = pose_from(said, head)
    performed = laid_onto(said, own)
    return with_blinks(performed, seed) if blink else performed


def articulated(motion: Motion, strength: float) -> Motion:
    """``motion`` with larger or smaller movements of the lips, about their mean.

    Args:
        motion: T frames.
        strength: 1 leaves it as it is, 0 holds the lips still; 0 to 4.

    Raises:
        BadValue: a strength outside that.
    """
    ARTICULATIONS.check(strength, "the articulation")
    columns = motion.space.region_indices("lips")
    values = motion.values.copy()
    middle = values[:, columns].mean(0)
    values[:, columns] = middle + strength * (values[:, columns] - middle)
    values[:, columns] = motion.space.clamp(values)[:, columns]
    return motion.with_values(values)


def with_calm_face(motion: Motion) -> Motion:
    """``motion`` without the trembling that frame-by-frame sampling gives heads, brows and lids; lips stay.

    Trackers report every twitch of a lid, and a flow learns that, too. What is quicker than a nod goes. Lids stay where
    they mostly are, and :func:`countenance.speech.blinks.with_blinks` gives back whole blinks, of both eyes at once.
    """
    columns = np.setdiff1d(np.arange(motion.space.size), motion.space.region_indices("lips"))
    values = motion.values.copy()
    values[:, columns] = gaussian_filter1d(values[:, columns], _CALM, axis=0, mode="nearest")
    if motion.space == ARKIT:
        lids = motion.space.indices(["eyeBlinkLeft", "eyeBlinkRight"])
        values[:, lids] = np.median(motion.values[:, lids], 0)
    return motion.with_values(values)


def closed_in_silence(motion: Motion, features: SpeechFeatures) -> Motion:
    """``motion`` whose mouth is shut wherever nothing is heard for a quarter of a second or longer.

    Args:
        motion: T frames; spaces without names for the lips come back as they are.
        features: T frames.
    """
    if motion.space != ARKIT:
        return motion
    heard = maximum_filter1d((features.loudness > 0).astype(np.float32), _HOLD)
    open_share = np.convolve(np.pad(heard, _EASE // 2, mode="edge"), np.ones(_EASE) / _EASE, "valid")
    columns = [k for k, name in enumerate(ARKIT.names) if name.startswith(_PARTING)]
    values = motion.values.copy()
    values[:, columns] *= open_share[: len(values), None]
    return motion.with_values(values)
