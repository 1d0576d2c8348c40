"""The reader returns what honest files hold, and runs nothing of what hostile ones ask for."""

from __future__ import annotations

import os
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from countenance.errors import WeightsDamaged, WeightsMissing
from countenance.weights.restricted_pickle import ARRAYS, NUMPY, StandIn, load_pickle
from countenance.weights.torch_files import TORCH_TENSORS

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.pkl"
    path.write_bytes(content)
    return path


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return (
            type(b) is np.ndarray and a.dtype == b.dtype and a.shape == b.shape and a.tolist() == b.tolist()
        )
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">i4"),
        np.array(["left", "right"]),
        np.array([b"ab", b""]),
        np.zeros((0, 3)),
        np.array([{"a": 1}, None], dtype=object),
        np.float32(1.5),
        np.bool_(True),
        OrderedDict(b=[1, 2], a=(b"", b"\x00\xff", {3})),
        {"text": "ü", 7: None, "deep": [[(1.5,)]]},
    ],
    ids=repr,
)
def test_round_trip(tmp_path: Path, value: object, protocol: int) -> None:
    allow = {**ARRAYS, "__builtin__.set": set, "builtins.set": set}
    assert same(value, load_pickle(written(tmp_path, pickle.dumps(value, protocol)), allow))


@settings(max_examples=30, deadline=None)
@given(
    array=hnp.arrays(
        st.sampled_from(["f4", ">f8", "i2", "u8", "?", "c8"]), hnp.array_shapes(max_dims=3, min_side=0)
    ),
    protocol=st.sampled_from(PROTOCOLS),
)
def test_every_plain_array_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, protocol: int
) -> None:
    read = load_pickle(written(tmp_path_factory.mktemp("arrays"), pickle.dumps(array, protocol)))
    assert read.dtype == array.dtype
    assert read.shape == array.shape
    assert read.tobytes() == array.tobytes()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", [sparse.csc_matrix, sparse.csr_matrix, sparse.coo_matrix])
def test_sparse_matrices(tmp_path: Path, kind: type, protocol: int) -> None:
    dense = np.array([[0, 1.5, 0], [2, 0, 0]])
    read = load_pickle(written(tmp_path, pickle.dumps(kind(dense), protocol)))
    assert isinstance(read, kind)
    np.testing.assert_array_equal(read.toarray(), dense)


def test_what_is_shared_stays_shared_and_cycles_close(tmp_path: Path) -> None:
    array = np.arange(3)
    loop: list[object] = [array, array]
    loop.append(loop)
    read = load_pickle(written(tmp_path, pickle.dumps(loop)))
    assert read[0] is read[1]
    assert read[2] is read


def chumpy_pickle(make_instance: bytes) -> bytes:
    """The dict {'v': chumpy array}, as Python 2 wrote it: protocol 2, all bytes as strings."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01K\x02\x85"
        b"cnumpy\ndtype\n(U\x02f8K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"U\x10" + np.array([1.5, -2.0]).tobytes() + b"tb"
    )
    return b"\x80\x02}U\x01v" + make_instance + b"}(U\x01x" + array + b"U\x0b_dirty_vars}ubs."


@pytest.mark.parametrize(
    "make_instance",
    [b"cchumpy.ch\nCh\n)\x81", b"ccopy_reg\n_reconstructor\n(cchumpy.ch\nCh\nc__builtin__\nobject\nNtR"],
)
def test_chumpy_arrays_are_read_as_plain_arrays_without_chumpy(tmp_path: Path, make_instance: bytes) -> None:
    read = load_pickle(written(tmp_path, chumpy_pickle(make_instance)))
    np.testing.assert_array_equal(read["v"], [1.5, -2.0])
    assert type(read["v"]) is np.ndarray


def test_torch_tensors_in_an_npy_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    whole = torch.arange(12.0).reshape(3, 4)
    path = tmp_path / "embedding.npy"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.save(path, {"a": whole, "part": whole.t()[1:], "b": np.arange(3)}, allow_pickle=True)
    read = load_pickle(path, {**ARRAYS, **TORCH_TENSORS})[()]
    np.testing.assert_array_equal(read["a"], whole.numpy())
    np.testing.assert_array_equal(read["part"], whole.t()[1:].numpy())
    np.testing.assert_array_equal(read["b"], np.arange(3))
    with pytest.raises(WeightsDamaged, match="_rebuild_tensor_v2"):
        load_pickle(path)


class Calls:
    """Pickles into a call of any function with any arguments."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.reduced


def hostile_files(canary: Path) -> dict[str, bytes]:
    touch = f"touch {canary}"
    python = f"open({str(canary)!r}, 'w')"
    return {
        "os.system": pickle.dumps(Calls(os.system, touch)),
        "os.system in protocol 0": pickle.dumps(Calls(os.system, touch), 0),
        "eval": pickle.dumps(Calls(eval, python)),
        "exec": pickle.dumps(Calls(exec, python)),
        "open": pickle.dumps(Calls(open, str(canary), "w")),
        "nested in an honest dict": pickle.dumps({"v": np.ones(3), "w": [Calls(eval, python)]}),
        "nested in an object array": pickle.dumps(np.array([Calls(eval, python)], dtype=object)),
        "nested in arguments": pickle.dumps(Calls(OrderedDict, [("a", Calls(eval, python))])),
        "getattr on an allowed class": pickle.dumps(Calls(getattr, np.ndarray, "tofile")),
        "a dotted way out of an allowed class": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile\x93.",
        "a dotted way out of a module": b"\x80\x04\x8c\x05numpy\x8c\x10os.system.__call__\x93.",
        "a module's own imports": b"cnumpy\nos\n.",
        "Python 2 spelling": b"c__builtin__\neval\n(V" + python.encode() + b"\ntR.",
        "INST": b"(S'" + touch.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"\x80\x02(cos\nsystem\nV" + touch.encode() + b"\no.",
        "torch storage": b"ctorch.storage\n_load_from_bytes\n(C\x03abctR.",
        "registered extension": b"\x80\x02\x82\x01.",
    }


