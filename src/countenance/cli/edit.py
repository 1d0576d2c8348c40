"""``countenance edit``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from countenance.devices import Device
from countenance.ranges import DURATION_S, FACE_NUMBER, FRAME_RATE, PICTURE_SIDE_PX


@dataclass(frozen=True)
class Edit:
    """Set named coefficients of a portrait: one picture, or a video that sweeps one of them.

    With nothing set, the picture comes back unchanged. Angles (yaw, pitch, roll) are degrees and are added to the
    portrait's own, as are x, y and logScale; blendshape weights (0 to 1) replace it. yaw > 0 turns the nose to
    image right, pitch > 0 down, roll > 0 tilts the head to image left. Parts of the face's shape, such as noseWidth or
    jawWidth, go from -1 to 1, and 0 is the person's own.

    examples:
      countenance edit me.jpg -o out.png --set yaw=15 --set mouthSmileLeft=0.7 --set mouthSmileRight=0.7
      countenance edit me.jpg -o out.png --set expression=smile
      countenance edit me.jpg -o out.png --set noseWidth=-0.5 --set eyeSize=0.4
      countenance edit me.jpg -o front.png --frontalize
      countenance edit me.jpg -o out.mp4 --sweep yaw=-30:30 --seconds 4
      countenance edit --list
    """

    source: Annotated[Path | None, tyro.conf.Positional] = None
    """A photo."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A picture; with --sweep a video, .gif or folder."""
    settings: Annotated[list[str], tyro.conf.UseAppendAction, tyro.conf.arg(name="set")] = field(
        default_factory=list
    )
    """name=value; may be given several times. `expression=NAME` sets a whole expression."""
    frontalize: bool = False
    """Turn the head to the camera; --set yaw=... then counts from there. `geometric` and `gdpw-lite` turn a photo by
    about 40 degrees at most, as they can't know its far side."""
    sweep: str | None = None
    """name=start:stop; there and back."""
    seconds: Annotated[float, DURATION_S] = 4.0
    """Length of a sweep."""
    fps: Annotated[float, FRAME_RATE] = 25.0
    """Frame rate of a sweep."""
    model: str | None = None
    """Renderer; `countenance models` lists them and says which is the default."""
    device: Device = "auto"
    """Where networks compute; auto takes the fastest that is here."""
    face: Annotated[int, FACE_NUMBER] = 1
    """Which face: 1 is the largest."""
    avatar: Path | None = None
    """A .safetensors file: if it is there, the photo's avatar is read from it, else it is written. Enrolling takes
    a minute with otavatar-lite and longer with otavatar."""
    crop: bool = False
    """Write only the square around the face."""
    max_size: Annotated[int | None, PICTURE_SIDE_PX] = None
    """Scale a larger result down to so many pixels on the longer side."""
    names: Annotated[bool, tyro.conf.arg(name="list")] = False
    """List all names, with ranges, and the whole expressions."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.errors import BadValue

        if self.names:
            return _names()
        if self.source is None or self.output is None:
            raise BadValue(
                "edit needs a picture and an output; write: countenance edit me.jpg -o out.png --set yaw=15"
            )
        if self.sweep is not None:
            return self._sweep(self.source, self.output)
        return self._still(self.source, self.output)

    def _with_front(self, changes: dict[str, float], own: Any) -> dict[str, float]:
        """The changes, counted from the front if that is wanted."""
        from countenance.editing import turned_to_front

        front = turned_to_front(own) if self.frontalize else {}
        return {**front, **{name: value + front.get(name, 0.0) for name, value in changes.items()}}

    def _still(self, source: Path, output: Path) -> dict[str, Any]:
        from countenance.atomic import expect_other_than_inputs
        from countenance.cli.avatars import check_avatar, enrolled, load_enroller
        from countenance.cli.settings import parse_settings
        from countenance.editing import edit
        from countenance.media.image_writer import check_image_output
        from countenance.pipeline.outputs import write_marked_image
        from countenance.pipeline.sources import load_portrait
        from countenance.portrait.crop import Crop
        from countenance.trackers.catalogue import tracker_for

        check_image_output(output)
        expect_other_than_inputs(output, [source])
        check_avatar(self.avatar)
        renderer = load_enroller(self.model, self.device)
        spec = renderer.spec
        changes = parse_settings(self.settings, spec)
        tracker = tracker_for(spec.motion_space, self.device)
        portrait = load_portrait(source, face=self.face, crop_scale=spec.crop_scale, tracker=tracker)
        changes = self._with_front(changes, portrait.motion)
        # Without a file, nothing is enrolled where nothing changes.
        avatar = None if self.avatar is None else enrolled(portrait, renderer, self.avatar)
        image = edit(portrait, changes, renderer, avatar=avatar)
        if self.crop:
            image = Crop.around(portrait.box_px).cut(image)
        write_marked_image(output, image, renderer.spec.name, max_side_px=self.max_size)
        return {"output": str(output), "model": renderer.spec.name, "set": changes, "text": str(output)}

    def _sweep(self, source: Path, output: Path) -> dict[str, Any]:
        from countenance.atomic import expect_other_than_inputs
        from countenance.cli.avatars import check_avatar, enrolled, load_enroller
        from countenance.cli.progress import bar
        from countenance.cli.settings import parse_settings, parse_sweep
        from countenance.editing import swept
        from countenance.media.writer import check_output
        from countenance.motion.interpolation import there_and_back
        from countenance.pipeline.outputs import write_video
        from countenance.pipeline.sources import load_portrait
        from countenance.portrait.crop import Crop
        from countenance.trackers.catalogue import tracker_for

        check_output(output)
        expect_other_than_inputs(output, [source])
        check_avatar(self.avatar)
        renderer = load_enroller(self.model, self.device)
        spec = renderer.spec
        name, start, stop = parse_sweep(self.sweep or "", spec)
        changes = parse_settings(self.settings, spec)
        values = there_and_back(start, stop, self.seconds, self.fps)
        tracker = tracker_for(spec.motion_space, self.device)
        portrait = load_portrait(source, face=self.face, crop_scale=spec.crop_scale, tracker=tracker)
        changes = self._with_front(changes, portrait.motion)
        avatar = enrolled(portrait, renderer, self.avatar)
        frames = swept(portrait, renderer, changes, name, values, self.fps, avatar=avatar)
        written = write_video(
            output,
            bar(frames, f"rendering {output.name}", len(values)),
            self.fps,
            model=renderer.spec.name,
            max_side_px=self.max_size,
            crop=Crop.around(portrait.box_px) if self.crop else None,
        )
        return {
            "output": str(output),
            "frames": written,
            "model": renderer.spec.name,
            "text": f"{output}: {written} frames",
        }


def _names() -> dict[str, Any]:
    import math
    from dataclasses import asdict

    from countenance.face.shape_sliders import ARKIT_SLIDERS
    from countenance.motion.expressions import EXPRESSIONS
    from countenance.motion.spaces import ARKIT

    rows = []
    for c in ARKIT.coefficients:
        scale, unit = (180 / math.pi, "degrees") if c.unit == "rad" else (1.0, c.unit)
        rows.append(
            {"name": c.name, "minimum": c.minimum * scale, "maximum": c.maximum * scale, "unit": unit}
        )
    lines = [f"{r['name']:22} {r['minimum']:g} to {r['maximum']:g} {r['unit']}" for r in rows]
    lines += [f"{s.name:22} {s.minimum:g} to {s.maximum:g} shape: {s.effect}" for s in ARKIT_SLIDERS]
    lines.append("expression=NAME        " + ", ".join(EXPRESSIONS))
    return {
        "coefficients": rows,
        "shape": [asdict(s) for s in ARKIT_SLIDERS],
        "expressions": sorted(EXPRESSIONS),
        "text": "\n".join(lines),
    }
