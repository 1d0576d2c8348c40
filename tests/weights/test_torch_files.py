"""Files of torch.save come back as they were, and none takes memory or time that it has no bytes for."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import WeightsDamaged, WeightsMissing
from countenance.weights.torch_files import load_torch_file

KINDS = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


def saved(path: Path, content: object, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@given(
    kind=st.sampled_from(KINDS),
    sides=st.lists(st.integers(0, 4), max_size=4),
    zipped=st.booleans(),
    turned=st.booleans(),
)
def test_tensors_come_back(
    tmp_path_factory: pytest.TempPathFactory, kind: str, sides: list[int], zipped: bool, turned: bool
) -> None:
    torch.manual_seed(0)
    given = (torch.randn(sides) * 3).to(getattr(torch, kind))
    given = given.T if turned and given.dim() == 2 else given
    read = load_torch_file(saved(tmp_path_factory.mktemp("t") / "a.pt", {"a": given}, zipped))["a"]
    assert read.dtype == given.dtype
    assert read.shape == given.shape
    assert torch.equal(read, given)


@pytest.mark.parametrize("zipped", [True, False])
def test_containers_come_back_and_shared_memory_stays_shared(tmp_path: Path, zipped: bool) -> None:
    whole = torch.arange(12.0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    content = {
        "net": network.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "optimizer": optimizer.state_dict(),
        "parts": [whole[:6].reshape(2, 3), whole[3:9]],
        "milestones": Counter({3: 1}),
        "size": torch.Size([1, 2]),
        "plain": OrderedDict(a=(1, 2.5, None, "ü", True, b"\xff", 2**70), b={3}),
    }
    read = load_torch_file(saved(tmp_path / "a.pt", content, zipped))
    for name, tensor in network.state_dict().items():
        assert torch.equal(read["net"][name], tensor)
    again = torch.optim.Adam(network.parameters())
    again.load_state_dict(read["optimizer"])
    assert again.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    read["parts"][0][1, 0] = 99
    assert read["parts"][1][0] == 99
    assert (read["milestones"], read["size"]) == ({3: 1}, (1, 2))
    assert read["plain"]["a"] == (1, 2.5, None, "ü", True, b"\xff", 2**70)


def rezipped(path: Path, change: Callable[[str, bytes], bytes], how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_larger_than_its_file(tmp_path: Path, zipped: bool) -> None:
    """The counts in the pickle are made 14 GB; the file has a kilobyte."""
    path = saved(tmp_path / "a.pt", {"a": torch.zeros(77)}, zipped)
    count, more = b"K\x4d", b"J\x00\x00\x00\x60"

    def change(name: str, content: bytes) -> bytes:
        return content.replace(count, more) if name.endswith("data.pkl") else content

    if zipped:
        rezipped(path, change)
    else:
        path.write_bytes(path.read_bytes().replace(count, more))
    assert path.stat().st_size < 2000
    with pytest.raises(WeightsDamaged, match=r"larger than its contents|cut off"):
        load_torch_file(path)


def test_a_storage_larger_than_its_file(tmp_path: Path) -> None:
    path = rezipped(
        saved(tmp_path / "a.pt", {"a": torch.zeros(5_000_000)}), lambda _, c: c, zipfile.ZIP_DEFLATED
    )
    assert path.stat().st_size < 100_000
    with pytest.raises(WeightsDamaged, match="compressed"):
        load_torch_file(path)


def test_a_repeated_number_may_not_become_a_large_tensor(tmp_path: Path) -> None:
    small = torch.ones(1).expand(100)
    assert torch.equal(load_torch_file(saved(tmp_path / "a.pt", small)), small)
    with pytest.raises(WeightsDamaged, match="larger than its contents"):
        load_torch_file(saved(tmp_path / "b.pt", torch.ones(1).expand(10**10)))


@pytest.mark.parametrize(
    "content",
    [
        torch.zeros(3).to_sparse(),
        torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
        torch.zeros(3, device="meta"),
        torch.zeros(3, dtype=torch.complex64),
        torch.zeros(3).to(torch.float8_e4m3fn),
        torch.nn.Linear(1, 1),
    ],
    ids=["sparse", "quantised", "meta", "complex", "float8", "a module"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_kinds_that_no_weights_have(tmp_path: Path, content: object) -> None:
    with pytest.raises(WeightsDamaged, match="asks to run Python code") as refused:
        load_torch_file(saved(tmp_path / "a.pt", {"a": content}))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_cut_off_files(tmp_path: Path, zipped: bool) -> None:
    whole = saved(tmp_path / "a.pt", {"a": torch.zeros(100)}, zipped).read_bytes()
    for cut in range(0, len(whole), 37):
        (tmp_path / "b.pt").write_bytes(whole[:cut])
        with pytest.raises(WeightsDamaged):
            load_torch_file(tmp_path / "b.pt")


def test_what_is_no_file(tmp_path: Path) -> None:
    for name in ("none.pt", "none.pt/inside"):
        with pytest.raises(WeightsMissing, match="check the path"):
            load_torch_file(tmp_path / name)
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    for name in (".", "loop.pt", "a" * 300):
        with pytest.raises(WeightsDamaged, match="check the path"):
            load_torch_file(tmp_path / name)


BOMBS = {
    "doubled tuples": b"K\x01K\x02\x86" + b"2\x86" * 60 + b".",
    "nested tuples": b"K\x01" + b"\x85" * 500_000 + b".",
    "a memo": b"Nr\xff\xff\xff\x7f.",
    "a text that is encoded often": b"c_codecs\nencode\nq\x00X\x00\x00\x01\x00"
    + b"a" * 2**16
    + b"q\x01X\x06\x00\x00\x00latin1q\x02"
    + b"0h\x00h\x01h\x02\x86R" * 5000
    + b".",
    "a long number": b"\x8b\xff\xff\xff\x7f\x01.",
    "absent bytes": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "no value": b".",
    "no end": b"N",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_pickles_that_ask_for_much(tmp_path: Path, bomb: bytes) -> None:
    path = saved(tmp_path / "a.pt", {"a": torch.zeros(3)})
    rezipped(path, lambda name, content: bomb if name.endswith("data.pkl") else content)
    with pytest.raises(WeightsDamaged) as refused:
        load_torch_file(path)
    assert "\n" not in str(refused.value)


def test_honest_repetition_passes(tmp_path: Path) -> None:
    """One text and one tuple under many names, as a pickler writes them."""
    text, pair = "name" * 1000, ((1, 2), (3, 4))
    content = {f"{number}": (text, pair) for number in range(2000)}
    assert load_torch_file(saved(tmp_path / "a.pt", content)) == content
    made = io.BytesIO(pickle.dumps(content, 2))
    assert made.getbuffer().nbytes < 200_000
