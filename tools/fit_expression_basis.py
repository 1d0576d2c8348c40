"""Fit the default face model's ARKit-named expression basis; writes ``face/data/mediapipe_face.safetensors``.

Two steps, run by a maintainer (users get the result with the package):

    python tools/fit_expression_basis.py track CLIPS_DIR -o tracks.npz      # landmarks of real clips, minutes
    python tools/fit_expression_basis.py fit tracks.npz --prior ict_facekit_light.npz [--test test_tracks.npz] \\
        -o src/countenance/face/data/mediapipe_face.safetensors

The model is linear: vertices = neutral + sum_k weight_k * basis_k, in centimetres, on MediaPipe's 478 points.
``basis`` is the minimiser of

    sum over frames |X - mean_id(X) - basis (e - mean_id(e))|^2  +  ridge * sum_k |basis_k - prior_k|^2

X: landmarks with head pose, scale and position removed; e: MediaPipe's blendshape scores; mean_id: mean over a
clip, which takes the identity out. ``prior`` is the expression basis of ICT-FaceKit (MIT) carried over to the
MediaPipe points, so that shapes that the clips hardly show (cheekPuff, jawLeft, tongueOut ...) stay sensible.
Each clip enters twice, as it is and mirrored, which makes the basis symmetric.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy.interpolate import RBFInterpolator

from countenance.face.canonical_mesh import CanonicalMesh, read_canonical_mesh
from countenance.face.mediapipe_topology import (
    IBUG_68,
    INNER_LIPS_LOWER,
    INNER_LIPS_UPPER,
    IRISES,
    LIPS_LOWER,
    LIPS_UPPER,
)
from countenance.face.procrustes import similarity
from countenance.media.video import VideoReader
from countenance.motion.spaces import ARKIT_SHAPES as SHAPES
from countenance.trackers.catalogue import load_tracker
from countenance.weights.assets import FACE_LANDMARKER, require_asset

RIDGE = 60.0  # in frames: a shape seen at full strength for this long outweighs the prior
POSE_ROUNDS = 4
IRIS_MIRROR = (473, 476, 475, 474, 477, 468, 471, 470, 469, 472)  # centre, then right, top, left, bottom


def swapped(name: str) -> str:
    """The same shape on the other side of the face."""
    if name.endswith("Left"):
        return name[:-4] + "Right"
    return name[:-5] + "Left" if name.endswith("Right") else name


def mirror_permutation(neutral: np.ndarray) -> np.ndarray:
    """For each point the number of its mirror image (the canonical mesh is exactly symmetric)."""
    flipped = neutral * [-1, 1, 1]
    return np.argmin(((flipped[:, None] - neutral[None]) ** 2).sum(-1), axis=1)


def ict_prior(path: Path, mesh: CanonicalMesh) -> np.ndarray:
    """ICT-FaceKit's expression shapes as displacements (52, 478, 3) of the MediaPipe points, in cm."""
    ict = np.load(path, allow_pickle=False)
    landmarks = json.loads(str(ict["index_json"]))["idx_to_landmark_verts"]
    material = {name: i for i, name in enumerate(ict["material_names"])}["M_Face"]
    skin = np.unique(ict["quads"][ict["material"] == material])
    neutral = ict["neutral"].astype(np.float64)
    shapes = {
        str(n): s.astype(np.float64) for n, s in zip(ict["expression_names"], ict["expressions"], strict=True)
    }

    scale, rotation, shift = similarity(neutral[landmarks], mesh.vertices[list(IBUG_68)])
    placed = scale * neutral @ rotation.T + shift
    warp = RBFInterpolator(
        placed[landmarks], mesh.vertices[list(IBUG_68)] - placed[landmarks], smoothing=1e-3
    )
    fitted = placed[skin] + warp(placed[skin])

    # The lips touch in the neutral face: a point of the upper lip must not land on the lower one.
    moves_with_jaw = np.linalg.norm(shapes["jawOpen"][skin], axis=1)
    lower = moves_with_jaw > 0.5 * moves_with_jaw.max()
    cost = np.zeros((478, len(skin)))
    cost[np.ix_(list(LIPS_UPPER + INNER_LIPS_UPPER), np.flatnonzero(lower))] = 1e6
    cost[np.ix_(list(LIPS_LOWER + INNER_LIPS_LOWER), np.flatnonzero(~lower))] = 1e6
    points = with_irises(mesh.vertices)
    distance = ((points[:, None] - fitted[None]) ** 2).sum(-1) + cost
    nearest = np.argsort(distance, axis=1)[:, :4]
    weight = 1.0 / (np.take_along_axis(distance, nearest, 1) + 1e-2)
    weight /= weight.sum(1, keepdims=True)

    prior = np.zeros((52, 478, 3))
    for k, name in enumerate(SHAPES):
        short = name.replace("Left", "_L").replace("Right", "_R")
        parts = [short] if short in shapes else [name] if name in shapes else [f"{name}_L", f"{name}_R"]
        for part in parts:
            if part in shapes:
                moved = scale * shapes[part][skin] @ rotation.T
                prior[k] += (moved[nearest] * weight[..., None]).sum(1)
        prior[k, 468:] = 0  # the skin around an eye says nothing of its iris
    return prior


