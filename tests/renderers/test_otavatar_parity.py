"""Our OTAvatar against numbers from the authors' code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from countenance.face.alignment import five_points
from countenance.generators.eg3d.density_losses import monotonic_loss, scene_points, total_variation_loss
from countenance.losses.arcface import SIDE, GreyArcFace
from countenance.motion.pose import rotation_matrix
from countenance.motion.sequence import Motion
from countenance.motion.spaces import BFM
from countenance.renderers.otavatar.camera import corrected, head_cameras, tracked_cameras
from countenance.renderers.otavatar.config import ControllerConfig, released
from countenance.renderers.otavatar.controller import MotionController, combined, within_reach
from countenance.renderers.otavatar.losses import (
    aligned_grey,
    face_alignment,
    identity_loss,
    local_loss,
    region_boxes,
    region_mask,
    roi_align,
)
from countenance.renderers.otavatar.official import from_official_names, load_official, to_official_names
from seeded import listed

CONTROLLERS = (
    "controller-full",
    "controller-tiny",
    "controller-tiny-scaling",
    "controller-tiny-expression-w-plus",
)
Tensors = dict[str, torch.Tensor]


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours.detach().cpu() - theirs.cpu()).abs().max() / theirs.abs().max())


def case_of(shared: Path, case: str, device: str = "cpu") -> tuple[Tensors, Tensors, Path]:
    folder = shared / "parity" / "otavatar" / case
    return load_file(folder / "inputs.safetensors", device), load_file(folder / "outputs.safetensors"), folder


def stored(folder: Path) -> Tensors:
    """The state dict, with the tensors that real files list more than once."""
    state = load_file(folder / "weights.safetensors")
    aliases = json.loads((folder / "config.json").read_text())
    for name, kept in (aliases.get("shared_tensors") or aliases.get("aliases") or {}).items():
        state[name] = state[kept]
    return {name: state[name] for name, _ in listed(folder / "keys.tsv")}


def traced(controller: MotionController, window: torch.Tensor) -> Tensors:
    """What the controller and its layers give, in the names of the fixtures."""
    layers: Tensors = {}
    hooks = [controller.first.register_forward_hook(lambda m, i, o: layers.update({"first": o}))]
    for number, encoder in enumerate(controller.encoders):
        hooks.append(
            encoder.register_forward_hook(lambda m, i, o, n=number: layers.update({f"encoder{n}": o}))
        )
    uses: list[torch.Tensor] = []
    for layer in controller.mlp:
        hooks.append(layer.register_forward_hook(lambda m, i, o: uses.append(o)))
    last: Tensors = {}
    hooks.append(
        controller.last.register_forward_hook(lambda m, i, o: last.update({"before_last": i[0], "out": o}))
    )
    with torch.no_grad():
        code = controller(window)
        pooled = controller.smoothed(window)
    for hook in hooks:
        hook.remove()
    found = {f"layer.mapping_3DMM.{name}": tensor for name, tensor in layers.items()}
    found["layer.mapping_3DMM.pooling"] = pooled[:, :, None]
    found |= {f"mlp.linear{use}": tensor[:, None] for use, tensor in enumerate(uses)}
    found |= {f"mlp.{name}": tensor[:, None] for name, tensor in last.items()}
    bases = controller.config.bases
    alpha = last["out"].reshape(len(window), -1, bases) if controller.config.scaling else code.magnitudes
    found |= {"codebook": controller.basis(), "motion_code": code.motion, "alpha": alpha}
    if code.scaling is not None:
        found["scaling_code"] = code.scaling
    return found


@pytest.mark.parametrize("case", CONTROLLERS)
def test_the_controller_gives_the_authors_numbers(shared: Path, case: str, device: str) -> None:
    given, expected, folder = case_of(shared, case, device)
    published = json.loads((folder / "config.json").read_text())["hyper_parameters"]
    controller = from_official_names(stored(folder), folder, shortcut=published["if_short_cut"]).to(device)
    config = controller.config
    assert config.one_layer
    assert (config.width, config.smoothing_layers) == (
        published["descriptor_nc"],
        published["mapping_layers"],
    )
    assert (config.mlp_layers, config.bases) == (published["mlp_layers"], published["directions"])
    assert (config.coefficients == 70, config.scaling) == (
        published["if_use_pose"],
        published["if_plus_scaling"],
    )
    ours = traced(controller, given["window"])
    with torch.no_grad():
        ours["w_combined"] = combined(given["w_id"], controller(given["window"]))
    ours["w_clipped"] = within_reach(ours["w_combined"], given["w_avg"], 5.0)
    assert set(ours) == set(expected)
    for name, tensor in ours.items():
        assert relative_error(tensor, expected[name]) < 1e-4, name


def test_a_wrong_weight_swapped_directions_and_a_wrong_shortcut_are_noticed(shared: Path) -> None:
    given, expected, folder = case_of(shared, "controller-tiny")
    for change in ("weight", "directions", "shortcut"):
        state = stored(folder)
        if change == "weight":
            state["mapping_3DMM.encoder1.1.bias"] = state["mapping_3DMM.encoder1.1.bias"] + 0.01
        if change == "directions":
            state["direction.weight"] = state["direction.weight"][:, [1, 0, 2, 3, 4, 5]]
        controller = from_official_names(state, folder, shortcut=change != "shortcut")
        with torch.no_grad():
            code = controller(given["window"]).motion
        assert relative_error(code, expected["motion_code"]) > 1e-3, change


def test_a_positive_diagonal_would_be_another_codebook(shared: Path) -> None:
    _, expected, folder = case_of(shared, "controller-full")
    q, r = torch.linalg.qr(stored(folder)["direction.weight"] + 1e-8)
    positive = q * r.diagonal().sign()
    assert relative_error(q, expected["codebook"]) < 1e-5
    assert relative_error(positive, expected["codebook"]) > 1


def test_names_and_shapes_of_the_published_networks(shared: Path) -> None:
    folder = shared / "parity" / "otavatar"
    controller = MotionController(released().controller)
    theirs = listed(folder / "official-full-controller" / "keys.tsv")
    assert [(n, list(t.shape)) for n, t in to_official_names(controller).items()] == theirs
    facts = json.loads((folder / "official-full-controller" / "config.json").read_text())
    assert sum(p.numel() for p in controller.parameters()) == facts["parameters"]
    with torch.device("meta"):
        arcface = GreyArcFace()
    theirs = listed(folder / "official-full-arcface" / "keys.tsv")
    assert [(n, list(t.shape)) for n, t in arcface.state_dict().items()] == theirs
    facts = json.loads((folder / "official-full-arcface" / "config.json").read_text())
    assert sum(p.numel() for p in arcface.parameters()) == facts["parameters"]


@pytest.mark.parametrize("kind", ["released", "training"])
def test_the_published_container(shared: Path, kind: str) -> None:
    given, expected, folder = case_of(shared, "checkpoint-container")
    path = folder / f"{kind}_checkpoint.pt"
    state = stored(folder)
    for averaged, name in ((True, "motion_code"), (False, "motion_code_not_averaged")):
        checkpoint = load_official(path, averaged=averaged)
        with torch.no_grad():
            code = checkpoint.controller(given["window"]).motion
        assert relative_error(code, expected[f"{kind}.{name}"]) < 1e-4
        other = "motion_code_not_averaged" if averaged else "motion_code"
        assert relative_error(code, expected[f"{kind}.{other}"]) > 1e-3
        wanted = {n.removeprefix("net_G_ema."): t for n, t in state.items() if n.startswith("net_G_ema.")}
        assert {n: t.shape for n, t in checkpoint.generator.items()} == {
            n: t.shape for n, t in wanted.items()
        }
        same = all(torch.equal(checkpoint.generator[n], t) for n, t in wanted.items())
        assert same == averaged


def test_cameras_of_a_tracked_clip(shared: Path) -> None:
    given, expected, _ = case_of(shared, "camera-and-window")
    for frames in (2, 3, 7):
        conditions = given[f"conditions.{frames}_frames"].numpy()
        ours = torch.from_numpy(tracked_cameras(conditions))
        assert relative_error(ours, expected[f"c.{frames}_frames"]) < 1e-5
        pitch, yaw, roll = conditions[:, :3].T
        raw = head_cameras(rotation_matrix(-yaw, -pitch, roll), conditions[:, 3:6], conditions[:, 6])
        assert relative_error(torch.from_numpy(raw), expected[f"c.{frames}_frames"]) > 1e-3  # not smoothed
    pitch, yaw, roll = given["angles"].numpy().T
    turned = torch.from_numpy(rotation_matrix(yaw, pitch, roll)).mT
    assert relative_error(turned, expected["rotation"]) < 1e-5
    opposite = torch.from_numpy(rotation_matrix(-yaw, -pitch, roll)).mT
    assert relative_error(opposite, expected["rotation_adnerf"]) < 1e-5


def test_the_correction_of_the_camera(shared: Path, device: str) -> None:
    given, expected, _ = case_of(shared, "camera-and-window", device)
    before = given["c"].clone()
    ours = corrected(given["c"], given["intrinsics_bias"])
    assert relative_error(ours, expected["c_biased_intrinsics"]) < 1e-5
    both = corrected(given["c"], given["intrinsics_bias"], given["rotation_bias"])
    assert relative_error(both, expected["c_biased_both"]) < 1e-5
    assert relative_error(both, expected["c_biased_intrinsics"]) > 1e-2
    # they overwrite what they were given, and only the rotation in it; we do not
    torch.testing.assert_close(given["c"], before, rtol=0, atol=0)
    theirs = torch.cat([both[:, :16], before[:, 16:]], 1)
    assert relative_error(theirs, expected["c_input_afterwards"]) < 1e-5


def test_windows_are_the_motions_own(shared: Path) -> None:
    given, expected, _ = case_of(shared, "camera-and-window")
    rows = given["coefficients"].numpy()
    values = np.concatenate([rows[:, 80:144], rows[:, 224:227], rows[:, 254:257]], 1)
    windows = Motion(values, BFM, 25.0).descriptor()
    numbers = Motion(np.tile(np.arange(20.0)[:, None], (1, 70)), BFM, 25.0).descriptor()
    for frame in (0, 5, 19):
        np.testing.assert_array_equal(windows[frame], expected[f"window.{frame}"].numpy())
        np.testing.assert_array_equal(numbers[frame, 0], expected[f"window_index.{frame}"].numpy())
    assert not np.array_equal(windows[5], expected["window.0"].numpy())


def test_boxes_crops_and_the_local_loss(shared: Path) -> None:
    given, expected, folder = case_of(shared, "local-loss")
    predicted, target, points = given["predicted"], given["target"], given["keypoints"]
    boxes = region_boxes(points, 64)
    # they name eyes as the picture shows them
    names = {"mouth": "mouth", "nose": "nose", "left_eye": "right_eye", "right_eye": "left_eye"}
    for theirs, ours in names.items():
        assert torch.equal(boxes[ours], expected[f"bbox.{theirs}"])
    outside = json.loads((folder / "config.json").read_text())["hyper_parameters"]["outside_weight"]
    assert torch.equal(region_mask(points, 64, outside), expected["mask"])
    crops = {
        "target.mouth": roi_align(target, boxes["mouth"], 120),
        "predicted.mouth": roi_align(predicted, boxes["mouth"], 120),
        "target.left_eye": roi_align(target, boxes["right_eye"], 80),
        "target.right_eye": roi_align(target, boxes["left_eye"], 80),
    }
    for name, crop in crops.items():
        assert relative_error(crop, expected[f"crop.{name}"]) < 1e-5, name
    loss = local_loss(predicted, target, points, eyes=False)
    assert float(loss) == pytest.approx(float(expected["loss"]), rel=1e-5)
    assert float(local_loss(predicted, target, points, eyes=True)) > 1.1 * float(expected["loss"])
    moved = roi_align(target, boxes["mouth"] + torch.tensor([1, 0, 1, 0]), 120)
    assert relative_error(moved, expected["crop.target.mouth"]) > 1e-2


def test_the_identity_loss(shared: Path) -> None:
    given, expected, _ = case_of(shared, "identity-alignment")
    matrices = face_alignment(given["keypoints"], 64)
    assert relative_error(matrices, expected["similarity"]) < 1e-4
    points = np.stack([five_points(face) for face in given["keypoints"].numpy() / 8])
    assert relative_error(torch.from_numpy(points), expected["five_points"]) < 1e-4
    grey = aligned_grey(given["image"], matrices)
    assert relative_error(grey, expected["grey"]) < 1e-4
    assert grey.shape[2:] == (SIDE, SIDE)
    half_pixel = matrices + torch.tensor([[0, 0, 0.5], [0, 0, 0.5]])
    assert relative_error(aligned_grey(given["image"], half_pixel), expected["grey"]) > 1e-2
    loss = identity_loss(given["embedding_predicted"], given["embedding_target"])
    assert float(loss) == pytest.approx(float(expected["loss"]), rel=1e-4)


def test_regularisers_of_the_density(shared: Path) -> None:
    given, expected, folder = case_of(shared, "regularisers")
    weights = load_file(folder / "weights.safetensors")
    published = json.loads((folder / "config.json").read_text())["hyper_parameters"]

    def density(points: torch.Tensor) -> torch.Tensor:
        """EG3D's planes and decoder in six lines."""
        seen = torch.stack([points[..., [0, 1]], points[..., [0, 2]], points[..., [2, 0]]], 1)[0]
        grid = seen[:, None] * (2 / published["box_warp"])
        sampled = F.grid_sample(given["planes"][0], grid, align_corners=False)  # 3, 32, 1, N
        x = sampled.mean(0)[:, 0].T
        x = F.softplus(F.linear(x, weights["net.0.weight"] / 32**0.5, weights["net.0.bias"]))
        return F.linear(x, weights["net.2.weight"] / 64**0.5, weights["net.2.bias"])[None, :, :1]

    points, losses = scene_points(given["u"]), released().losses
    assert losses.density_points == points.shape[1]
    ours = monotonic_loss(density, points, published["box_warp"])
    assert float(ours) == pytest.approx(float(expected["monotonic"]), rel=1e-5)
    assert float(monotonic_loss(density, points, -1.0)) != pytest.approx(float(ours), rel=1e-2)
    varied = total_variation_loss(
        density, points, given["n"], distance=losses.density_distance, weight=losses.density_weight
    )
    assert float(varied) == pytest.approx(float(expected["total_variation"]), rel=1e-5)
    assert (losses.density_weight, losses.density_distance) == (
        published["density_reg"],
        published["density_reg_p_dist"],
    )


