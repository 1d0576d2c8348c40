"""Our GDPW against numbers from the authors' network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from countenance.errors import WeightsDamaged, WeightsMissing
from countenance.renderers.blocks.flow import warp
from countenance.renderers.gdpw.config import GDPWConfig, paper
from countenance.renderers.gdpw.network import GDPW, Guidance, blurred_and_reduced, gaussian, in_px
from countenance.renderers.gdpw.official import from_official_names, load_official, renamed_official

NETWORKS = ("tiny-geom-disp", "tiny-neural-codes-alpha", "tiny-both-72x40")


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.detach().cpu() - theirs.cpu()).abs().max() / theirs.abs().max())


def guidance_of(given: dict[str, torch.Tensor], config: GDPWConfig) -> Guidance:
    def planes(name: str, wanted: bool) -> torch.Tensor | None:
        return given[name].permute(0, 3, 1, 2) if wanted else None

    return Guidance(
        planes("rendered_flow", config.uses_displacement),
        planes("rendered_embeds_driving", config.uses_codes),
        planes("rendered_embeds_source", config.uses_codes),
    )


@pytest.mark.parametrize("case", NETWORKS)
def test_the_network_gives_the_authors_numbers(shared: Path, case: str, device: str) -> None:
    folder = shared / "parity" / "gdpw" / case
    published = json.loads((folder / "config.json").read_text())["hyper_parameters"]
    network = (
        from_official_names(
            load_file(folder / "weights.safetensors"), folder, blend=published["use_alpha_blend"]
        )
        .eval()
        .to(device)
    )
    assert (network.config.guidance, network.config.levels) == (
        published["guidance"],
        published["num_levels"],
    )
    given, expected = (
        load_file(folder / "inputs.safetensors", device),
        load_file(folder / "outputs.safetensors"),
    )
    with torch.no_grad():
        rendered = network(given["img_s"], guidance_of(given, network.config))
    ours = {
        "warp_img_s": rendered.warped,
        "out_img": rendered.painted,
        "alpha": rendered.mask,
        "rec_img_d": rendered.picture,
    }
    for level, flow in enumerate(rendered.flows):
        size = flow.new_tensor([flow.shape[3] - 1, flow.shape[2] - 1])[:, None, None]
        ours[f"flows.x{1 << level}"] = 2 * flow / size
    assert set(ours) == {n for n in expected if not n.startswith(("layer.", "mesh_flows."))}
    for name, tensor in ours.items():
        assert relative_error(tensor, expected[name]) < 1e-4, name


@pytest.mark.parametrize("case", ["tiny-geom-disp", "tiny-both-72x40"])
def test_the_displacement_is_reduced_as_theirs(shared: Path, case: str, device: str) -> None:
    folder = shared / "parity" / "gdpw" / case
    given, expected = (
        load_file(folder / "inputs.safetensors", device),
        load_file(folder / "outputs.safetensors"),
    )
    displacement = given["rendered_flow"].permute(0, 3, 1, 2)
    for stride in (1, 2, 4, 8):
        ours = blurred_and_reduced(displacement, stride)
        assert relative_error(ours, expected[f"mesh_flows.x{stride}"]) < 1e-4


def test_operations(shared: Path, device: str) -> None:
    folder = shared / "parity" / "gdpw" / "ops"
    given, expected = (
        load_file(folder / "inputs.safetensors", device),
        load_file(folder / "outputs.safetensors"),
    )
    flow = in_px(given["flow"], exact=False)
    assert relative_error(warp(given["features"], flow, exact=False), expected["warped"]) < 1e-5
    still = warp(given["features"], torch.zeros_like(flow), exact=False)
    assert relative_error(still, expected["warped_zero_flow"]) < 1e-5
    for stride in (2, 4, 8, 16, 32):
        kernel = gaussian(stride).float()
        assert relative_error(torch.outer(kernel, kernel), expected[f"kernel.x{stride}"][0, 0]) < 1e-5
    for stride in (2, 4, 8):
        reduced = blurred_and_reduced(given["guidance"], stride)
        assert relative_error(reduced, expected[f"downsampled.x{stride}"]) < 1e-5
    for level in (1, 2, 3):
        reduced = blurred_and_reduced(given["image"], 1 << level)
        assert relative_error(reduced, expected[f"image_pyramid.{level}"]) < 1e-5


def test_a_wrong_weight_is_noticed(shared: Path) -> None:
    folder = shared / "parity" / "gdpw" / "tiny-both-72x40"
    weights = load_file(folder / "weights.safetensors")
    weights["up_layers.x2_spade.spade2.gamma_conv.bias"] += 0.05
    network = from_official_names(weights, folder).eval()
    given, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    with torch.no_grad():
        picture = network(given["img_s"], guidance_of(given, network.config)).picture
    assert relative_error(picture, expected["rec_img_d"]) > 1e-4


@pytest.mark.parametrize("guidance", ["geom_disp", "neural_codes", "both"])
def test_names_and_shapes_of_the_published_networks(shared: Path, guidance: str) -> None:
    listed = (
        (shared / "parity" / "gdpw" / f"official-full-{guidance}" / "keys.tsv").read_text().splitlines()[1:]
    )
    rows = {name: tuple(json.loads(shape)) for name, shape, _ in (line.split("\t") for line in listed)}
    with torch.device("meta"):
        network = GDPW(paper(guidance))  # type: ignore[arg-type]
    ours = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    theirs = {
        renamed_official(name, network.config).replace("weight_orig", "weight"): shape
        for name, shape in rows.items()
        if not name.startswith(("shortcut_layers.x32.", "downsamples.", "mesh_renderer."))
        and not name.endswith(("weight_u", "weight_v"))
    }
    assert theirs == ours


def test_the_published_container(shared: Path) -> None:
    folder = shared / "parity" / "gdpw" / "checkpoint-container"
    network = load_official(folder / "sample.pth").eval()
    given, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    with torch.no_grad():
        picture = network(given["img_s"], guidance_of(given, network.config)).picture
    assert relative_error(picture, expected["rec_img_d"]) < 1e-4


def test_what_is_no_checkpoint_is_refused(shared: Path, tmp_path: Path) -> None:
    weights = load_file(shared / "parity" / "gdpw" / "tiny-geom-disp" / "weights.safetensors")
    with pytest.raises(WeightsMissing):
        load_official(tmp_path / "PWM_both.pth")
    torch.save({"net_G": weights}, tmp_path / "other.pth")
    with pytest.raises(WeightsDamaged, match="generator"):
        load_official(tmp_path / "other.pth")
    broken = {
        "no generator of GDPW": {"conv.weight": torch.zeros(1)},
        "NaN": {**weights, "up_layers.x1_out.bias": torch.full((4,), torch.nan)},
        "spectral norm": {n: t for n, t in weights.items() if n != "down_layers.x1.conv.weight_u"},
        "missing": {n: t for n, t in weights.items() if n != "up_layers.x1_out.bias"},
        "no tensor": {**weights, "up_layers.x1_out.bias": "text"},
    }
    for message, state in broken.items():
        with pytest.raises(WeightsDamaged, match=message):
            from_official_names(state, Path("official"))  # type: ignore[arg-type]


def test_an_exact_grid_keeps_the_picture_where_nothing_moves() -> None:
    picture = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    still = in_px(torch.zeros(1, 2, 16, 24), exact=True)
    torch.testing.assert_close(warp(picture, still, exact=True), picture, atol=1e-6, rtol=0)
    half = in_px(torch.full((1, 2, 16, 24), 1.0), exact=True)
    assert (half[0, 0, 0, 0].item(), half[0, 1, 0, 0].item()) == (12, 8)
