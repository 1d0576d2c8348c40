"""Coefficients -> where every vertex of the head mesh goes, and where in the source picture it comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from countenance.arrays import Doubles, Floats
from countenance.face.mediapipe_model import mediapipe_model, pose_weights
from countenance.face.mediapipe_topology import FACE_OVAL, IRISES, VERTEX_COUNT
from countenance.face.shape_sliders import shape_basis
from countenance.motion.pose import rotation_matrix, scaled_rotation
from countenance.motion.spaces import ARKIT
from countenance.renderers.geometric.head_mesh import EYES, MOUTH, HeadMesh
from countenance.trackers.arkit_pose import REFERENCE_SPAN_CM

_BLINKS = (ARKIT.index("eyeBlinkRight"), ARKIT.index("eyeBlinkLeft"))
_SHUT = (0.2, 0.62)  # blink scores between which MediaPipe's eyes close; its landmarks stay apart
_FULL_DEPTH = 0.28  # behind the nose, in face heights: up to here depths count in full,
_SIDE_DEPTH = 0.85  # beyond it by this share
_SHUT_GAP_PX = 1.5  # rims closer than this have no direction across of their own
_CALM_TURN_RAD = np.radians(30)  # a single picture shows nothing of what a larger turn would reveal
_MOST_TURN_RAD = np.radians(42)


@dataclass(frozen=True, eq=False)
class Pose:
    """Head to crop: p_px = scale R p_cm + origin, in upright axes (y up)."""

    rotation: Doubles
    scale_px_per_cm: float
    origin_px: Doubles

    @classmethod
    def of(cls, coefficients: Floats, side: int) -> Pose:
        """From one frame (58,) of ``arkit`` and the side of the crop in px."""
        yaw, pitch, roll, x, y, log_scale = (float(v) for v in coefficients[52:])
        scale = np.exp(log_scale) * side / REFERENCE_SPAN_CM
        origin = np.array([side / 2 + x * side, y * side - side / 2, 0.0])
        return cls(rotation_matrix(yaw, pitch, roll), float(scale), origin)

    def apply(self, points_cm: Doubles) -> Doubles:
        """(N, 3) in cm -> px of the crop, y down, z larger is nearer."""
        upright = self.scale_px_per_cm * points_cm @ self.rotation.T + self.origin_px
        return upright * (1, -1, 1)

    def invert(self, points_px: Doubles) -> Doubles:
        """Undoes :meth:`apply`."""
        upright = points_px * (1, -1, 1) - self.origin_px
        return upright @ self.rotation / self.scale_px_per_cm

    def calmed(self, source: Pose) -> Pose:
        """The same pose, its turn away from ``source`` bent softly below the most that one picture can carry."""
        turn = self.rotation @ source.rotation.T
        angle = float(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
        if angle <= _CALM_TURN_RAD:
            return self
        room = _MOST_TURN_RAD - _CALM_TURN_RAD
        bent = _CALM_TURN_RAD + room * np.tanh((angle - _CALM_TURN_RAD) / room)
        return Pose(
            scaled_rotation(turn, bent / angle) @ source.rotation, self.scale_px_per_cm, self.origin_px
        )


@dataclass(frozen=True, eq=False)
class Deformed:
    """The mesh in one frame.

    Attributes:
        vertices: (V, 3) px of the crop.
        rigid: (V, 3) where pose and shape alone, without expression, would put them.
        displacement: (V, 2) source position minus driven position, px.
        mouth_overflow_px: (V,) at the mouth's rim, how far below the source's own mouth opening a vertex lies once
            the head's motion is taken out: there the source has nothing to show. 0 elsewhere.
        gaze_px: per eye, how far the iris moves in the eye (2,).
        pose: of the head.
    """

    vertices: Floats
    rigid: Floats
    displacement: Floats
    mouth_overflow_px: Floats
    gaze_px: tuple[Floats, Floats]
    pose: Pose


class Deformation:
    """A person's mesh, ready to be posed.

    Args:
        mesh: laid onto the source.
        coefficients: (58,) the source's own.
        side: of the crop in px.
    """

    def __init__(self, mesh: HeadMesh, coefficients: Floats, side: int) -> None:
        model = mediapipe_model()
        self._mesh, self._side = mesh, side
        self._own = np.asarray(coefficients, np.float64)
        self._basis = model.expression_basis.astype(np.float64)
        pose = Pose.of(coefficients, side)
        expected = pose.apply(model.mean + np.tensordot(self._own[:52], self._basis, 1))
        weights = pose_weights() / pose_weights().sum()
        rest = mesh.rest.astype(np.float64)
        # A tracker's depths are relative: put them where the pose says that the head's origin is.
        rest[:, 2] += weights @ (expected[:, 2] - rest[:VERTEX_COUNT, 2])
        rest[:, 2] = _flattened(rest[:, 2], height=float(np.ptp(rest[:VERTEX_COUNT, 1])))
        self._rest, self._pose = rest, pose
        self._shape_cm = pose.invert(rest)
        self._down = pose.rotation[:2, 1] * (-1, 1) / np.linalg.norm(pose.rotation[:2, 1])
        self._own_closure = [_closure(self._own[b]) for b in _BLINKS]

    def at(self, coefficients: Floats, shape: Floats | None = None) -> Deformed:
        """Pose the mesh.

        Args:
            coefficients: (58,) of ``arkit``.
            shape: (S,) values of the shape sliders, relative to the source's own shape; None for that shape.
        """
        driven = np.asarray(coefficients, np.float64)
        pose = Pose.of(coefficients, self._side).calmed(self._pose)
        moved = np.tensordot(driven[:52] - self._own[:52], self._basis, 1)
        rigid = pose.apply(self._shape_cm if shape is None else self._shaped_cm(shape))
        expression_px = pose.scale_px_per_cm * (moved @ pose.rotation.T) * (1, -1, 1)
        vertices = rigid.copy()
        vertices[:VERTEX_COUNT] += expression_px
        self._close_eyes(vertices, driven)
        _keep_apart(vertices, self._rest, *MOUTH, share_upper=0.5)
        self._surroundings(vertices, rigid)
        source = self._rest[:, :2].copy()
        self._eye_rims(vertices, rigid, source)
        overflow = self._mouth_rim(vertices, rigid, source)
        displacement = source - vertices[:, :2]
        gaze = tuple(expression_px[list(ring), :2].mean(0).astype(np.float32) for ring in IRISES)
        return Deformed(
            vertices.astype(np.float32),
            rigid.astype(np.float32),
            displacement.astype(np.float32),
            overflow.astype(np.float32),
            (gaze[0], gaze[1]),
            pose,
        )

    def _shaped_cm(self, shape: Floats) -> Doubles:
        """The head with sliders set; rings go with the face's outline, and :meth:`_surroundings` calms them."""
        moved = np.tensordot(shape.astype(np.float64), shape_basis(), 1)
        return np.asarray(self._shape_cm + moved[self._mesh.bearer], np.float64)

    def _close_eyes(self, vertices: Doubles, driven: Doubles) -> None:
        """Shut the lids as far as the blink score says, relative to how far the source's own says they are."""
        for (upper, lower), blink, own in zip(EYES, _BLINKS, self._own_closure, strict=True):
            top, bottom = list(upper[1:-1]), list(lower[1:-1])
            closure = _closure(driven[blink])
            if closure > own:
                shut = (closure - own) / (1 - own)
                vertices[top] += shut * (vertices[bottom] - vertices[top]) * (1, 1, 0)
            _keep_apart(vertices, self._rest, upper, lower, share_upper=1.0)

    def _surroundings(self, vertices: Doubles, rigid: Doubles) -> None:
        """Let the rings follow the head, and close to the face its expression too."""
        mesh, rings = self._mesh, self._mesh.rings
        rest = self._rest[rings]
        count = len(mesh.follow) // len(FACE_OVAL)
        outline = list(FACE_OVAL)
        expression = np.tile(vertices[outline] - rigid[outline], (count, 1))
        vertices[rings] = (
            rest + mesh.follow[:, None] * (rigid[rings] - rest) + mesh.pull[:, None] * expression
        )

    def _eye_rims(self, vertices: Doubles, rigid: Doubles, source: Doubles) -> None:
        """The eyeball does not move with the lids: a lid that comes down covers what it showed before."""
        for (upper, lower), rims in zip(EYES, self._mesh.eye_rims, strict=True):
            high, across, length = self._across(upper, lower)
            for chain, rim, start in zip((upper, lower), rims, (np.zeros_like(length), length), strict=True):
                down = start + self._descent(vertices, rigid, chain, across)
                vertices[rim] = vertices[list(chain)]
                source[rim] = high + np.clip(down / length, 0, 1)[:, None] * across

    def _mouth_rim(self, vertices: Doubles, rigid: Doubles, source: Doubles) -> Doubles:
        """Nor do the upper teeth move with the lips; returns how far below the source's opening each vertex is."""
        overflow = np.zeros(len(vertices))
        high, across, length = self._across(*MOUTH)
        for chain, rim, start in zip(
            MOUTH, self._mesh.mouth_rim, (np.zeros_like(length), length), strict=True
        ):
            down = start + self._descent(vertices, rigid, chain, across)
            vertices[rim] = vertices[list(chain)]
            source[rim] = high + np.clip(down / length, 0, 1)[:, None] * across
            overflow[rim] = down - length
        return overflow

    def _across(self, upper: tuple[int, ...], lower: tuple[int, ...]) -> tuple[Doubles, Doubles, Doubles]:
        """Upper rim of an opening at rest (N, 2), the way to its lower rim (N, 2), and that way's length (N,)."""
        high = self._rest[list(upper), :2]
        across = self._rest[list(lower), :2] - high
        return high, across, np.linalg.norm(across, axis=1) + 1e-6

    def _descent(self, vertices: Doubles, rigid: Doubles, chain: tuple[int, ...], across: Doubles) -> Doubles:
        """How far a rim has moved down across its opening, with the head's motion taken out, px (N,)."""
        length = np.linalg.norm(across, axis=1, keepdims=True)
        down = np.where(length > _SHUT_GAP_PX, across / np.maximum(length, 1e-6), self._down)
        moved = (vertices[list(chain)] - rigid[list(chain)])[:, :2]
        return np.asarray((moved * down).sum(1), np.float64)


def _flattened(depth: Doubles, height: float) -> Doubles:
    """Depths with the sides of the head brought forward.

    There the source shows few pixels, edge on; turned toward the camera by their full depth they would smear.
    """
    behind = depth.max() - depth
    start = _FULL_DEPTH * height
    flat: Doubles = depth.max() - np.minimum(behind, start) - _SIDE_DEPTH * np.maximum(behind - start, 0)
    return flat


def _closure(blink: float) -> float:
    t = float(np.clip((blink - _SHUT[0]) / (_SHUT[1] - _SHUT[0]), 0, 1))
    return t * t * (3 - 2 * t)


def _keep_apart(
    vertices: Doubles, rest: Doubles, upper: tuple[int, ...], lower: tuple[int, ...], share_upper: float
) -> None:
    """Where a lower rim has risen above its upper rim, let them meet; a gap below zero at rest is left."""
    top, bottom = list(upper[1:-1]), list(lower[1:-1])
    at_rest = np.minimum(rest[bottom, 1] - rest[top, 1], 0)
    crossed = np.minimum(vertices[bottom, 1] - vertices[top, 1] - at_rest, 0)
    vertices[top, 1] += share_upper * crossed
    vertices[bottom, 1] -= (1 - share_upper) * crossed
