"""Is it one head from all sides? Landmarks found in turned views, triangulated, and seen again by every camera.

    python benchmarks/view_consistency.py [PHOTO ...] [--model runs/otavatar/weights.safetensors]
        [--avatar FILE] [--sheet FILE.png] [--json FILE] [--markdown docs/results.md]

A person (the astronaut by default) is enrolled and drawn at yaws of -40 to 40 degrees, level, with the motion held and
the photo's framing. The tracker finds 478 landmarks in each view. Each landmark becomes the point in space that fits
all views best (linear least squares, DLT), which every camera projects again. The error is the distance of the two, in
percent of the face's height in that view: root of the mean square, and median. The target is 2 %. As a control, the
frontal view is taken for what every camera sees ("flat").

That error alone proves little: with the mean face, the control has an RMS of 1.8 % (eyes, nose and mouth 1.3 %), for
each landmark fits a point near the axis of the turn, and a head that turns half as far has 1.3 %. So the turn is told,
too: how far the yaw that the tracker measures is from the camera's, in degrees. A head in 3D has little of both.

The tracker may take a photo that was turned for a head that looks more ahead than it does. So there is a second
control, "mesh": the model `geometric`, which lays the photo over a face's relief (its sides 15 % flatter) and turns it
as far as it is told (at 40 degrees, by 38).

Limits. The landmarker's own error counts: it knows faces, and guesses where a turned one has what can't be seen. The
outline's landmarks lie where the head's edge appears, which is another place of the skin in every view; those of eyes,
nose and mouth stay. A view without a face has no error; it is named. A head that is one from all sides but no likeness
does well here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from skimage import data

from countenance.arrays import Doubles, Floats, Image, Mask
from countenance.cli.avatars import check_avatar, enrolled, load_head_renderer
from countenance.face.landmark_regions import IBUG_GROUPS
from countenance.face.mediapipe_topology import IBUG_68, REGIONS, VERTEX_COUNT
from countenance.media.image_writer import write_image
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.pipeline.outputs import write_marked_image
from countenance.pipeline.sources import load_portrait
from countenance.renderers.catalogue import load_renderer
from countenance.renderers.otavatar.avatar import OTAvatarAvatar
from countenance.renderers.otavatar.camera import motion_cameras
from countenance.renderers.otavatar.renderer import OTAvatarRenderer
from countenance.renderers.otavatar.view import View, depth_picture
from countenance.trackers.catalogue import load_tracker, tracker_for
from countenance.trackers.tracker import Tracker
from page import replace_section

YAWS_DEG = tuple(range(-40, 41, 10))
TARGET = 2.0
"""Percent of the face's height."""
TILE_PX = 160
ALL, FLAT, MESH = "all views", "control: flat", "control: mesh"  # rows
TURN = "turn, degrees"  # a column
_FEATURES = {*REGIONS["rightEye"], *REGIONS["leftEye"], *list(IBUG_68)[IBUG_GROUPS["nose"]], *REGIONS["lips"]}
LANDMARKS = {"all": list(range(VERTEX_COUNT)), "eyes, nose, mouth": sorted(_FEATURES)}
"""Without the irises, which look where they like."""


class Judged(NamedTuple):
    """Pictures from V cameras, :data:`YAWS_DEG`.

    Attributes:
        seen: (V,) True where a face was found.
        errors: (V, 478) percent of the face's height; NaN where no face is, or no second view.
        turns_deg: (V,) yaw as tracked, less the camera's; NaN where no face is.
    """

    seen: Mask
    errors: Doubles
    turns_deg: Doubles


@dataclass(frozen=True, eq=False)
class Measured:
    """One person.

    Attributes:
        photo: its name.
        views: as the model draws them.
        flat: where every camera sees the most frontal of the views with a face.
        mesh: the photo on a mesh that turns.
    """

    photo: str
    views: Judged
    flat: Judged
    mesh: Judged

    @property
    def without_face(self) -> list[int]:
        """Yaws in degrees."""
        return [yaw for yaw, seen in zip(YAWS_DEG, self.views.seen, strict=True) if not seen]


def projections(cameras: Floats) -> Doubles:
    """What cameras (V, 25) do with points: (V, 3, 4), to places in the picture in its sides, x right and y down.

    The way back of :func:`countenance.generators.eg3d.rays.camera_rays`. That reads five of the nine intrinsics, and
    turns with a matrix that an inversion may have corrected, so that it is no rotation any more.
    """
    numbers = np.asarray(cameras, np.float64)
    pose, given = numbers[:, :16].reshape(-1, 4, 4), numbers[:, 16:].reshape(-1, 3, 3)
    intrinsics = np.tile(np.eye(3), (len(numbers), 1, 1))
    intrinsics[:, 0], intrinsics[:, 1, 1:] = given[:, 0], given[:, 1, 1:]
    to_camera = np.linalg.inv(pose[:, :3, :3])
    matrices: Doubles = intrinsics @ np.concatenate([to_camera, -to_camera @ pose[:, :3, 3:]], 2)
    return matrices


