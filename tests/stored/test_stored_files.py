"""Containers are read within what they declare, and what they declare is checked before memory is taken."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save
from scipy.io import savemat

from countenance.stored.content import Malformed, read_bytes, size_of_file
from countenance.stored.json_text import parsed_json, read_json
from countenance.stored.mat_file import read_mat
from countenance.stored.npz import read_npz
from countenance.stored.safetensors_file import read_safetensors

ANY = hnp.arrays(
    st.sampled_from(["f4", "f8", "f2", "i8", "i4", "u1", "?"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
)


def same(read: np.ndarray, given: np.ndarray) -> bool:
    return read.dtype == given.dtype and read.shape == given.shape and read.tobytes() == given.tobytes()


def npy(shape: str, dtype: str = "'<f4'", body: bytes = b"", length: int | None = None) -> bytes:
    head = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return (
        b"\x93NUMPY\x01\x00" + (len(head) if length is None else length).to_bytes(2, "little") + head + body
    )


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return path


# ---- npz


@given(array=ANY)
def test_arrays_come_back_from_npz(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez_compressed(path, a=array, columns=np.array(array, order="F"), names=np.array(["ü", "b"]))
    read = read_npz(path)
    assert same(read["a"], array)
    assert same(read["columns"], array)
    assert read["names"].tolist() == ["ü", "b"]


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (npy("(1000000000000,)"), "claims arrays|claims 4,000"),
        (npy("(4,)", body=b"\0" * 8), "claims 16 bytes, and has others"),
        (npy("(4, 3"), "damaged header"),
        (npy("(-1,)"), "shape"),
        (npy("(1,)", "'|O'", b"\0" * 8), "objects"),
        (npy("(1,)", "[('a', '<f4')]", b"\0" * 4), "records"),
        (npy("(0, 99999999999999999999)"), "shape"),
        (npy("(1000000000,)", "'<U0'"), "claims arrays of 4,000,000,000 bytes"),
        (npy("(1,)", body=b"\0" * 4, length=60_000), "damaged header"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b" " * 100, "header of 2,147,483,647 bytes"),
        (npy("()", "'<U1'", b"\xff\xff\xff\x7f"), "holds text that is none"),
        (b"\x93NUMPY\x09\x00", "no array"),
        (b"x", "no array"),
    ],
)
def test_what_an_npz_may_not_say(tmp_path: Path, member: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        read_npz(archive(tmp_path / "a.npz", a=member))


def test_a_small_file_may_not_unpack_to_a_large_one(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", a=npy("(5000000,)", body=bytes(20_000_000)))
    assert path.stat().st_size < 50_000
    with pytest.raises(Malformed, match=r"20,000,000 bytes, and 1,000,000"):
        read_npz(path, most=1_000_000)
    assert read_npz(path)["a"].shape == (5_000_000,)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_stands_there_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as made:
        for _ in range(2):
            made.writestr("a.npy", npy("(1,)", body=b"\0" * 4))
    with pytest.raises(Malformed, match="twice"):
        read_npz(tmp_path / "a.npz")


# ---- safetensors


@given(array=ANY)
def test_arrays_come_back_from_safetensors(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("st") / "a.safetensors"
    path.write_bytes(save({"b": array, "a": np.arange(3, dtype=np.uint8)}, {"note": "x"}))
    metadata, arrays = read_safetensors(path)
    assert metadata == {"note": "x"}
    assert same(arrays["b"], array)
    assert arrays["a"].tolist() == [0, 1, 2]


def test_bfloat16_becomes_float32(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save as save_tensors

    given = torch.tensor([1.5, -2.0, 3e38, 1e-40]).bfloat16()
    (tmp_path / "a.safetensors").write_bytes(save_tensors({"a": given}))
    read = read_safetensors(tmp_path / "a.safetensors").arrays["a"]
    np.testing.assert_array_equal(read, given.float().numpy())


def safetensors(path: Path, header: object, body: bytes = b"\0" * 16) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def entry(dtype: object = "F32", shape: object = (4,), offsets: object = (0, 16)) -> dict[str, object]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (entry("F8_E4M3", [16]), "of the kind F8_E4M3"),
        (entry("C64", [2]), "of the kind C64"),
        (entry(shape=[2**61]), "overflow"),
        (entry(shape=[-4]), "expected usize"),
        (entry(shape=[True]), "expected usize"),
        (entry(shape=[0, 2**61, 2**61], offsets=[0, 0]), "not fully covered|overflow"),
        (entry(offsets=[0, 2**40]), "offset"),
        (entry(offsets=[4, 20]), "offset"),
        ({**entry(shape=[2], offsets=[0, 8])}, "not fully covered"),
        ({"__metadata__": {"a": 1}, **entry()}, "expected a string"),
        (b'{"a": 1, "a": 1}', "invalid type"),
        (b"[" * 100_000, "invalid JSON"),
        (b"[]", "invalid type"),
        ({"a": 5}, "invalid type"),
    ],
)
def test_what_safetensors_may_not_say(tmp_path: Path, header: object, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        read_safetensors(safetensors(tmp_path / "a.safetensors", header))


def test_a_header_longer_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(Malformed, match="header"):
        read_safetensors(tmp_path / "a.safetensors")


# ---- MATLAB


@pytest.mark.parametrize("packed", [False, True])
def test_arrays_come_back_from_matlab(tmp_path: Path, packed: bool) -> None:
    given = {
        "floats": np.arange(6.0).reshape(2, 3),
        "singles": np.float32([[1.5]]),
        "longs": np.array([[-1, 2**40]]),
        "bytes": np.arange(4, dtype=np.uint8).reshape(1, 4),
    }
    passed_over = {"text": "words", "cell": np.array([[1, "x"]], dtype=object), "complex": np.array([[1j]])}
    savemat(tmp_path / "a.mat", given | passed_over, do_compression=packed)
    read = read_mat(tmp_path / "a.mat")
    assert read.keys() == given.keys()
    for name, array in given.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_a_matlab_file_that_is_cut_off_or_lies(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"a": np.arange(600.0)})
    whole = path.read_bytes()
    for cut in (0, 50, 130, 140, 200, len(whole) - 8):
        path.write_bytes(whole[:cut])
        with pytest.raises(Malformed):
            read_mat(path)
    sizes = whole.index(np.int32([1, 600]).tobytes())
    path.write_bytes(whole[:sizes] + np.int32([2**30, 2**30]).tobytes() + whole[sizes + 8 :])
    with pytest.raises(Malformed, match="other sizes"):
        read_mat(path)


# ---- JSON and files


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 1_000_000, "nested"),
        ('{"a":' * 100_000, "nested"),
        ("NaN", "NaN"),
        ("[-Infinity]", "Infinity"),
        ("1e999", "larger than any"),
        ("9" * 5000, "5000 digits"),
        ('{"a": {"b": 1, "b": 2}}', "twice"),
        (r'["\ud800"]', "half a character"),
        ("{", "no JSON"),
        ("", "no JSON"),
    ],
)
def test_what_json_may_not_say(text: str, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        parsed_json(text)


def test_json_comes_back(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, True, "ü", "😀"], "b": {}}
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(value).encode())
    assert read_json(tmp_path / "a.json") == value
    with pytest.raises(Malformed, match="bytes"):
        read_json(tmp_path / "a.json", most=5)
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(Malformed, match="no text"):
        read_json(tmp_path / "a.json")


def test_what_is_no_file_is_an_oserror_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    names = ("none", "file/inside", "loop", "pipe", ".", "a" * 300, "a\0b", "a\ud800")
    for name in names:
        with pytest.raises(OSError):
            size_of_file(tmp_path / name)
    assert read_bytes(tmp_path / "file") == b"x"


def test_npy_headers_of_all_versions(tmp_path: Path) -> None:
    for version in ((1, 0), (2, 0), (3, 0)):
        made = io.BytesIO()
        np.lib.format.write_array(made, np.arange(3.0), version)
        np.testing.assert_array_equal(
            read_npz(archive(tmp_path / "a.npz", a=made.getvalue()))["a"], [0, 1, 2]
        )
