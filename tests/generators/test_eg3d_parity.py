"""Our EG3D against numbers from the authors' network, stage by stage."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from countenance.face.rotations import rotation_from_angles
from countenance.generators.eg3d import cameras, rays
from countenance.generators.eg3d.config import EG3DConfig, RayOptions
from countenance.generators.eg3d.decoder import Decoder
from countenance.generators.eg3d.generator import EG3D
from countenance.generators.eg3d.official import load_official
from countenance.generators.eg3d.planes import COORDINATES, TriPlanes
from countenance.generators.eg3d.rendering import Followed, Randomness, depth_limits, follow, render_rays
from countenance.generators.eg3d.superresolution import SuperResolution
from countenance.weights.weight_files import fill
from generators.parity_cases import Case, Tensors, layers_heard, meta, relative_error, shapes

NETWORKS = ("tiny-synthesis", "tiny-synthesis-half-jitter")


@pytest.fixture(scope="module")
def parity(shared: Path) -> Path:
    return shared / "parity" / "eg3d"


def config_of(hyper: dict[str, Any], **more: Any) -> EG3DConfig:
    known = {**hyper["rendering_kwargs"], **hyper}
    inner, outer = hyper["sr_channels"]
    names = {field.name for field in fields(EG3DConfig)}
    return EG3DConfig(
        **{name: value for name, value in known.items() if name in names},
        sr_inner_channels=inner,
        sr_outer_channels=outer,
        **more,
    )


def network_of(case: Case, weights: Tensors) -> EG3D:
    network = EG3D(config_of(case.hyper)).eval()
    assert list(shapes(network).items()) == list(case.keys.items())
    fill(network, weights, case.folder)
    return network


def on_the_way(rays: Followed) -> Tensors:
    """In the authors' names and shapes."""
    fine = rays.depths_fine.shape[-1]
    with_two_passes = {
        "densities_coarse": rays.densities_coarse,
        "weights_coarse": rays.coarse.weights,
        "depths_fine": rays.depths_fine,
        "depths_all": rays.depths,
        "densities_all": rays.densities,
    }
    always = {"depths_coarse": rays.depths_coarse, "weights_final": rays.final.weights}
    return {name: part[..., None] for name, part in {**always, **(with_two_passes if fine else {})}.items()}


def results(network: EG3D, case: Case) -> Tensors:
    """Everything that a network's case lists."""
    given, hyper = case.given, case.hyper
    z, camera, seen_by = given["z"], given["c"], given["c_conditioning"]
    side = network.config.neural_rendering_resolution
    randomness = Randomness(jitter=hyper["stratified_jitter"])
    with torch.no_grad(), layers_heard(network) as heard:
        ws = network.mapping(z, seen_by)
        picture = network(ws, camera, randomness=randomness)
    with torch.no_grad():
        planes = network.planes(ws)
        origins, directions = rays.camera_rays(camera, side)
        limits = depth_limits(origins, directions, network.config)
        followed = follow(planes, network.decoder, (origins, directions), limits, network.config, randomness)
        density, colours = network.at(planes, given["coordinates"])
        scale = 0.0 if network.config.c_gen_conditioning_zero else network.config.c_scale
        return {
            "mapping.input_normalized": network.backbone.mapping.normalized_input(z, seen_by * scale),
            "ws": ws,
            "ws_truncated": network.mapping(z, seen_by, hyper["truncation_psi"], hyper["truncation_cutoff"]),
            "planes": heard["layer.backbone.synthesis"],
            "ray_origins": origins,
            "ray_directions": directions,
            **{f"render.{name}": tensor for name, tensor in on_the_way(followed).items()},
            "render.features": picture.rendered.features.flatten(2).transpose(1, 2),
            "render.depth": picture.rendered.depth.flatten(2).transpose(1, 2),
            "render.weight_sum": picture.rendered.weight_sum.flatten(2).transpose(1, 2),
            "image_raw": picture.rendered.colours,
            "image_depth": picture.rendered.depth,
            "image": picture.image,
            "layer.superresolution.block0.x": heard["layer.superresolution.block0"][0],
            "layer.superresolution.block0.img": heard["layer.superresolution.block0"][1],
            "layer.superresolution.block1.x": heard["layer.superresolution.block1"][0],
            "sample.sigma": density,
            "sample.rgb": colours,
        }


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_gives_the_authors_numbers(parity: Path, name: str, device: str) -> None:
    case = Case(parity / name, device)
    ours = results(network_of(case, case.weights), case)
    assert set(ours) == set(case.expected)
    case.compare(ours)