def projected(matrices: Doubles, points: Doubles) -> Doubles:
    """Points (L, 3) as cameras (V, 3, 4) see them: (V, L, 2)."""
    seen = points @ matrices[:, :, :3].swapaxes(1, 2) + matrices[:, None, :, 3]
    return np.asarray(seen[..., :2] / seen[..., 2:], np.float64)


def triangulated(matrices: Doubles, places: Doubles) -> Doubles:
    """The points (L, 3) that fit places (V, L, 2) in pictures of cameras (V, 3, 4) best, by linear least squares.

    Hartley & Zisserman, "Multiple View Geometry", Sec. 12.2: u p3 X = p1 X and v p3 X = p2 X for every view.
    """
    rows = places[..., None] * matrices[:, None, 2:] - matrices[:, None, :2]
    system = rows.swapaxes(0, 1).reshape(places.shape[1], -1, 4)
    found = np.linalg.svd(system, full_matrices=False)[2][:, -1]
    return np.asarray(found[:, :3] / found[:, 3:], np.float64)


def reprojection_errors(cameras: Floats, places: Doubles) -> Doubles:
    """How far landmarks are from where one point for all views would be, in percent of the face's height.

    Args:
        cameras: (V, 25), two or more.
        places: (V, L, 2), in picture sides.

    Returns:
        (V, L).
    """
    matrices = projections(cameras)
    again = projected(matrices, triangulated(matrices, places))
    height = np.ptp(places[..., 1], axis=1)  # chin to forehead, as evaluation measures it
    return np.asarray(100 * np.linalg.norm(again - places, axis=2) / height[:, None], np.float64)


def level_motion(own: Motion) -> Motion:
    """One frame of motion, turned to :data:`YAWS_DEG`, where it is in its crop and as large."""
    return own.still(len(YAWS_DEG)).set(yaw=np.radians(YAWS_DEG), pitch=0.0, roll=0.0)


def judge(cameras: Floats, pictures: Iterable[Image], tracker: Tracker) -> tuple[Judged, Judged]:
    """What a tracker sees in square pictures from cameras (V, 25); and if all of them were the most frontal one."""
    looked = [(tracker.faces(picture), len(picture)) for picture in pictures]
    seen = np.array([bool(faces) for faces, _ in looked])
    errors, flat = np.full((2, len(looked), VERTEX_COUNT), np.nan)
    turns, flat_turns = np.full((2, len(looked)), np.nan)
    faces = [(found[0], side) for found, side in looked if found]
    if faces:
        tracked = np.degrees([face.coefficients[ARKIT.index("yaw")] for face, _ in faces])
        wanted = np.array(YAWS_DEG)[seen]
        frontal = int(np.abs(wanted).argmin())
        turns[seen], flat_turns[seen] = tracked - wanted, tracked[frontal] - wanted
    if len(faces) > 1:
        places = np.stack([face.landmarks_px[:, :2].astype(np.float64) / side for face, side in faces])
        errors[seen] = reprojection_errors(cameras[seen], places)
        flat[seen] = reprojection_errors(cameras[seen], places[[frontal] * len(places)])
    return Judged(seen, errors, turns), Judged(seen, flat, flat_turns)


def drawn(renderer: OTAvatarRenderer, avatar: OTAvatarAvatar) -> tuple[Floats, list[View]]:
    """A person from all sides, and the cameras that saw it."""
    cameras = motion_cameras(level_motion(avatar.motion))
    views = list(renderer.render_with_depth(avatar, avatar.motion, cameras))
    return renderer.corrected_cameras(avatar, cameras).cpu().numpy(), views


def on_mesh(photo: Path, tracker: Tracker) -> tuple[Floats, list[Image]]:
    """The same of a photo on a mesh."""
    geometric = load_renderer("geometric")
    portrait = load_portrait(photo, crop_scale=geometric.spec.crop_scale, tracker=tracker)
    motion = level_motion(portrait.motion)
    return motion_cameras(motion), list(geometric.render(geometric.enroll(portrait), motion))


def figures(errors: Doubles, turns_deg: Doubles) -> dict[str, float]:
    """RMS and median of errors (..., 478) by group of landmarks, mean of turns (...); nothing where there are none."""
    told = dict[str, float]()
    for name, chosen in LANDMARKS.items():
        some = errors[..., chosen]
        some = some[~np.isnan(some)]
        if len(some):
            told[f"{name}: RMS, %"] = float(np.sqrt((some**2).mean()))
            told[f"{name}: median, %"] = float(np.median(some))
    if told:
        told[TURN] = float(np.nanmean(np.abs(turns_deg)))
    return told