def with_irises(vertices: np.ndarray) -> np.ndarray:
    """The 468 canonical points with a first guess of the 10 iris points (mean of the eyelid corners)."""
    out = np.zeros((478, 3))
    out[:468] = vertices
    for ring, corners in zip(IRISES, ((33, 133), (362, 263)), strict=True):
        out[list(ring)] = vertices[list(corners)].mean(0)
    return out


def track(clips: Path, output: Path) -> None:
    """Landmarks (T, 478, 3) and blendshape weights (T, 52) of a folder of clips; frames without a face left out."""
    tracker = load_tracker()
    stored: dict[str, np.ndarray] = {}
    for clip in sorted(clips.glob("*.mp4")):
        with VideoReader(clip) as video:
            faces = [face for face in tracker.follow(video.frames()) if face is not None]
        if faces:
            stored[f"{clip.stem}/landmarks"] = np.stack([face.landmarks_px for face in faces])
            stored[f"{clip.stem}/shapes"] = np.stack([face.coefficients[: len(SHAPES)] for face in faces])
            print(clip.stem, len(faces))
    np.savez(output, **stored)


def unpose(frames: np.ndarray, model: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Landmarks (T, 478, 3) brought into head space by the similarity that best meets ``model`` (T, 478, 3)."""
    out = np.empty_like(frames)
    for t, (seen, expected) in enumerate(zip(frames, model, strict=True)):
        scale, rotation, shift = similarity(expected[:468], seen[:468], weights)
        out[t] = (seen - shift) @ rotation / scale
    return out


class Tracks:
    """What :func:`track` wrote: per clip landmarks (T, 478, 3) with y up, and weights (T, 52)."""

    def __init__(self, path: Path) -> None:
        stored = np.load(path, allow_pickle=False)
        self.clips: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name in sorted(k.removesuffix("/shapes") for k in stored.files if k.endswith("/shapes")):
            upright = stored[f"{name}/landmarks"].astype(np.float64) * (1, -1, 1)
            self.clips[name] = (upright, stored[f"{name}/shapes"].astype(np.float64))


def fit(tracks: Tracks, mesh: CanonicalMesh, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neutral face (478, 3) and expression basis (52, 478, 3), in cm."""
    neutral, basis = with_irises(mesh.vertices), prior.copy()
    mirror = np.concatenate([mirror_permutation(mesh.vertices), IRIS_MIRROR])
    swap = [SHAPES.index(swapped(n)) for n in SHAPES]
    shapes_of = {name: neutral.copy() for name in tracks.clips}
    for _ in range(POSE_ROUNDS):
        gram, moment = RIDGE * np.eye(52), RIDGE * prior.reshape(52, -1)
        means = []
        for name, (frames, scores) in tracks.clips.items():
            model = shapes_of[name] + np.tensordot(scores, basis, 1)
            placed = unpose(frames, model, mesh.pose_weights)
            means.append(placed.mean(0) - np.tensordot(scores.mean(0), basis, 1))
            for x, e in ((placed, scores), (placed[:, mirror] * [-1, 1, 1], scores[:, swap])):
                e = e - e.mean(0)
                gram += e.T @ e / 2
                moment += e.T @ (x - x.mean(0)).reshape(len(x), -1) / 2
        basis = np.linalg.solve(gram, moment).reshape(52, 478, 3)
        shapes_of = dict(zip(tracks.clips, means, strict=True))
        # the average person's irises and mouth; the rest stays the canonical mesh, whose scale defines ours
        average = np.mean(means, 0)
        average = (average + average[mirror] * [-1, 1, 1]) / 2
        neutral[468:] = average[468:]
    return neutral, basis


def report(tracks: Tracks, mesh: CanonicalMesh, neutral: np.ndarray, basis: np.ndarray) -> dict[str, float]:
    """Fit error on clips: what the basis leaves of the motion of the landmarks in head space (x, y; cm)."""
    left, moved, lips_left, lips_moved = [], [], [], []
    lips = list(set(LIPS_UPPER + LIPS_LOWER + INNER_LIPS_UPPER + INNER_LIPS_LOWER))
    for frames, scores in tracks.clips.values():
        shape = neutral.copy()
        for _ in range(3):
            placed = unpose(frames, shape + np.tensordot(scores, basis, 1), mesh.pose_weights)
            shape = (placed - np.tensordot(scores, basis, 1)).mean(0)
        still = (placed - placed.mean(0))[..., :2]
        rest = (placed - shape - np.tensordot(scores, basis, 1))[..., :2]
        moved.append(np.linalg.norm(still, axis=-1).mean())
        left.append(np.linalg.norm(rest, axis=-1).mean())
        lips_moved.append(np.linalg.norm(still[:, lips], axis=-1).mean())
        lips_left.append(np.linalg.norm(rest[:, lips], axis=-1).mean())
    return {
        "motion_cm": float(np.mean(moved)), "residual_cm": float(np.mean(left)),
        "lip_motion_cm": float(np.mean(lips_moved)), "lip_residual_cm": float(np.mean(lips_left)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    tracking = verbs.add_parser("track")
    tracking.add_argument("clips", type=Path)
    tracking.add_argument("-o", "--output", type=Path, required=True)
    fitting = verbs.add_parser("fit")
    fitting.add_argument("tracks", type=Path)
    fitting.add_argument("--prior", type=Path, required=True)
    fitting.add_argument("--test", type=Path)
    fitting.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    if args.verb == "track":
        track(args.clips, args.output)
        return
    mesh = read_canonical_mesh(require_asset(FACE_LANDMARKER))
    prior = ict_prior(args.prior, mesh)
    tracks = Tracks(args.tracks)
    neutral, basis = fit(tracks, mesh, prior)
    errors = {"train": report(tracks, mesh, neutral, basis)}
    if args.test:
        errors["test"] = report(Tracks(args.test), mesh, neutral, basis)
        errors["test, prior alone"] = report(Tracks(args.test), mesh, neutral, prior)
    print(json.dumps(errors, indent=1))
    save_file(
        {
            "neutral": neutral.astype(np.float32),
            "basis": basis.astype(np.float16),
            "triangles": mesh.triangles,
            "pose_weights": np.concatenate([mesh.pose_weights, np.zeros(10)]).astype(np.float32),
        },
        args.output,
        metadata={
            "fit": json.dumps(errors),
            "ridge": str(RIDGE),
            "licence": "mesh: MediaPipe, Apache-2.0; prior: ICT-FaceKit, MIT",
        },
    )


if __name__ == "__main__":
    main()