@pytest.mark.parametrize("attack", hostile_files(Path("canary")))
def test_hostile_files_run_nothing(tmp_path: Path, attack: str) -> None:
    canary = tmp_path / "canary"
    path = written(tmp_path, hostile_files(canary)[attack])
    with pytest.raises(WeightsDamaged) as refused:
        load_pickle(path)
    assert not canary.exists()
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_the_attacks_are_real(tmp_path: Path) -> None:
    """Negative control: the ordinary reader does run them."""
    canary = tmp_path / "canary"
    pickle.loads(hostile_files(canary)["os.system"])  # noqa: S301
    assert canary.exists()


def test_the_refused_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsDamaged, match=r"'posix\.system'|'nt\.system'"):
        load_pickle(written(tmp_path, pickle.dumps(Calls(os.system, "true"))))


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            b"\x80\x02c_codecs\nencode\nN}X\x08\x00\x00\x00__code__Ns\x86b.", id="rewrite a function"
        ),
        pytest.param(b"\x80\x02cnumpy\nndarray\nN}X\x07\x00\x00\x00settledNs\x86b.", id="rewrite a stand-in"),
        pytest.param(
            b"\x80\x02ccollections\nOrderedDict\nN}X\x03\x00\x00\x00getNs\x86b.", id="rewrite a class"
        ),
        pytest.param(
            b"\x80\x02" + RECONSTRUCT + b"ccollections\nOrderedDict\nK\x00\x85U\x01b\x87R.", id="class"
        ),
        pytest.param(b"\x80\x02" + RECONSTRUCT + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R.", id="no contents"),
        pytest.param(
            b"\x80\x02ccopy_reg\n_reconstructor\nccollections\nOrderedDict\nNN\x87R.", id="constructor"
        ),
        pytest.param(b"\x80\x02cchumpy.ch\nCh\n)\x81}b.", id="chumpy without values"),
        pytest.param(b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00V8\x85R.", id="records"),
        pytest.param(b"", id="empty"),
        pytest.param(b"not a pickle", id="text"),
        pytest.param(pickle.dumps(np.ones(9))[:-30], id="cut short"),
        pytest.param(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", id="nested too deeply"),
        pytest.param(b"\x93NUMPY\x09\x00", id="npy of the future"),
    ],
)
def test_malformed_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(WeightsDamaged) as refused:
        load_pickle(written(tmp_path, content))
    assert "\n" not in str(refused.value)


class Described:
    """Pickles as another object would: (function, arguments, state)."""

    def __init__(self, *reduced: object) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple[object, ...]:
        return self.reduced


@pytest.mark.parametrize(
    ("dtype", "shape", "data"),
    [
        ("f8", (3,), b"\0" * 16),
        ("f8", (-1,), b"\0" * 8),
        ("f8", (2**40, 2**40), b"\0" * 8),
        ("O", (1,), b"\x41" * 8),  # bytes as object pointers: the way to run code through numpy itself
        ("O", (2,), [None]),
    ],
)
def test_arrays_that_cannot_be_are_refused(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], data: object
) -> None:
    reconstruct = np.zeros(1).__reduce__()[0]
    array = Described(reconstruct, (np.ndarray, (0,), b"b"), (1, shape, np.dtype(dtype), False, data))
    with pytest.raises(WeightsDamaged, match=r"size|shape"):
        load_pickle(written(tmp_path, pickle.dumps(array)))


def test_sparse_indices_outside_the_matrix_are_refused(tmp_path: Path) -> None:
    matrix = sparse.csc_matrix(np.eye(3))
    matrix.indices[1] = 10**6
    with pytest.raises(WeightsDamaged):
        load_pickle(written(tmp_path, pickle.dumps(matrix)))


class Point(StandIn):
    def settled(self, settle):
        return settle(self.state)["x"]


def test_a_reader_can_allow_less_or_more(tmp_path: Path) -> None:
    ordered = written(tmp_path, pickle.dumps(OrderedDict(a=1)))
    with pytest.raises(WeightsDamaged, match=r"collections\.OrderedDict"):
        load_pickle(ordered, NUMPY)
    point = b"\x80\x02csome.geometry\nPoint\n)\x81}X\x01\x00\x00\x00xK\x07sb."
    assert load_pickle(written(tmp_path, point), {"some.geometry.Point": Point}) == 7


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"nothing\.pkl"):
        load_pickle(tmp_path / "nothing.pkl")


def test_published_layout_of_flame(shared: Path) -> None:
    model = load_pickle(shared / "parity/flame/flame-layer/generic_model.pkl")
    assert {key: value.shape for key, value in model.items()} == {
        "f": (80, 3),
        "v_template": (48, 3),
        "shapedirs": (48, 3, 400),
        "posedirs": (48, 3, 36),
        "J_regressor": (5, 48),
        "kintree_table": (2, 5),
        "weights": (48, 5),
    }
