"""Our PIRenderer against numbers from the authors' network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from countenance.errors import WeightsDamaged, WeightsMissing
from countenance.renderers.blocks.flow import resized_positions, sampling_positions, warp
from countenance.renderers.pirenderer.config import paper
from countenance.renderers.pirenderer.network import PIRenderer
from countenance.renderers.pirenderer.official import from_official_names, load_official, renamed_official

NETWORKS = ("tiny-64x64", "tiny-96x64-warp", "tiny-48x80-fullres-flow")


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.detach().cpu() - theirs.cpu()).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("case", NETWORKS)
def test_the_network_gives_the_authors_numbers(shared: Path, case: str, device: str) -> None:
    folder = shared / "parity" / "pirenderer" / case
    stage = json.loads((folder / "config.json").read_text())["stage"]
    network = from_official_names(load_file(folder / "weights.safetensors"), folder).eval().to(device)
    given, expected = (
        load_file(folder / "inputs.safetensors", device),
        load_file(folder / "outputs.safetensors"),
    )
    with torch.no_grad():
        z = network.latent(given["driving"])
        rendered = network(given["input_image"], given["driving"], stage=stage)
    height, width = given["input_image"].shape[2:]
    positions = sampling_positions(rendered.flow, exact=False)
    ours = {
        "mapping_before_pool": network.mapping.before_mean(given["driving"]),
        "descriptor": z[:, :, None],
        "flow_field": rendered.flow,
        "deformation": positions,
        "deformation_image_size": resized_positions(positions, height, width),
        "warp_image": rendered.warped,
    }
    if stage == "all":
        ours["fake_image"] = rendered.picture
    else:
        assert rendered.picture is None
    for name, tensor in ours.items():
        assert relative_error(tensor, expected[name]) < 1e-4, name


def test_a_wrong_weight_is_noticed(shared: Path) -> None:
    folder = shared / "parity" / "pirenderer" / "tiny-64x64"
    weights = load_file(folder / "weights.safetensors")
    weights["mapping_net.encoder1.1.bias"][0] += 0.05
    network = from_official_names(weights, folder).eval()
    given, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    with torch.no_grad():
        picture = network(given["input_image"], given["driving"]).picture
    assert relative_error(picture, expected["fake_image"]) > 1e-4


def test_warping_alone(shared: Path, device: str) -> None:
    folder = shared / "parity" / "pirenderer" / "flow-ops"
    given, expected = (
        load_file(folder / "inputs.safetensors", device),
        load_file(folder / "outputs.safetensors"),
    )
    deformation = sampling_positions(given["flow_field"], exact=False)
    assert relative_error(deformation, expected["deformation"]) < 1e-5
    warped = warp(given["input_image"], given["flow_field"], exact=False)
    assert relative_error(warped, expected["warp_image"]) < 1e-5


def test_names_and_shapes_of_the_published_network(shared: Path) -> None:
    listed = (shared / "parity" / "pirenderer" / "official-full" / "keys.tsv").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in listed]
    state = {name: torch.zeros(json.loads(shape)) for name, shape, _ in rows}
    network = from_official_names(state, Path("official"))
    assert network.config == paper()
    assert sum(t.numel() for t in state.values()) == 22_519_109
    renamed = [renamed_official(name, paper()) for name, *_ in rows]
    assert len(set(renamed)) == len(rows)


@pytest.mark.parametrize("name", ["released_checkpoint.pt", "training_checkpoint.pt"])
def test_the_container_of_checkpoints(shared: Path, name: str) -> None:
    folder = shared / "parity" / "pirenderer" / "checkpoint-container"
    network = load_official(folder / name).eval()
    given, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    with torch.no_grad():
        picture = network(given["input_image"], given["driving"]).picture
        raw = load_official(folder / name, "net_G").eval()(given["input_image"], given["driving"]).picture
    assert relative_error(picture, expected["fake_image"]) < 1e-4
    assert relative_error(raw, expected["fake_image"]) > 1e-3


def test_a_checkpoint_of_something_else(shared: Path, tmp_path: Path) -> None:
    other = next((shared / "parity" / "gdpw" / "checkpoint-container").glob("*.pth"))
    with pytest.raises(WeightsDamaged):
        load_official(other)
    torch.save({"net_G_ema": {"layer.weight": torch.zeros(3)}}, tmp_path / "odd.pt")
    with pytest.raises(WeightsDamaged, match="no PIRenderer generator"):
        load_official(tmp_path / "odd.pt")
    with pytest.raises(WeightsMissing):
        load_official(tmp_path / "absent.pt")


def test_a_cut_off_checkpoint(shared: Path, tmp_path: Path) -> None:
    whole = shared / "parity" / "pirenderer" / "checkpoint-container" / "released_checkpoint.pt"
    (tmp_path / "cut.pt").write_bytes(whole.read_bytes()[:50_000])
    with pytest.raises(WeightsDamaged):
        load_official(tmp_path / "cut.pt")


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (eval, ("open('ran', 'w').close()",))


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"net_G_ema": _Runs()}, "bad.pt")
    with pytest.raises(WeightsDamaged, match="run Python code"):
        load_official(Path("bad.pt"))
    assert not Path("ran").exists()


def test_nan_and_a_missing_tensor(shared: Path) -> None:
    folder = shared / "parity" / "pirenderer" / "tiny-64x64"
    weights = load_file(folder / "weights.safetensors")
    without = {n: t for n, t in weights.items() if n != "editing_net.decoder.final.model.0.bias"}
    with pytest.raises(WeightsDamaged, match=r"editing\.final\.bias"):
        from_official_names(without, folder)
    weights["editing_net.decoder.final.model.0.bias"][0] = float("nan")
    with pytest.raises(WeightsDamaged, match="NaN"):
        from_official_names(weights, folder)
    assert isinstance(weights, dict)


def test_a_descriptor_of_one_frame() -> None:
    """Appendix B's ablation."""
    from dataclasses import replace

    from countenance.renderers.pirenderer.config import debug

    network = PIRenderer(replace(debug(), window=1))
    z = network.latent(torch.zeros(2, 58, 1), torch.zeros(2, 58))
    assert z.shape == (2, 8 + 12), "the latent vector, and two poses for the rigid start"
