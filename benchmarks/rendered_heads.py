"""Clips of rendered ICT-FaceKit heads: does training on them, beside real people, help? See docs/training.md.

    python benchmarks/rendered_heads.py ict_facekit_light.npz --dataset REAL --count 12 -o CLIPS/train
    countenance prepare REAL_CLIPS/train REAL_CLIPS/test CLIPS/train -o MIXED --crop-scale 1.2
    python benchmarks/train_further.py REAL -o runs/real
    python benchmarks/train_further.py MIXED -o runs/mixed

Every head has its own shape and colours. It moves as somebody in the dataset's train split does, with two more
expressions that come and go and a wider turn, so that the network sees what few people show: closed lids, wide smiles,
profiles.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from countenance.arrays import Floats, Image
from countenance.data.dataset import Dataset
from countenance.face.cameras import WeakPerspective
from countenance.face.ict import IctModel, ict_from_arkit, load_ict
from countenance.face.rasterizer import interpolate, rasterize
from countenance.face.rotations import rotation_from_angles
from countenance.media.writer import VideoWriter
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT_SHAPES

SIZE = 384
FRAMES = 60
FPS = 25.0
EXTRA = (
    "eyeBlink",
    "mouthSmile",
    "jawOpen",
    "browInnerUp",
    "mouthPucker",
    "mouthFunnel",
    "browDown",
    "eyeLookDown",
)
COLOURS = {
    "M_Teeth": (235, 230, 215),
    "M_GumsTongue": (150, 70, 70),
    "M_ScleraLeft": (235, 232, 230),
    "M_ScleraRight": (235, 232, 230),
}
# glass, and planes without their alpha
HIDDEN = ("M_LacrimalFluid", "M_EyeBlend", "M_EyeOcclusion", "M_EyeLashes")
SKINS = ((245, 212, 190), (224, 172, 138), (198, 140, 105), (141, 90, 62), (92, 58, 42))


class Head:
    """One person: shape, colours, light and background."""

    def __init__(self, model: IctModel, seed: int) -> None:
        self.model, rng = model, np.random.default_rng(seed)
        self.identity = rng.normal(0, 0.8, model.identity_size).astype(np.float32)
        shown = [k for k, name in enumerate(model.material_names) if name not in HIDDEN]
        self.triangles = model.triangles[np.isin(model.triangle_materials, shown)]
        self.colours = self._colours(rng)
        light = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-0.1, 0.8), 1.0])
        self.light, self.ambient = light / np.linalg.norm(light), rng.uniform(0.45, 0.7)
        coarse = rng.uniform(20, 235, (rng.integers(2, 7), rng.integers(2, 7), 3)).astype(np.float32)
        coarse = 0.35 * coarse + 0.65 * coarse.mean(2, keepdims=True)
        self.background = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).clip(0, 255)

    def _colours(self, rng: np.random.Generator) -> Floats:
        model = self.model
        points = model.mean / np.ptp(model.mean[:, 1])
        skin = np.array(SKINS[rng.integers(len(SKINS))]) * rng.uniform(0.9, 1.1, 3)
        waves = np.zeros(len(points))
        for scale in (6, 14, 40, 90):  # patches to freckles
            waves += np.sin(points @ rng.normal(0, scale, (3, 8)) + rng.uniform(0, 6.3, 8)).mean(1)
        colours = skin[None] * (1 + 0.06 * waves[:, None])
        hair = rng.uniform(20, 130) * np.array([1, 0.8, 0.65]) * rng.uniform(0.85, 1.15, 3)
        head = np.unique(model.regions["back_head"])
        colours[head[points[head, 1] > np.quantile(points[:, 1], 0.45)]] = hair
        for brow in ("left_brow", "right_brow"):
            colours[model.regions[brow]] = 0.5 * hair + 0.4 * skin
        colours[model.regions["lips"]] *= (0.9, 0.62, 0.62)
        for number, name in enumerate(model.material_names):
            vertices = np.unique(model.triangles[model.triangle_materials == number])
            if name in COLOURS:
                colours[vertices] = COLOURS[name]
        iris = rng.uniform(40, 140, 3)
        for eye in ("left_eyeball", "right_eyeball"):
            # the modelled iris lies behind a clear cornea: paint that
            ball = np.unique(model.regions[eye])
            out = model.mean[ball] - (model.mean[ball].max(0) + model.mean[ball].min(0)) / 2
            ahead = out[:, 2] / np.linalg.norm(out, axis=1)
            colours[ball[ahead > np.cos(0.5)]] = iris
            colours[ball[ahead > np.cos(0.22)]] = 15
        return colours.astype(np.float32)

    def frame(self, expression: Floats, angles: Floats, place: Floats) -> Image:
        """The head with ICT ``expression``, turned by (yaw, pitch, roll), moved by ``place`` (x, y, log scale)."""
        shape = self.model.vertices(self.identity[None], expression[None])[0]
        yaw, pitch, roll = angles
        points = shape @ rotation_from_angles(np.array([[pitch, yaw, roll]], np.float32))[0].T
        scale = SIZE / 30 * np.exp(place[2])
        camera = WeakPerspective(float(scale), SIZE * (0.5 + place[0]), SIZE * (0.5 - place[1]))
        raster = rasterize(camera.project(points), self.triangles, (SIZE, SIZE))
        normals = vertex_normals(points, self.triangles)
        shade = self.ambient + (1.15 - self.ambient) * (normals @ self.light).clip(0, 1)
        drawn = interpolate(raster, self.colours * shade[:, None].astype(np.float32))
        picture = np.where(raster.covered[..., None], drawn, self.background)
        return np.asarray(cv2.GaussianBlur(picture, (3, 3), 0.7).clip(0, 255), np.uint8)


def vertex_normals(points: NDArray[Any], triangles: NDArray[Any]) -> NDArray[Any]:
    """(V, 3) unit normals, the mean of the triangles around."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for k in range(3):
        np.add.at(normals, triangles[:, k], faces)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9)


