"""Pickled networks are read without their code."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from countenance.errors import WeightsDamaged, WeightsMissing
from countenance.weights.network_pickle import read_network
from pickled_networks import Named, honest, module_state, persistent, written


def test_an_honest_file(tmp_path: Path) -> None:
    network = read_network(written(tmp_path, {"G_ema": honest()}), "G_ema")
    assert (network.class_name, network.settings, network.attributes["z_dim"]) == ("Network", {"size": 3}, 4)
    assert list(network.children) == ["a"]
    assert network.children["a"].attributes["gain"] == 0.5
    state = network.state_dict()
    assert list(state) == ["a.weight", "a.mean"]
    assert torch.equal(state["a.weight"], torch.arange(6.0).view(2, 3))
    assert state["a.mean"].shape == ()


def test_source_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    attack = f"open({str(canary)!r}, 'w')"
    network = read_network(written(tmp_path, {"G_ema": honest(attack)}), "G_ema")
    assert network.class_name == "Network"
    assert not canary.exists()
    exec(attack)
    assert canary.exists()


@pytest.mark.parametrize("place", ["beside", "as a tensor", "as a module", "as the state", "in the storage"])
def test_hostile_files_run_nothing(tmp_path: Path, place: str) -> None:
    canary = tmp_path / "canary"
    attack = Named("posix", "system", f"touch {canary}")
    storage = Named("torch.storage", "_load_from_bytes", pickle.dumps(Touches(canary), 2))
    tensor = Named("torch._utils", "_rebuild_tensor_v2", storage, 0, (1,), (1,), False, OrderedDict())
    contents = {
        "beside": {"G_ema": honest(), "D": attack},
        "as a tensor": {"G_ema": persistent("N", module_state(_parameters={"weight": attack}))},
        "as a module": {"G_ema": persistent("N", module_state(_modules={"a": attack}))},
        "as the state": {"G_ema": persistent("N", attack)},
        "in the storage": {"G_ema": persistent("N", module_state(_buffers={"weight": tensor}))},
    }
    with pytest.raises(WeightsDamaged):
        read_network(written(tmp_path, contents[place]), "G_ema")
    assert not canary.exists()


class Touches:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        read_network(tmp_path / "ffhq.pkl", "G_ema")
    broken = {
        "no network 'G_ema'": {"G": honest()},
        "no network 'G_ema' ": [honest()],
        "without a description": {
            "G_ema": Named("torch_utils.persistence", "_reconstruct_persistent_obj", 3)
        },
        "without a class": {"G_ema": persistent(None, {})},  # type: ignore[arg-type]
        "without contents": {"G_ema": persistent("N", None)},
        "table of names": {"G_ema": persistent("N", module_state(_buffers=[1]))},
        "is none": {"G_ema": persistent("N", module_state(_buffers={"weight": "text"}))},
        "no module": {"G_ema": persistent("N", module_state(_modules={"a": 3}))},
        "some.place.Plain": {"G_ema": Named("some.place", "Plain")},
    }
    for message, content in broken.items():
        with pytest.raises(WeightsDamaged, match=message.strip()):
            read_network(written(tmp_path, content), "G_ema")


def test_modules_stored_by_reference_are_read_if_allowed(tmp_path: Path) -> None:
    path = tmp_path / "plain.pkl"
    tensor = pickle.dumps({"_buffers": {}, "size": 7}, 2)[2:-1]
    path.write_bytes(b"\x80\x02}X\x05\x00\x00\x00G_emacsome.place\nPlain\n)\x81" + tensor + b"bs.")
    with pytest.raises(WeightsDamaged, match=r"some\.place\.Plain"):
        read_network(path, "G_ema")
    network = read_network(path, "G_ema", ["some.place.Plain"])
    assert (network.class_name, network.attributes["size"]) == ("Plain", 7)
