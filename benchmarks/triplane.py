"""Frames a second of every stage of OTAvatar on EG3D: ours against a plain implementation, in one run.

    python benchmarks/triplane.py [--size full] [--threads N] [--device cpu] [--json FILE] [--markdown docs/results.md]
    python benchmarks/triplane.py --weights FILE.safetensors

Plain is the textbook: modulated convolutions in groups, with weights of each picture (StyleGAN2's fused form);
up-sampling by zeros between samples and a filter; ``grid_sample`` on three planes; all rays at once, with the colours
of all samples gathered in order. It keeps planes while only the camera moves, as ours does. Compiled is OpenVINO, where
the product takes it for long motions: planes in float32, super-resolution in bfloat16 where the CPU has it. Autocast is
ours on a GPU. What both do alike is shared: the motion code, where samples lie on rays, and the decoder.

``full`` has the published sizes, ``lite`` those of the lite recipe, both with random weights, on which speed does not
depend; ``--weights`` takes sizes and weights of a file. All forms take turns, so that a busy machine slows all alike.
The run fails where a form computes something else: its largest difference from plain is 1e-3 or more, or 0.1 where it
rounds to bfloat16, of results about [-1, 1].
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from countenance.generators.eg3d.config import PLANES
from countenance.generators.eg3d.generator import EG3D
from countenance.generators.eg3d.planes import COORDINATES, TriPlanes
from countenance.generators.eg3d.rays import camera_rays, importance_depths, stratified_depths
from countenance.generators.eg3d.rendering import Randomness, depth_limits
from countenance.generators.eg3d.superresolution import COLOURS, SuperResolution
from countenance.generators.eg3d.tracked_cameras import arkit_cameras
from countenance.generators.stylegan2.layers import SynthesisLayer
from countenance.generators.stylegan2.synthesis import SynthesisBlock, SynthesisNetwork
from countenance.motion.sequence import RADIUS, Motion
from countenance.motion.spaces import ARKIT
from countenance.renderers.openvino_engine import OpenVINONetwork, openvino_wanted
from countenance.renderers.otavatar.config import AnimatorConfig
from countenance.renderers.otavatar.drawing import Drawing
from countenance.renderers.otavatar.network import MODEL, Animator
from countenance.renderers.otavatar.recipe import lite
from countenance.weights.weight_files import config_from, fill, read_weights
from page import replace_section

FRAMES = 4
"""That take turns: each has a motion code and a camera of its own."""
LONG = 10_000
"""Pictures of a motion that is worth compiling for."""
ROUNDED = "bfloat16"  # in the name of a form
Row = dict[str, Any]
"""Of the table: stage, form, ms; "plain : this" and "largest difference" where there is a plain form."""
Forms = dict[str, Callable[[int], Any]]


@dataclass(frozen=True)
class Stage:
    """A part of the work.

    Attributes:
        name: for the table.
        forms: ways to do it, by name; each takes the number of a frame.
        compared: what of a result is compared, as a tensor.
    """

    name: str
    forms: Forms
    compared: Callable[[Any], Tensor] = torch.Tensor.float


class Scene(NamedTuple):
    """What is drawn: an identity, and a window of motion (1, coefficients, 27), a code and a camera for each frame."""

    identity: Tensor
    windows: Sequence[Tensor]
    ws: Sequence[Tensor]
    cameras: Sequence[Tensor]


def plain_filtered(x: Tensor, f: Tensor, up: int, before: int, after: int) -> Tensor:
    """Zeros after every sample, padding, a filter with gain 4: (B, C, H, W) -> (B, C, H', W')."""
    batch, channels, height, width = x.shape
    if up > 1:
        spread = x.new_zeros(batch, channels, height, up, width, up)
        spread[:, :, :, 0, :, 0] = x
        x = spread.reshape(batch, channels, height * up, width * up)
    kernel = (4 * f).flip([0, 1]).expand(channels, 1, *f.shape)
    return F.conv2d(F.pad(x, [before, after, before, after]), kernel, groups=channels)


def plain_modulated(x: Tensor, weight: Tensor, styles: Tensor, f: Tensor | None = None) -> Tensor:
    """x (B, C, H, W), weight (C', C, K, K), styles (B, C) -> (B, C', H, W), twice as large with a filter f."""
    batch, channels, height, width = x.shape
    outputs, _, kernel, _ = weight.shape
    own = weight * styles[:, None, :, None, None]
    if kernel > 1:  # to colours, they are not normalised
        own = own * (own.square().sum([2, 3, 4], keepdim=True) + 1e-8).rsqrt()
    x = x.reshape(1, batch * channels, height, width)
    if f is None:
        x = F.conv2d(x, own.flatten(0, 1), padding=kernel // 2, groups=batch)
    else:
        x = F.conv_transpose2d(x, own.transpose(1, 2).flatten(0, 1), stride=2, groups=batch)
        x = plain_filtered(x, f, 1, 1, 1)
    return x.reshape(batch, outputs, *x.shape[2:])


def plain_layer(layer: SynthesisLayer, x: Tensor, w: Tensor, *, noise: bool) -> Tensor:
    """See :class:`SynthesisLayer`."""
    f = layer.resample_filter if layer.up == 2 else None
    x = plain_modulated(x, layer.weight, layer.affine(w), f)
    if noise:
        x = x + layer.noise_const * layer.noise_strength
    return clamped(F.leaky_relu(x + layer.bias[:, None, None], 0.2) * math.sqrt(2), layer.conv_clamp)


def clamped(x: Tensor, limit: float | None) -> Tensor:
    """x in +- limit."""
    return x if limit is None else x.clamp(-limit, limit)


def plain_block(
    block: SynthesisBlock, x: Tensor | None, img: Tensor | None, ws: Tensor, *, noise: bool
) -> tuple[Tensor, Tensor]:
    """See :class:`SynthesisBlock`."""
    if block.const is not None:
        x = block.const.repeat(len(ws), 1, 1, 1)
    assert x is not None
    if block.conv0 is not None:
        x = plain_layer(block.conv0, x, ws[:, 0], noise=noise)
    x = plain_layer(block.conv1, x, ws[:, -2], noise=noise)
    last = block.torgb
    styles = last.affine(ws[:, -1]) / math.sqrt(last.weight.shape[1])
    mixed = plain_modulated(x, last.weight, styles)
    colours = clamped(mixed + last.bias[:, None, None], last.conv_clamp)
    if img is None:
        return x, colours
    return x, colours + (plain_filtered(img, block.resample_filter, 2, 2, 1) if block.up == 2 else img)


def plain_planes(network: SynthesisNetwork, ws: Tensor) -> Tensor:
    """ws (B, num_ws, w_dim) -> (B, 3, C, H, W)."""
    x = img = None
    start = 0
    for side in network.config.widths:
        block: Any = network.get_submodule(f"b{side}")
        count = 2 if block.conv0 is None else 3
        x, img = plain_block(block, x, img, ws[:, start : start + count], noise=True)
        start += count - 1
    assert img is not None
    return img.reshape(len(ws), PLANES, -1, *img.shape[2:])


def plain_lookup(planes: Tensor, points: Tensor, box_warp: float) -> Tensor:
    """planes (B, 3, C, H, W), points (B, N, 3) -> mean features (B, N, C)."""
    grid = torch.stack([points[..., list(axes)] for axes in COORDINATES], 1) * (2 / box_warp)
    found = F.grid_sample(planes.flatten(0, 1), grid.flatten(0, 1)[:, None], align_corners=False)
    return found.reshape(*planes.shape[:3], -1).mean(1).transpose(1, 2)


def plain_march(densities: Tensor, depths: Tensor) -> Tensor:
    """Densities and depths (B, R, N) -> weights (B, R, N - 1) of the intervals between."""
    middle = (densities[..., 1:] + densities[..., :-1]) / 2
    alpha = 1 - torch.exp(-F.softplus(middle - 1) * (depths[..., 1:] - depths[..., :-1]))
    left = torch.cat([torch.ones_like(alpha[..., :1]), 1 - alpha + 1e-10], -1)
    return alpha * left.cumprod(-1)[..., :-1]


def plain_rendered(generator: EG3D, planes: Tensor, camera: Tensor) -> Tensor:
    """planes (B, 3, C, H, W), camera (B, 25) -> features (B, C, r, r)."""
    options, decoder = generator.config, generator.decoder
    side = options.neural_rendering_resolution
    origins, directions = camera_rays(camera, side)

    def seen(depths: Tensor) -> tuple[Tensor, Tensor]:
        points = origins[:, :, None] + depths[..., None] * directions[:, :, None]
        density, colours = decoder(plain_lookup(planes, points.flatten(1, 2), options.box_warp))
        return density.reshape(depths.shape), decoder.widened(colours).reshape(*depths.shape, -1)

    start, end = depth_limits(origins, directions, options)
    coarse = stratified_depths(start, end, options.depth_resolution, Randomness().jitter)
    first = seen(coarse)
    weights = plain_march(first[0], coarse)
    fine = importance_depths(coarse, weights, options.depth_resolution_importance, None)
    densities, colours = (torch.cat(both, 2) for both in zip(first, seen(fine), strict=True))
    depths, order = torch.cat([coarse, fine], 2).sort(2)
    weights = plain_march(densities.gather(2, order), depths)
    colours = colours.gather(2, order[..., None].expand(colours.shape))
    mixed = (weights[..., None] * (colours[:, :, 1:] + colours[:, :, :-1]) / 2).sum(2)
    return (mixed * 2 - 1).transpose(1, 2).reshape(len(camera), -1, side, side)


def plain_enlarged(network: SuperResolution, features: Tensor, ws: Tensor) -> Tensor:
    """See :class:`SuperResolution`."""
    last = ws[:, -1:].repeat(1, 3, 1)
    side, wanted = features.shape[2], network.input_side
    if side != wanted if network.doubles_twice else side < wanted:
        features = F.interpolate(features, (wanted, wanted), mode="bilinear", antialias=network.antialias)
    x, img = plain_block(network.block0, features, features[:, :COLOURS], last, noise=False)
    return plain_block(network.block1, x, img, last, noise=False)[1]


def animator_of(size: str, weights: Path | None) -> Animator:
    """With the weights of a file, or random ones of a size: noise and biases too, which a fresh network lacks."""
    if weights is not None:
        file = read_weights(weights, MODEL)
        animator = Animator(config_from(file, AnimatorConfig, weights))
        fill(animator, file.tensors, weights)
        return animator
    torch.manual_seed(0)
    animator = Animator(lite().network if size == "lite" else AnimatorConfig())
    for parameter in animator.parameters():
        if parameter.ndim < 2:
            parameter.data += 0.1 * torch.randn_like(parameter)
    last: Any = animator.generator.decoder.net[2]
    last.bias.data[0] += 3  # matter everywhere
    return animator


def scene_of(animator: Animator, device: torch.device) -> Scene:
    """Random motion and codes, and cameras at yaws of -30 to 30 degrees."""
    numbers, config = torch.Generator().manual_seed(1), animator.config.controller
    code = torch.randn(1, config.codes, config.code_width, generator=numbers)
    windows = torch.randn(FRAMES, 1, config.coefficients, 2 * RADIUS + 1, generator=numbers).to(device)
    turned = Motion.neutral(ARKIT, FRAMES, 25.0).set(yaw=np.radians(np.linspace(-30, 30, FRAMES)))
    cameras = torch.from_numpy(arkit_cameras(turned.values))[:, None].to(device)
    identity = animator.mean_code + code.to(device)
    return Scene(identity, list(windows), [animator.ws(identity, one) for one in windows], list(cameras))


def parts(animator: Animator, scene: Scene, *, compiled: bool) -> list[Stage]:
    """Every part on its own; all forms of a part are given the same."""
    generator, options, ws = animator.generator, animator.config.generator, scene.ws
    backbone, enlarging, box = generator.backbone.synthesis, generator.superresolution, options.box_warp
    pictures = plain_planes(backbone, ws[0])
    planes = TriPlanes.of(pictures)
    features = [plain_rendered(generator, pictures, camera) for camera in scene.cameras]
    samples = options.depth_resolution + options.depth_resolution_importance
    count = options.neural_rendering_resolution**2 * samples
    points = (torch.rand(1, count, 3, generator=torch.Generator().manual_seed(2)) - 0.5).to(pictures) * box

    def looked_up(found: TriPlanes | Tensor) -> Tensor:
        return found.at(points, box) if isinstance(found, TriPlanes) else plain_lookup(found, points, box)

    volumes: Forms = {
        "plain": lambda i: plain_planes(backbone, ws[i]),
        "ours": lambda i: generator.planes(ws[i]),
    }
    lookups: Forms = {"plain": lambda i: looked_up(pictures), "ours": lambda i: looked_up(planes)}
    rays: Forms = {
        "plain": lambda i: plain_rendered(generator, pictures, scene.cameras[i]),
        "ours": lambda i: generator.render(planes, scene.cameras[i]).features,
    }
    larger: Forms = {
        "plain": lambda i: plain_enlarged(enlarging, features[i], ws[i]),
        "ours": lambda i: generator.enlarge(features[i], ws[i]),
    }
    if compiled:  # in the precisions of Drawing
        first = OpenVINONetwork(backbone, (ws[0],), "f32")
        last = OpenVINONetwork(enlarging, (features[0], ws[0]), "bf16")
        volumes["compiled"] = lambda i: TriPlanes.of(first(ws[i])[0].reshape(pictures.shape))
        larger[f"compiled, {ROUNDED}"] = lambda i: last(features[i], ws[i])[0]
    return [
        Stage("motion code", {"ours": lambda i: animator.ws(scene.identity, scene.windows[i])}),
        Stage("planes", volumes, looked_up),
        Stage(f"features of {count} points", lookups),
        Stage("rays, with their features", rays),
        Stage("super-resolution", larger),
    ]


def wholes(animator: Animator, scene: Scene, *, compiled: bool, autocast: bool) -> list[Stage]:
    """A picture of a motion and a camera: with everything new, and with only the camera moving."""
    generator, held = animator.generator, scene.ws[0]
    kept = plain_planes(generator.backbone.synthesis, held)

    def code(i: int, *, anew: bool) -> Tensor:
        return animator.ws(scene.identity, scene.windows[i]) if anew else held

    def plain(i: int, *, anew: bool) -> Tensor:
        ws = code(i, anew=anew)
        planes = plain_planes(generator.backbone.synthesis, ws) if anew else kept
        features = plain_rendered(generator, planes, scene.cameras[i])
        return plain_enlarged(generator.superresolution, features, ws)

    def drawn(i: int, *, drawing: Drawing, anew: bool, half: bool = False) -> Tensor:
        with torch.autocast(held.device.type, torch.bfloat16, enabled=half):
            return drawing.picture(code(i, anew=anew), scene.cameras[i], LONG).image

    stages = []
    for name, anew in (("whole picture, all of it new", True), ("whole picture, the camera new", False)):
        eager, other = Drawing(animator, compiled=False), Drawing(animator, compiled=compiled)
        ours = partial(drawn, drawing=eager, anew=anew)
        forms: Forms = {"plain": partial(plain, anew=anew), "ours": ours}
        if compiled:
            forms[f"compiled, {ROUNDED}"] = partial(drawn, drawing=other, anew=anew)
        if autocast:
            forms[f"autocast, {ROUNDED}"] = partial(drawn, drawing=other, anew=anew, half=True)
        stages.append(Stage(name, forms))
    return stages


def measured(stage: Stage, repeats: int, settle: Callable[[], None]) -> list[Row]:
    """Median milliseconds of each form, and how far its results are from plain ones; forms take turns."""
    for form in stage.forms.values():
        form(0)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # TF32 rounds more than forms may differ
        results = {name: stage.compared(form(1)) for name, form in stage.forms.items()}
    times: dict[str, list[float]] = {name: [] for name in stage.forms}
    for turn in range(repeats):
        for name, form in stage.forms.items():
            settle()
            start = time.perf_counter()
            form(turn % FRAMES)
            settle()
            times[name].append(1e3 * (time.perf_counter() - start))
    ms = {name: statistics.median(taken) for name, taken in times.items()}
    rows = []
    for name, result in results.items():
        row: Row = {"stage": stage.name, "form": name, "ms": ms[name]}
        if name != "plain" and "plain" in results:
            row["plain : this"] = ms["plain"] / ms[name]
            row["largest difference"] = float((result - results["plain"]).abs().max())
        rows.append(row)
    return rows


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| stage | form | ms | frames/s | plain : this | largest difference |", "| --- " * 6 + "|"]
    for row in rows:
        cells = [row["stage"], row["form"], f"{row['ms']:.2f}", f"{1e3 / row['ms']:.2f}"]
        cells.append(f"{row['plain : this']:.2f}" if "plain : this" in row else "")
        cells.append(f"{row['largest difference']:.0e}" if "largest difference" in row else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def heading(animator: Animator, args: argparse.Namespace) -> str:
    """On what, and of which sizes."""
    sizes, given = animator.config.generator, f"--size {args.size}"
    if args.weights is not None:
        given = f"--weights {args.weights.name}"
    where = f"{os.cpu_count()} CPU cores, {platform.machine()}, threads: {torch.get_num_threads()}"
    if args.device.type == "cuda":
        where = torch.cuda.get_device_name(args.device)
    return (
        f"`python benchmarks/triplane.py {given}`: planes of {sizes.plane_resolution} px, "
        f"{sizes.feature_channels} channels; {sizes.neural_rendering_resolution} px by rays, "
        f"{animator.config.size} px drawn; median of {args.repeat} turns, PyTorch {torch.__version__}, {where}:"
    )


@torch.inference_mode()
def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=("full", "lite"), default="full")
    parser.add_argument("--weights", type=Path, help="file of an OTAvatar, in place of --size")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, help="of torch and OpenVINO; as many as torch takes if absent")
    parser.add_argument("--repeat", type=int, default=9, help="turns")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help="file whose section 'triplane SIZE' is replaced")
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    on_gpu, compiled = args.device.type == "cuda", openvino_wanted(args.device)
    animator = animator_of(args.size, args.weights).eval().to(args.device)
    scene = scene_of(animator, args.device)
    stages = parts(animator, scene, compiled=compiled)
    stages += wholes(animator, scene, compiled=compiled, autocast=on_gpu)
    settle = torch.cuda.synchronize if on_gpu else lambda: None
    rows = [row for stage in stages for row in measured(stage, args.repeat, settle)]
    print(text := f"{(head := heading(animator, args))}\n\n{table(rows)}")
    if args.json:
        args.json.write_text(json.dumps({"run": head, "rows": rows}, indent=1) + "\n")
    limits = [0.1 if ROUNDED in row["form"] else 1e-3 for row in rows]
    if not all(row.get("largest difference", 0) < limit for row, limit in zip(rows, limits, strict=True)):
        sys.exit("a form computes something else than the plain one, so its ratio is worthless")
    if args.markdown:
        replace_section(args.markdown, f"triplane {args.size}", text)


if __name__ == "__main__":
    main()