def performance(
    motions: list[Motion], model: IctModel, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Expression (T, 53), angles (T, 3) as yaw, pitch, roll, and place (T, 3) of one clip."""
    values = np.concatenate([motions[rng.integers(len(motions))].values] * 2)[:FRAMES].copy()
    shapes, time = values[:, : len(ARKIT_SHAPES)], np.arange(len(values)) / FPS
    for name in rng.choice(EXTRA, 2, replace=False):
        wave = (0.5 - 0.5 * np.cos(2 * np.pi * (time / rng.uniform(0.8, 2) + rng.random()))) * rng.uniform(
            0.5, 1
        )
        for k in [k for k, shape in enumerate(ARKIT_SHAPES) if shape.startswith(name)]:
            shapes[:, k] = np.maximum(shapes[:, k], wave)
    angles, place = values[:, -6:-3], values[:, -3:] * (0.5, 0.5, 1.0)
    phase = 2 * np.pi * (time / rng.uniform(2, 4) + rng.random())
    angles += np.sin(phase)[:, None] * rng.uniform(0, (0.5, 0.25, 0.15))
    return shapes @ ict_from_arkit(model.expression_names, ARKIT_SHAPES), angles, place - place.mean(0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="ict_facekit_light.npz")
    parser.add_argument(
        "--dataset", type=Path, required=True, help="prepared; its train split says how to move"
    )
    parser.add_argument("--count", type=int, default=40, help="how many people")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    model, dataset = load_ict(args.model), Dataset(args.dataset, "train")
    motions = [dataset.motion(clip) for clip in dataset.clips]
    args.output.mkdir(parents=True, exist_ok=True)
    for number in track(range(args.count), "rendering heads"):
        head, rng = Head(model, number), np.random.default_rng([number, 1])
        with VideoWriter(args.output / f"ict{number:03}_01.mp4", FPS, SIZE, SIZE, crf=12) as video:
            for expression, angles, place in zip(*performance(motions, model, rng), strict=True):
                video.write(head.frame(expression, angles, place))


if __name__ == "__main__":
    main()