def test_a_wrong_weight_is_noticed(parity: Path) -> None:
    case = Case(parity / "tiny-synthesis")
    weights = case.weights
    weights["decoder.net.2.bias"][0] += 0.1
    ours = results(network_of(case, weights), case)
    assert relative_error(ours["ws"], case.expected["ws"]) < case.tolerance
    assert relative_error(ours["image"], case.expected["image"]) > case.tolerance


def test_names_and_shapes_of_the_published_network(parity: Path) -> None:
    case = Case(parity / "official-full-ffhqrebalanced512-128")
    sides = case.hyper["neural_rendering_resolution"]
    hyper = {**case.hyper, "neural_rendering_resolution": sides["ffhqrebalanced512-128"]}
    network = meta(lambda: EG3D(config_of(hyper)))
    assert network.config == EG3DConfig()
    assert network.config.num_ws == hyper["num_ws"]
    assert list(shapes(network).items()) == list(case.keys.items())


def test_the_published_container(parity: Path) -> None:
    case = Case(parity / "checkpoint-container")
    network = load_official(case.folder / "sample.pkl")
    assert network.config == config_of(case.hyper)
    assert list(network.state_dict()) == list(case.keys)
    for name, tensor in case.weights.items():
        assert torch.equal(network.state_dict()[name], tensor), name
    with torch.no_grad():
        case.compare({"ws": network.mapping(case.given["z"], case.given["c"])})


def test_cameras(parity: Path) -> None:
    case = Case(parity / "cameras")
    given, radius = case.given, case.hyper["radius"]
    angles = (given["horizontal"], given["vertical"])
    look_at = given["look_at"].tolist()
    pose = cameras.look_at_pose(*angles, look_at, radius)
    intrinsics = [cameras.intrinsics_from_fov(float(fov)) for fov in given["fov_degrees"]]
    face = (given["angles"], given["translations"])
    camera, centred = cameras.face_camera(*face), cameras.face_camera(*face, centred=True)
    at_origin = cameras.look_at_pose(*angles, (0, 0, 0), radius)
    case.compare(
        {
            "look_at_pose": pose,
            "origin_pose": at_origin,
            "uniform_pose": at_origin,
            "create_cam2world": cameras.camera_to_world(given["forward"], given["origin"]),
            "fov_intrinsics": torch.stack(intrinsics),
            "conditioning_vector": cameras.camera_vector(
                pose, cameras.intrinsics_from_fov(cameras.FFHQ_FOV_DEG)
            ),
            "rotation_from_angles": torch.as_tensor(rotation_from_angles(given["angles"])).transpose(1, 2),
            "face_pose_unnormalised": cameras.face_pose(*face),
            "face_pose_orig": cameras.pose_of(camera),
            "face_pose_cor": cameras.pose_of(centred),
            "face_intrinsics": cameras.intrinsics_of(camera),
            "face_pose_orig_mirrored": cameras.mirrored(cameras.pose_of(camera)),
            "face_c_orig": camera,
        }
    )


def test_planes(parity: Path, device: str) -> None:
    """These are not square; square ones, of which two become one, are in the networks.

    The case also has other axes and a grid of voxels, which the networks do not use.
    """
    case = Case(parity / "planes", device)
    given, expected = case.given, case.expected
    points, planes = given["coordinates"], given["planes"]
    projections = torch.stack([points[..., list(pair)] for pair in COORDINATES], 1).flatten(0, 1)
    assert relative_error(projections, expected["projections"]) < case.tolerance
    for warp in case.hyper["box_warps"]:
        each = expected[f"features.box_warp_{warp}"]
        assert relative_error(TriPlanes.of(planes).at(points, warp), each.mean(1)) < case.tolerance
        for number in range(3):
            alone = torch.zeros_like(planes)
            alone[:, number] = planes[:, number]
            assert relative_error(3 * TriPlanes.of(alone).at(points, warp), each[:, number]) < case.tolerance