def rows_of(people: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """The table's rows: every view of all people, all views, and the controls."""
    errors = np.stack([one.views.errors for one in people])
    turns = np.stack([one.views.turns_deg for one in people])
    parts = {f"yaw {yaw:+d}°": (errors[:, view], turns[:, view]) for view, yaw in enumerate(YAWS_DEG)}
    parts[ALL] = errors, turns
    for name, judged in {FLAT: [one.flat for one in people], MESH: [one.mesh for one in people]}.items():
        parts[name] = np.stack([one.errors for one in judged]), np.stack([one.turns_deg for one in judged])
    return {name: told for name, part in parts.items() if (told := figures(*part))}


def text_of(model: str, people: Sequence[Measured]) -> str:
    """What the page shows."""
    rows = rows_of(people)
    missing = [f"{one.photo} at {yaw:+d}°" for one in people for yaw in one.without_face]
    lines = [
        f"`python benchmarks/view_consistency.py --model {model}`, photos: {len(people)}; % of face height.",
        "",
    ]
    if rows:
        columns = list(rows[ALL])
        lines += ["| | " + " | ".join(columns) + " |", "| --- " * (len(columns) + 1) + "|"]
        for name, told in rows.items():
            lines.append(f"| {name} | " + " | ".join(f"{told[column]:.2f}" for column in columns) + " |")
        below, control = (rows[which][columns[0]] < TARGET for which in (ALL, FLAT))
        reached = "met" if below and not missing else "MISSED"
        also = " The flat control is below it, too: the turn tells them apart." * control
        lines += ["", f"Target, {columns[0]} below {TARGET:g} and a face in every view: {reached}.{also}", ""]
    names = ": " * bool(missing) + ", ".join(missing)
    lines.append(f"Views without a face: {len(missing)} of {len(people) * len(YAWS_DEG)}{names}.")
    return "\n".join(lines)


def sheet(avatar: OTAvatarAvatar, views: Sequence[View]) -> Image:
    """Three rows: the photo above the view of its own yaw, the views, their depth maps."""

    def tile(picture: Image) -> Image:
        return np.asarray(cv2.resize(picture, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA), np.uint8)

    own = int(np.abs(np.degrees(avatar.motion["yaw"][0]) - YAWS_DEG).argmin())
    photos = [np.full((TILE_PX, TILE_PX, 3), 255, np.uint8) for _ in views]
    photos[own] = tile(avatar.square)
    depths = [depth_picture(view.depth, TILE_PX) for view in views]
    return np.vstack([np.hstack(row) for row in (photos, [tile(view.picture) for view in views], depths)])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "photos", nargs="*", type=Path, metavar="PHOTO", help="the astronaut if none is given"
    )
    parser.add_argument("--model", default="otavatar-lite", help="or a file of weights")
    parser.add_argument("--avatar", type=Path, help="of one photo: read if it is there, else written")
    parser.add_argument("--sheet", type=Path, help="picture to be written: photo, views, depth maps")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help="file whose section 'view consistency' is replaced")
    args = parser.parse_args()
    if args.avatar and len(args.photos) > 1:
        parser.error("--avatar is for one photo")
    check_avatar(args.avatar)
    renderer = load_head_renderer(args.model)
    spec = renderer.spec
    tracker, landmarker = tracker_for(spec.motion_space), load_tracker()
    people, sheets = list[Measured](), list[Image]()
    with tempfile.TemporaryDirectory() as folder:
        write_image(astronaut := Path(folder) / "astronaut.png", data.astronaut())  # type: ignore[no-untyped-call]
        for path in args.photos or [astronaut]:
            portrait = load_portrait(path, crop_scale=spec.crop_scale, tracker=tracker)
            avatar = enrolled(portrait, renderer, args.avatar)
            cameras, views = drawn(renderer, avatar)
            own = judge(cameras, (view.picture for view in views), landmarker)
            people.append(Measured(path.stem, *own, judge(*on_mesh(path, tracker), landmarker)[0]))
            sheets.append(sheet(avatar, views))
    print(text := text_of(spec.name, people))
    if args.sheet:
        write_marked_image(args.sheet, np.vstack(sheets), spec.name)
    if args.json:
        told = [
            {"photo": one.photo, "without_face": one.without_face, "rows": rows_of([one])} for one in people
        ]
        args.json.write_text(
            json.dumps({"model": spec.name, "rows": rows_of(people), "people": told}, indent=1) + "\n"
        )
    if args.markdown:
        replace_section(args.markdown, "view consistency", text)


if __name__ == "__main__":
    main()
