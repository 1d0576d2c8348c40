"""2 000 damaged files, the same each time: every reader refuses them in one line, or reads them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from countenance.errors import CountenanceError
from fuzz.campaign import campaign, input_of, outcome, seeds_of
from fuzz.readers import READERS, Reader, Seed

SEED = 17
INPUTS = -(-2000 // len(READERS))


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_honest_files_are_read(reader: Reader, tmp_path: Path) -> None:
    for seed in seeds_of(reader):
        assert outcome(reader, seed, tmp_path) == ("read" if reader.whole else "refused", ""), seed.name


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damaged_files_are_refused_in_one_line(reader: Reader) -> None:
    seen = Counter[str]()
    for finding in campaign(reader, INPUTS, SEED, seen):
        pytest.fail(f"{finding.trouble}: {finding.file}, number {finding.number}\n{finding.words}")
    assert seen.total() == INPUTS
    assert seen.keys() <= {"read", "refused"}


def _refuses(error: BaseException, path: Path) -> None:
    if path.read_bytes() != b"honest":
        raise error


def _honest(_: Path) -> list[Seed]:
    return [Seed("a", "bytes", b"honest")]


def _raises(error: BaseException) -> Reader:
    return Reader("made up", _honest, partial(_refuses, error))


def _of_two_lines() -> CountenanceError:
    error = CountenanceError()
    error.args = ("no\nno",)
    return error


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (CountenanceError("no"), None),
        (_of_two_lines(), "uncaught"),
        (KeyError("a"), "uncaught"),
        (MemoryError(), "over memory"),
    ],
    ids=repr,
)
def test_what_is_wrong_is_found(error: BaseException, trouble: str | None) -> None:
    seen = Counter[str]()
    found = [finding.trouble for finding in campaign(_raises(error), 5, 0, seen)]
    assert set(found) == ({trouble} if trouble else set())


def _takes_memory_or_crashes(path: Path) -> None:
    import ctypes

    if path.read_bytes() == b"honest":
        return
    if len(path.read_bytes()) % 2:
        bytearray(3 * 2**30)
    ctypes.string_at(1)


def test_memory_is_limited_and_crashes_are_survived() -> None:
    seen = Counter[str]()
    reader = Reader("made up", _honest, _takes_memory_or_crashes)
    found = [finding.trouble for finding in campaign(reader, 6, 0, seen)]
    assert set(found) == {"over memory", "crashed"}
    assert len(found) == 6


def test_inputs_are_the_same_each_time() -> None:
    for reader in READERS[:4]:
        first, second = (
            [input_of(reader, seeds, 3, n).content for n in range(20)] for seeds in (seeds_of(reader),) * 2
        )
        assert first == second