def test_decoder(parity: Path, device: str) -> None:
    case = Case(parity / "decoder", device)
    decoder = decoder_of(case)
    with torch.no_grad(), layers_heard(decoder) as heard:
        density, colours = decoder(case.given["sampled_features"].mean(1))
    case.compare({"sigma": density, "rgb": decoder.widened(colours), "hidden": heard["layer.net.1"]})


def decoder_of(case: Case) -> Decoder:
    decoder = Decoder(32, case.hyper["decoder_lr_mul"]).eval()
    assert list(shapes(decoder).items()) == list(case.keys.items())
    fill(decoder, case.weights, case.folder)
    return decoder.to(case.device)


def test_rays(parity: Path, device: str) -> None:
    case = Case(parity / "ray-sampler", device)
    given, ours = case.given, {}
    camera = cameras.camera_vector(given["cam2world"], given["intrinsics"])
    for side in case.hyper["resolutions"]:
        ours[f"origins.{side}"], ours[f"directions.{side}"] = rays.camera_rays(camera, side)
    for side in case.hyper["box_side_lengths"]:
        limits = rays.box_limits(given["box_origins"], given["box_directions"], side)
        ours[f"box_entry.{side}"], ours[f"box_exit.{side}"] = limits
    steps = rays.stratified_depths(
        given["linspace_start"], given["linspace_stop"], case.hyper["linspace_steps"], 0
    )
    ours["linspace"] = steps.permute(2, 0, 1)[..., None]
    assert set(ours) == set(case.expected)
    case.compare(ours)


def test_marching(parity: Path, device: str) -> None:
    case = Case(parity / "ray-marcher", device)
    ours = {}
    for run in case.config["runs"]:
        colours, densities, depths = (
            case.given[f"{run['inputs']}.{part}"] for part in ("colors", "densities", "depths")
        )
        seen = rays.march(densities[..., 0], depths[..., 0])
        missing = 1 - seen.weights.sum(-1, keepdim=True) if run["options"].get("white_back") else 0
        ours[f"{run['name']}.rgb"] = 2 * ((seen.shares[..., None] * colours).sum(2) + missing) - 1
        depth = rays.mean_depth(seen, depths[..., 0]).clamp(depths.min(), depths.max())
        ours[f"{run['name']}.depth"] = depth[..., None]
        ours[f"{run['name']}.weights"] = seen.weights[..., None]
    assert set(ours) == set(case.expected)
    case.compare(ours)


def test_where_samples_lie(parity: Path, device: str) -> None:
    case = Case(parity / "importance-sampling", device)
    given, hyper = case.given, case.hyper
    even = torch.linspace(0, 1, hyper["samples"], device=device).expand(len(given["bins"]), -1)
    ours = {
        "pdf.deterministic": rays.from_histogram(given["bins"], given["weights"], even),
        "pdf.given_u": rays.from_histogram(given["bins"], given["weights"], given["u"]),
    }
    depths, weights = given["depths"][..., 0], given["march_weights"][..., 0]
    u = given["u_importance"].reshape(*depths.shape[:2], -1)
    for name, numbers in (("deterministic", None), ("given_u", u)):
        ours[f"importance.{name}"] = rays.importance_depths(depths, weights, hyper["samples"], numbers)[
            ..., None
        ]
    count = hyper["depth_resolution"]
    start, end = (torch.full((2, 5, 1), hyper[name], device=device) for name in ("ray_start", "ray_end"))
    own = (given["ray_start"], given["ray_end"])
    for jitter_name, jitter in (("zero", 0.0), ("half", 0.5), ("given", given["jitter"][..., 0])):
        runs = {
            "stratified": rays.stratified_depths(start, end, count, jitter),
            "stratified_disparity": rays.stratified_depths(start, end, count, jitter, disparity=True),
            "stratified_per_ray": rays.stratified_depths(*own, count, jitter),
        }
        ours |= {f"{run}.{jitter_name}": tensor[..., None] for run, tensor in runs.items()}
    # "unify" is sorting, which the renderer does to numbers of its own: see its depths and densities
    assert set(ours) == {name for name in case.expected if not name.startswith("unify.")}
    case.compare(ours)


