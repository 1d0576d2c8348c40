from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from countenance.errors import BadValue, UnknownName, WeightsDamaged, WeightsMissing
from countenance.evaluation.metrics import lpips as metric
from countenance.evaluation.metrics import lpips_network
from countenance.evaluation.metrics.lpips import lpips
from countenance.evaluation.metrics.lpips_network import Lpips, load_lpips
from countenance.weights import assets as asset_code
from countenance.weights.assets import ALEXNET, LPIPS_ALEX, VGG16
from countenance.weights.downloads import DownloadFailed
from seeded import seeded_by_name

ALEX = {
    0: (64, 3, 11, 11),
    3: (192, 64, 5, 5),
    6: (384, 192, 3, 3),
    8: (256, 384, 3, 3),
    10: (256, 256, 3, 3),
}
VGG = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256),
       17: (512, 256), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512)}  # fmt: skip
CONVOLUTIONS = {"alex": ALEX, "vgg": {number: (*sides, 3, 3) for number, sides in VGG.items()}}
WIDTHS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


def trunk(name: str) -> dict[str, Tensor]:
    """A stand-in for torchvision's file, without the classifier."""
    shapes: dict[str, tuple[int, ...]] = {}
    for number, shape in CONVOLUTIONS[name].items():
        shapes |= {f"features.{number}.weight": shape, f"features.{number}.bias": shape[:1]}
    return seeded_by_name(shapes)


def linear(name: str) -> dict[str, Tensor]:
    """A stand-in for the file of LPIPS's authors; its weights are 0 or more."""
    shapes = {f"lin{i}.model.1.weight": (1, width, 1, 1) for i, width in enumerate(WIDTHS[name])}
    return {name: tensor.abs() for name, tensor in seeded_by_name(shapes).items()}


def pattern(height: int, width: int, step: int) -> np.ndarray:
    return (np.arange(height * width * 3) * step % 251).astype(np.uint8).reshape(height, width, 3)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-ins for AlexNet, whose checksums are not looked at."""
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    unchecked = {"alex": (replace(ALEXNET, sha256=""), replace(LPIPS_ALEX, sha256=""))}
    monkeypatch.setattr(lpips_network, "_FILES", unchecked)
    torch.save(trunk("alex") | {"classifier.1.bias": torch.zeros(4096)}, tmp_path / ALEXNET.name)
    torch.save(linear("alex"), tmp_path / LPIPS_ALEX.name)
    return tmp_path


@pytest.mark.parametrize(("name", "expected"), [("alex", 0.207352296), ("vgg", 0.144502118)])
def test_figures_are_those_of_the_authors_program(
    name: str, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Lpips(name).eval()
    network.trunk.load_state_dict(trunk(name))
    network.linear.load_state_dict(linear(name))
    monkeypatch.setattr(metric, "_network", {name: network}.__getitem__)
    first, second = pattern(70, 90, 7919), pattern(70, 90, 104729)
    # computed once with LPIPS of the package lpips 0.1.4 on networks of torchvision 0.29.2, on the same weights
    assert lpips(first, second, name) == pytest.approx(expected, rel=1e-4)
    assert lpips(second, first, name) == pytest.approx(expected, rel=1e-4)
    assert lpips(first, first, name) == 0


def test_the_larger_change_counts_more(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric, "_network", load_lpips)
    y, x = np.mgrid[:64, :64]
    picture = (127 + 90 * np.sin(x[..., None] / [7, 9, 11] + y[..., None] / [13, 5, 8])).astype(np.uint8)
    assert 0 < lpips(np.roll(picture, 1, 1), picture) < lpips(np.roll(picture, 6, 1), picture)


def test_the_files_are_read_as_published(files: Path) -> None:
    network = load_lpips("alex", fetch=False)
    assert not network.training
    assert torch.equal(network.trunk.state_dict()["features.10.bias"], trunk("alex")["features.10.bias"])
    assert torch.equal(
        network.linear.state_dict()["lin4.model.1.weight"], linear("alex")["lin4.model.1.weight"]
    )


def unreachable(*_: object) -> None:
    raise DownloadFailed("no connection")


@pytest.mark.parametrize(("name", "asset"), [("alex", ALEXNET), ("vgg", VGG16)])
def test_missing_weights_say_how_to_get_them(
    name: str, asset: asset_code.Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    with pytest.raises(WeightsMissing, match=f"countenance assets fetch {asset.name}"):
        load_lpips(name, fetch=False)
    monkeypatch.setattr(asset_code, "download", unreachable)
    with pytest.raises(WeightsMissing) as error:
        load_lpips(name)
    line = str(error.value)
    assert "\n" not in line
    assert asset.urls[0] in line
    assert str(tmp_path / asset.name) in line


def test_missing_linear_weights_name_their_wheel(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / LPIPS_ALEX.name).unlink()
    monkeypatch.setattr(asset_code, "download", unreachable)
    monkeypatch.setattr(asset_code, "download_from_wheel", unreachable)
    with pytest.raises(WeightsMissing, match=r"the wheel lpips==0\.1\.4"):
        load_lpips("alex")


def test_other_files_are_noticed(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files / ALEXNET.name
    torch.save(trunk("vgg"), path)
    with pytest.raises(WeightsDamaged, match=r"'features\.0\.weight' has shape \(64, 3, 3, 3\)"):
        load_lpips("alex")
    torch.save([torch.zeros(3)], path)
    with pytest.raises(WeightsDamaged, match=r"no table of tensors.*countenance assets fetch alexnet\.pth"):
        load_lpips("alex")
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(WeightsDamaged, match="asks to run Python code"):
        load_lpips("alex")
    torch.save(trunk("alex"), path)
    torch.save({n: t for n, t in linear("alex").items() if "lin3" not in n}, files / LPIPS_ALEX.name)
    with pytest.raises(WeightsDamaged, match=r"'lin3\.model\.1\.weight' is missing"):
        load_lpips("alex")
    monkeypatch.setattr(lpips_network, "_FILES", {"alex": (ALEXNET, LPIPS_ALEX)})
    with pytest.raises(WeightsDamaged, match="SHA-256"):
        load_lpips("alex")


@pytest.mark.parametrize(
    ("picture", "truth", "says"),
    [
        (np.zeros((40, 40, 3), np.float32), np.zeros((40, 40, 3), np.float32), "uint8"),
        (np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8), r"\(H, W, 3\)"),
        (np.zeros((40, 31, 3), np.uint8), np.zeros((40, 31, 3), np.uint8), "32 px or more"),
        (np.zeros((40, 40, 3), np.uint8), np.zeros((40, 42, 3), np.uint8), "of one size"),
    ],
    ids=["floats", "grey", "small", "two sizes"],
)
def test_other_pictures_are_refused(picture: np.ndarray, truth: np.ndarray, says: str) -> None:
    with pytest.raises(BadValue, match=says):
        lpips(picture, truth)


def test_another_network_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean alex"):
        load_lpips("alexnet")
