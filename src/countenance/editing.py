"""Named coefficients and shape sliders of a portrait, set or swept. No files are touched here.

Angles are radians, as everywhere in code; the command line converts degrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from countenance.animation import Animation, animate, chosen_renderer
from countenance.arrays import Doubles, Floats, Image
from countenance.errors import BadValue, UnknownName, expect_type
from countenance.face.shape_sliders import ShapeSlider, shape_sliders
from countenance.motion.sequence import Motion
from countenance.motion.spaces import Coefficient, get_space
from countenance.portrait.portrait import Portrait
from countenance.ranges import Range
from countenance.renderers.catalogue import renderer_specs
from countenance.renderers.renderer import Renderer
from countenance.renderers.spec import RendererSpec


def slider(spec: RendererSpec, name: str) -> Coefficient | ShapeSlider:
    """What a model lets you set by a name: a coefficient of its space, or a part of the face's shape.

    Raises:
        UnknownName: with the nearest names that the model has.
        BadValue: a shape slider, and the model can't change shapes.
    """
    space = get_space(spec.motion_space)
    shapes = {s.name: s for s in shape_sliders(space.name)}
    if name in shapes and not spec.edits_shape:
        able = [s.name for s in renderer_specs() if s.edits_shape and s.motion_space == space.name]
        raise BadValue(
            f"model '{spec.name}' can't change a face's shape, so not {name}; use --model {' or '.join(able)}"
        )
    named = {c.name: c for c in space.coefficients} | (shapes if spec.edits_shape else {})
    if name not in named:
        raise UnknownName(f"coefficient of '{space.name}'", name, named)
    return named[name]


def edit(
    portrait: Portrait,
    changes: Mapping[str, float],
    renderer: Renderer[Any] | None = None,
    *,
    avatar: Any = None,
) -> Image:
    """A photo with some coefficients or shape sliders set.

    Args:
        portrait: the person.
        changes: name -> value, as in :func:`with_changes`: ``{"yaw": math.radians(15), "jawOpen": 0.4}``. A whole
            expression is a mapping of this kind, too: :func:`countenance.motion.expressions.expression`.
        renderer: makes the picture; the default one if None.
        avatar: of this portrait, if it was enrolled before.

    Returns:
        The whole picture, H x W x 3 uint8, or H x W x 4 of a photo that is transparent somewhere; the very same
        pixels if nothing changes.

    Raises:
        UnknownName: a name that the model does not have.
        BadValue: a shape slider, and the model can't change shapes; a value far outside what the name can be, such as
            degrees; or no portrait.
    """
    expect_type(portrait, Portrait, "the portrait", "read one with load_portrait")
    expect_type(changes, Mapping, "what changes", "write for example {'jawOpen': 0.4}")
    using = chosen_renderer(renderer)
    for name, value in changes.items():
        expect_type(name, str, "a coefficient", "give its name")
        known = slider(using.spec, name)
        turns = isinstance(known, Coefficient) and known.region == "pose"  # is added to the head's own
        reach = (known.maximum - known.minimum) / 2 if turns else 0.0
        unit = "radians" if known.unit == "rad" else ""
        Range(known.minimum - reach, known.maximum + reach, unit).check(value, name)
    own, motion = portrait.motion, with_changes(portrait.motion, changes)
    if np.array_equal(motion.values, own.values) and motion.identity is own.identity:
        return (portrait.image if portrait.cutout is None else portrait.cutout).copy()
    return next(animate(portrait, motion, using, avatar=avatar)).image


def swept(
    portrait: Portrait,
    renderer: Renderer[Any],
    changes: Mapping[str, float],
    name: str,
    values: Doubles,
    fps: float,
    *,
    avatar: Any = None,
) -> Animation:
    """A photo on which one coefficient or shape slider takes one value after the other.

    Args:
        portrait: the person.
        renderer: makes the pictures.
        changes: what is set in all frames, as in :func:`with_changes`.
        name: what is swept. Pose is added to what ``changes`` say of it, others replace it.
        values: (T,) in the unit of ``name``.
        fps: frames a second.
        avatar: of this portrait, if it was enrolled before.

    Returns:
        T frames, lazily.

    Raises:
        UnknownName: a name that the model does not have.
        BadValue: a shape slider, and the model can't change shapes.
    """
    kinds = [slider(renderer.spec, n) for n in (*changes, name)]
    added = isinstance(kinds[-1], Coefficient) and kinds[-1].region == "pose"
    start = changes.get(name, 0.0) if added else 0.0
    frames = [with_changes(portrait.motion, {**changes, name: start + float(v)}) for v in values]
    if isinstance(kinds[-1], ShapeSlider):
        parts = [replace(frame, fps=fps) for frame in frames]
        return animate(portrait, parts, renderer, avatar=avatar)
    whole = frames[0].still(len(frames)).with_values(np.concatenate([frame.values for frame in frames]))
    return animate(portrait, replace(whole, fps=fps), renderer, avatar=avatar)


def with_changes(motion: Motion, changes: Mapping[str, float]) -> Motion:
    """``motion`` with coefficients and shape sliders set.

    Args:
        motion: T frames.
        changes: name -> value in the unit of the space. Angles, positions, scale and shape are added to what is
            there; blendshape weights replace it.

    Raises:
        UnknownName: a name that the space does not have.
    """
    values: Floats = motion.values.copy()
    shapes = [s.name for s in shape_sliders(motion.space.name)]
    shape = np.zeros(len(shapes), np.float32)
    for name, value in changes.items():
        if name in shapes:
            shape[shapes.index(name)] = value
            continue
        column = motion.space.index(name)
        if motion.space.coefficients[column].region == "pose":
            values[:, column] += value
        else:
            values[:, column] = value
    changed = motion.with_values(values)
    if not shape.any():
        return changed
    return replace(changed, identity=shape if motion.identity is None else motion.identity + shape)


def turned_to_front(motion: Motion) -> dict[str, float]:
    """Changes for :func:`with_changes` that make a portrait's head look straight ahead, its expression unchanged.

    Face frontalisation (GDPW, Sec. 4.4): the head's rotation becomes that of the neutral motion.

    Args:
        motion: the portrait's own, one frame.
    """
    return {
        c.name: c.neutral - float(motion.values[0, column])
        for column, c in enumerate(motion.space.coefficients)
        if c.region == "pose" and c.unit == "rad"
    }