@pytest.mark.parametrize("rays_at_a_time", [1000, 7])
def test_rendering(parity: Path, rays_at_a_time: int, device: str) -> None:
    case = Case(parity / "renderer", device)
    given, ours = case.given, {}
    planes, decoder = TriPlanes.of(given["planes"]), decoder_of(case)
    for run in case.config["runs"]:
        name, options = run["name"], dict(run["options"])
        assert options.pop("clamp_mode") == "softplus"
        settings = RayOptions(**options)
        end = "_wide" if run["rays"] == "wide" else ""
        both = (given[f"ray_origins{end}"], given[f"ray_directions{end}"])
        jitter = run["stratified_jitter"]
        u = given.get(f"{name}.importance_u")
        randomness = Randomness(
            given[f"{name}.stratified_u"][..., 0] if jitter == "given" else jitter,
            u if u is None else u[None],
        )
        with torch.no_grad():
            seen = render_rays(planes, decoder, *both, settings, randomness, rays_at_a_time)
            way = follow(planes, decoder, both, depth_limits(*both, settings), settings, randomness)
        ours |= {f"{name}.{part}": tensor for part, tensor in on_the_way(way).items()}
        ours[f"{name}.features"] = seen.features
        ours[f"{name}.depth"] = seen.depth[..., None]
        ours[f"{name}.weight_sum"] = seen.weight_sum[..., None]
    assert set(ours) == set(case.expected)
    case.compare(ours)


@pytest.mark.parametrize("name", ["superresolution-4x", "superresolution-8xdc"])
def test_superresolution(parity: Path, name: str, device: str) -> None:
    case = Case(parity / name, device)
    hyper = case.hyper
    inner, outer = hyper["channels"]
    network = SuperResolution(
        EG3DConfig(
            w_dim=hyper["w_dim"],
            superresolution=hyper["module"],
            sr_input_resolution=hyper["input_resolution"],
            sr_inner_channels=inner,
            sr_outer_channels=outer,
            sr_antialias=hyper["sr_antialias"],
            sr_conv_clamp=256 if hyper["sr_num_fp16_res"] else None,
        )
    )
    assert list(shapes(network).items()) == list(case.keys.items())
    fill(network, case.weights, case.folder)
    network.to(device)
    ours: dict[str, Tensor] = {}
    for side in hyper["feature_resolutions"]:
        features = case.given[f"features.{side}"]
        for noise in reversed(hyper["noise_modes"]):
            with torch.no_grad(), layers_heard(network) as heard:
                ours[f"in{side}.image.{noise}"] = network(features, case.given["ws"], noise)
        assert torch.equal(features, case.given[f"features.{side}"])
        ours[f"in{side}.layer.block0.x"], ours[f"in{side}.layer.block0.img"] = heard["layer.block0"]
        ours[f"in{side}.layer.block1.x"] = heard["layer.block1"][0]
    # Theirs changes the raw picture that it was given, where it need not resize it; ours does not.
    assert set(ours) == {name for name in case.expected if "raw_image_afterwards" not in name}
    case.compare(ours)


def test_the_average_camera_is_in_front() -> None:
    half = torch.tensor([math.pi / 2])
    pose = cameras.look_at_pose(half, half)[0]
    torch.testing.assert_close(pose[:3, 3], torch.tensor([0, 0, cameras.RADIUS]), atol=1e-5, rtol=0)
    torch.testing.assert_close(pose[:3, :3], torch.diag(torch.tensor([1.0, -1, -1])), atol=1e-5, rtol=0)