def test_the_facts_of_training(shared: Path) -> None:
    path = shared / "parity" / "otavatar" / "training-facts" / "config.json"
    facts = json.loads(path.read_text())["training_facts"]
    loop, ours = facts["decoupling_by_inverting"], released()
    assert (ours.steps, ours.identity_steps, ours.controller_steps, ours.large_steps) == (
        loop["inner_steps_N"],
        loop["steps_identity_code_N_id"],
        loop["steps_controller_N_mo"],
        10,
    )
    assert ours.inversion.camera is not None
    for name, optimiser in (
        ("identity", ours.inversion.identity),
        ("camera", ours.inversion.camera),
        ("controller", ours.controller_optimiser),
        ("generator", ours.generator_optimiser),
    ):
        theirs = loop[f"{name}_optimizer"]
        assert (optimiser.kind, optimiser.learning_rate) == (theirs["type"].lower(), theirs["lr"])
        assert list(optimiser.betas) == theirs["betas"]
        assert optimiser.weight_decay == theirs.get("weight_decay", 0)
    assert ours.ema_decay == loop["ema"]["beta_controller"] == loop["ema"]["beta_generator"]
    weights, losses = facts["loss_weights"], ours.losses
    assert losses.perceptual == weights["perceptual_inversion"] == weights["perceptual_refinement"]
    assert (losses.local, losses.total_variation, losses.monotonic, losses.pixel, losses.identity) == tuple(
        weights[name] for name in ("local", "total_variation", "monotonic", "pixel", "identity")
    )
    assert losses.outside == weights["mask_outside"]
    drawn, rendering = facts["rendering"], ours.rendering
    assert (rendering.rays, rendering.samples) == (drawn["rays"], tuple(drawn["samples"]))
    assert (rendering.near, rendering.far, rendering.box) == (
        drawn["ray_start"],
        drawn["ray_end"],
        drawn["box_warp"],
    )
    assert (rendering.clamp, rendering.inference_super_resolution_clamp) == (
        drawn["conv_clamp"],
        drawn["inference_sr_clamp"],
    )
    assert (rendering.noise, rendering.super_resolution_noise) == (
        drawn["backbone_noise_mode"],
        drawn["superresolution_noise_mode"],
    )
    assert ControllerConfig() == ours.controller
