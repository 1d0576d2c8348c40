"""Feeds damaged files to the readers, in processes that may not take much memory or time, and says what went wrong."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from countenance.errors import CountenanceError
from fuzz.mutators import damaged
from fuzz.readers import READERS, Reader, Seed

MEMORY = 2 * 2**30
"""Bytes that reading one file may take, beside what the process has already."""
TIME_S = 20.0
"""Of the processor, that reading one file may take."""
_HANGS_S = (
    180.0  # of the clock: a file that computes nothing for so long waits for something that never comes
)


@dataclass(frozen=True)
class Finding:
    """A file that should not have done that.

    Attributes:
        reader: its name.
        number: of the input.
        file: its name.
        content: the bytes.
        trouble: "uncaught", "over memory", "over time" or "crashed".
        words: the traceback, if there is one.
    """

    reader: str
    number: int
    file: str
    content: bytes
    trouble: str
    words: str


def seeds_of(reader: Reader) -> list[Seed]:
    """Honest files, made in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        return list(reader.seeds(Path(folder)))


def input_of(reader: Reader, seeds: Sequence[Seed], seed: int, number: int) -> Seed:
    """The damaged file of a number; the same every time."""
    rng = random.Random(f"{seed}/{reader.name}/{number}")
    chosen = seeds[number % len(seeds)]
    return Seed(chosen.name, chosen.kind, damaged(chosen.kind, chosen.content, rng))


def outcome(reader: Reader, given: Seed, folder: Path) -> tuple[str, str]:
    """What reading does: "read", "refused", "over memory" or "uncaught", and the traceback of the latter two."""
    path = folder / given.name
    path.write_bytes(given.content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
    except CountenanceError as error:
        if "\n" in str(error) or len(str(error)) > 1500:
            return "uncaught", f"a message of more than one line: {str(error)[:2000]}"
        return "refused", ""
    except MemoryError:
        return "over memory", traceback.format_exc()
    except Exception:  # noqa: BLE001  that is what is looked for
        return "uncaught", traceback.format_exc()
    return "read", ""


def campaign(
    reader: Reader, count: int, seed: int, seen: Counter[str], *, first: int = 0
) -> Iterator[Finding]:
    """Run inputs ``first`` to ``first + count`` in child processes; a new one after each that was lost.

    Args:
        reader: to be tried.
        count: how many inputs.
        seed: of the damage.
        seen: outcomes are counted here.
        first: number of the first input.
    """
    seeds, number = seeds_of(reader), first
    context = multiprocessing.get_context(
        "forkserver"
    )  # a fork of a process with threads may wait for them for ever
    context.set_forkserver_preload(["fuzz.readers"])
    known = reader.name if reader in READERS else reader
    while number < first + count:
        ours, theirs = context.Pipe()
        child = context.Process(target=_child, args=(theirs, known, seeds, seed, number, first + count))
        child.start()
        theirs.close()
        try:
            while number < first + count:
                lost = not ours.poll(_HANGS_S)
                trouble, words = ("over time", "") if lost else ours.recv()
                seen[trouble] += 1
                if trouble not in ("read", "refused"):
                    given = input_of(reader, seeds, seed, number)
                    yield Finding(reader.name, number, given.name, given.content, trouble, words)
                number += 1
                if lost:
                    break
        except EOFError:
            child.join()
            given = input_of(reader, seeds, seed, number)
            seen["crashed"] += 1
            words = f"exit code {child.exitcode}"
            yield Finding(reader.name, number, given.name, given.content, "crashed", words)
            number += 1
        finally:
            if child.is_alive():
                child.kill()
            child.join()
            ours.close()


def _child(pipe: Any, known: str | Reader, seeds: Sequence[Seed], seed: int, first: int, stop: int) -> None:
    import resource

    reader = next(r for r in READERS if r.name == known) if isinstance(known, str) else known
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(BrokenPipeError):
        _quiet()
        outcome(reader, seeds[0], Path(folder))  # imports what it needs, which is not the files' doing
        with Path("/proc/self/statm").open() as sizes:
            now = int(sizes.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
        for number in range(first, stop):
            given, start = input_of(reader, seeds, seed, number), time.process_time()
            result = outcome(reader, given, Path(folder))
            pipe.send(("over time", "") if time.process_time() - start > TIME_S else result)


def _quiet() -> None:
    """Libraries in C write what they think of a file."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
