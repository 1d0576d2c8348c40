"""The face-recognition network of the identity loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from countenance.errors import WeightsDamaged, WeightsMissing
from countenance.losses.arcface import FILE, SIDE, SOURCE, GreyArcFace, load_grey_arcface
from seeded import seeded_by_name


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    return tmp_path


def faces() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    return torch.stack([torch.sin(x / 7 + y / 13), torch.cos(x / 5 - y / 9)])[:, None]


def test_the_network_gives_the_authors_numbers(assets: Path) -> None:
    with torch.device("meta"):
        shapes = {name: list(tensor.shape) for name, tensor in GreyArcFace().state_dict().items()}
    state = seeded_by_name(shapes)
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, assets / FILE)
    network = load_grey_arcface()
    (assets / FILE).unlink()  # 100 MB
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    with torch.no_grad():
        embeddings = network(faces())
    # computed once with ResNetArcFace of gfpgan 1.3.8 on the same weights
    theirs = torch.tensor([[-52.274902, -11.855698, -0.2167608, 7.708003, -15.608463, 3.6301117],
                           [-37.425140, -13.781623, 20.898630, 8.3235073, -23.589357, 5.6506367]])  # fmt: skip
    assert embeddings.shape == (2, 512)
    assert float((embeddings[:, :6] - theirs).abs().max() / embeddings.abs().max()) < 1e-5
    assert float(torch.cosine_similarity(*embeddings[:, None])) == pytest.approx(0.83657616, abs=1e-5)
    network.layer2[0].prelu.weight.data += 0.05
    with torch.no_grad():
        other = network(faces())
    assert float((other[:, :6] - theirs).abs().max() / embeddings.abs().max()) > 1e-4
    assert SIDE == 128


def test_where_the_weights_are_missing_or_others_it_is_said(assets: Path) -> None:
    with pytest.raises(WeightsMissing, match=SOURCE):
        load_grey_arcface()
    torch.save({"conv1.weight": torch.zeros(64, 1, 3, 3)}, assets / FILE)
    with pytest.raises(WeightsDamaged, match="is missing"):
        load_grey_arcface()
    torch.save([1, 2], assets / FILE)
    with pytest.raises(WeightsDamaged, match="table of tensors"):
        load_grey_arcface()
