from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from countenance.errors import BadValue, WeightsDamaged, WeightsMissing
from countenance.evaluation.metrics import fid, inception
from countenance.evaluation.metrics.fid import features_inception
from countenance.evaluation.metrics.frechet import frechet
from countenance.evaluation.metrics.inception import FidInception, load_inception, resized_as_tensorflow_1
from countenance.weights import assets as asset_code
from countenance.weights.assets import FID_INCEPTION
from countenance.weights.downloads import DownloadFailed
from seeded import seeded_by_name


def pattern(height: int, width: int, step: int) -> np.ndarray:
    return (np.arange(height * width * 3) * step % 251).astype(np.uint8).reshape(height, width, 3)


def shapes() -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(t.shape) for name, t in FidInception().state_dict().items()}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A stand-in for the published file: its names and shapes, filled from a seed."""
    return seeded_by_name(shapes())


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for stand-ins, whose checksum is not looked at."""
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    monkeypatch.setattr(inception, "FID_INCEPTION", replace(FID_INCEPTION, sha256=""))
    return tmp_path


def test_names_and_shapes_are_the_published_ones() -> None:
    listed = "\n".join(f"{name} {shape}" for name, shape in sorted(shapes().items()))
    # of FeatureExtractorInceptionV3 of torch-fidelity 0.4.0, which reads the published file strictly
    expected = "760681d791cb624e1bf7a2e802a68933dd17aa5e3109fcf498d9dfa521bc10d7"
    assert sha256(listed.encode()).hexdigest() == expected


# features 0, 1, 1000 and 2047, and the sum of all: computed once with FeatureExtractorInceptionV3 of torch-fidelity
# 0.4.0, on the same weights
EXPECTED = {
    (70, 90, 7919): [0.05393777, 0.163777, 1.207028, 0.04140685, 1014.41],
    (512, 480, 7919): [0.06476705, 0.1943101, 1.213928, 0.01635477, 1057.008],
    (299, 299, 104729): [0.08357573, 0.4147228, 1.483087, 0.0, 1849.659],
}


def test_features_are_those_of_torch_fidelity(
    state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = FidInception().eval()
    network.load_state_dict(state)
    monkeypatch.setattr(fid, "_network", lambda: network)
    for form, expected in EXPECTED.items():
        features = features_inception(pattern(*form))
        assert features.shape == (2048,)
        assert features.dtype == np.float64
        found = [*features[[0, 1, 1000, 2047]], features.sum()]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_file_without_counters_is_read(state: dict[str, Tensor], assets: Path) -> None:
    path = assets / FID_INCEPTION.name
    torch.save({n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}, path)
    network = load_inception(fetch=False)
    path.unlink()  # 96 MB
    assert not network.training
    loaded = network.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_resizing_starts_at_the_first_pixel() -> None:
    row = torch.tensor([0.0, 10.0, 40.0]).expand(1, 1, 2, 3)
    # read at 0, 0.5, 1, 1.5, 2 and 2.5; beyond the last pixel it is repeated
    assert resized_as_tensorflow_1(row, 6)[0, 0, 0].tolist() == [0, 5, 10, 25, 40, 40]
    picture = torch.arange(75.0).reshape(1, 3, 5, 5)
    assert torch.equal(resized_as_tensorflow_1(picture, 5), picture)
    assert resized_as_tensorflow_1(torch.arange(8.0).expand(1, 1, 8, 8), 4)[0, 0, 0].tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize(
    ("count", "others", "size", "expected"),
    [(60, 40, 5, 21.847621752), (300, 200, 64, 3518.022673839), (20, 30, 64, 4015.126667221)],
)
def test_the_distance_is_that_of_torch_fidelity(count: int, others: int, size: int, expected: float) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(count, size))
    truth = rng.normal(size=(others, size)) @ rng.normal(size=(size, size)) + 0.5
    # fid_statistics_to_metric of torch-fidelity 0.4.0
    assert frechet(features, truth) == pytest.approx(expected, rel=1e-6)
    assert frechet(truth, features) == pytest.approx(expected, rel=1e-6)


def test_the_distance_of_uncorrelated_gaussians_is_the_closed_form() -> None:
    # 8 pictures whose columns are at right angles: the covariance is exactly diagonal
    signs = np.array([[1.0]])
    for _ in range(3):
        signs = np.block([[signs, signs], [signs, -signs]])
    columns = signs[:, 1:6] * np.sqrt(7 / 8)
    first, second = np.array([1.0, 2, 0.5, 3, 0]), np.array([2.0, 2, 0.1, 7, 1])
    mean = np.array([0.0, 1, -2, 0.3, 5])
    expected = (mean**2).sum() + ((first - second) ** 2).sum()
    assert frechet(columns * first + mean, columns[::-1] * second) == pytest.approx(expected, rel=1e-9)
    assert frechet(columns * first, columns[::-1] * first) == pytest.approx(0, abs=1e-9)


def test_one_picture_is_no_set() -> None:
    with pytest.raises(BadValue, match="at least 2"):
        frechet(np.zeros((3, 4)), np.zeros((1, 4)))


def test_missing_weights_say_how_to_get_them(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsMissing, match=r"countenance assets fetch fid_inception\.pth"):
        load_inception(fetch=False)

    def unreachable(*_: object) -> None:
        raise DownloadFailed("no answer")

    monkeypatch.setattr(asset_code, "download", unreachable)
    with pytest.raises(WeightsMissing) as error:
        load_inception()
    line = str(error.value)
    assert "\n" not in line
    assert "pt_inception-2015-12-05-6726825d.pth" in line
    assert str(assets / FID_INCEPTION.name) in line


def test_other_files_are_noticed(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = assets / FID_INCEPTION.name
    torch.save({"AuxLogits.fc.bias": torch.zeros(1000)}, path)  # torchvision's own network has these
    with pytest.raises(WeightsDamaged, match=r"'AuxLogits\.fc\.bias' is not part of this model"):
        load_inception()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsDamaged, match="no complete torch file"):
        load_inception()
    monkeypatch.setattr(inception, "FID_INCEPTION", FID_INCEPTION)
    with pytest.raises(WeightsDamaged, match="SHA-256"):
        load_inception()


@pytest.mark.parametrize(
    "picture", [np.zeros((9, 9, 3), np.float32), np.zeros((9, 9), np.uint8), np.zeros((0, 9, 3), np.uint8)]
)
def test_other_pictures_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(BadValue, match="uint8"):
        features_inception(picture)
