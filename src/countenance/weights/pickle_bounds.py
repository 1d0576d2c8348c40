"""How much a pickle asks for, found out without running it: a few bytes can ask for any amount of memory and time.

Doubled tuples (``DUP``, ``TUPLE2``, ``DUP`` ...) are as large as 2^n for whoever counts or compares them, a tuple in a
tuple in a tuple overflows the stack of the interpreter's C code, a memo's number reserves memory up to itself, and a
long text that is used again and again is copied each time. So the pickle's stack is simulated first, with the sizes
of things in place of the things.
"""

from __future__ import annotations

import pickletools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from countenance.stored.content import Malformed

_MOST_STEPS: Final = 5_000_000
_MOST_DEPTH: Final = 200  # of tuples, which are compared and counted recursively
_MOST_INSIDE_A_TUPLE: Final = 10_000_000
_COPIED: Final = 16
_COPIED_AT_LEAST: Final = 2**26
_FILLS: Final = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"})
_CALLS: Final = frozenset({"REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "INST", "OBJ", "FROZENSET"})
_KEEPS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})


@dataclass(slots=True, eq=False)
class _Thing:
    """Something on the stack.

    Attributes:
        own: bytes of a text, or items of a container.
        parts: of a tuple.
        depth: of tuples in it.
        inside: things in it, as often as they are there, as far as tuples go.
    """

    own: int = 1
    parts: Sequence[_Thing] = ()
    depth: int = 0
    inside: int = 1

    @property
    def copied(self) -> int:
        """What a function that is given this may copy: it, its parts and, of tuples among these, their parts."""
        return self.own + sum(part.own + sum(p.own for p in part.parts) for part in self.parts)


_MARK: Final = _Thing()


def expect_bounded(file: IO[bytes], size: int) -> None:
    """Simulate the pickle at the place where ``file`` stands.

    Args:
        file: stands behind the pickle's end afterwards.
        size: of the whole file, in bytes; what is copied may be a multiple of it.

    Raises:
        Malformed: it is cut off, no pickle, or asks for more than any honest one.
    """
    try:
        _simulate(file, max(_COPIED * size, _COPIED_AT_LEAST))
    except Malformed:
        raise
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError, EOFError, AttributeError) as error:
        raise Malformed("it is no pickle, or cut off") from error


def _simulate(file: IO[bytes], most: int) -> None:
    stack, memo, effort = list[_Thing](), dict[int, _Thing](), 0
    for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        name = opcode.name
        if number > _MOST_STEPS:
            raise Malformed(f"it is a pickle of more than {_MOST_STEPS:,} steps")
        if name in _KEEPS:
            place = len(memo) if argument is None else int(argument)
            if place > 2 * number + 1000:
                raise Malformed("it is a pickle that reserves memory for things that it does not have")
            memo[place] = stack[-1]
        elif name in _GETS:
            stack.append(memo[int(argument or 0)])
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "POP":
            stack.pop()
        else:
            effort += _step(stack, opcode, argument)
            if effort > most:
                raise Malformed("it is a pickle that copies or counts the same things again and again")


def _step(stack: list[_Thing], opcode: Any, argument: object) -> int:
    """Do what an opcode does; what it copies, or counts to find a place in a table."""
    name = opcode.name
    taken = _taken(stack, opcode.stack_before)
    if name in _FILLS:
        taken[0].own += len(taken) - 1
        stack.append(taken[0])
        return sum(thing.inside for thing in taken[1:])
    if name.startswith("TUPLE"):
        depth, inside = 1 + max((t.depth for t in taken), default=0), 1 + sum(t.inside for t in taken)
        if depth > _MOST_DEPTH or inside > _MOST_INSIDE_A_TUPLE:
            raise Malformed("it is a pickle of tuples in tuples without end")
        stack.append(_Thing(len(taken), taken, depth, inside))
        return 0
    if name in _CALLS:
        copied = sum(thing.copied for thing in taken)
        stack.append(_Thing(1 + copied))
        return copied + sum(thing.inside for thing in taken)
    own = len(argument) if isinstance(argument, str | bytes | bytearray) else 1
    stack.extend(_MARK if kind is pickletools.markobject else _Thing(own) for kind in opcode.stack_after)
    return 0


def _taken(stack: list[_Thing], before: Sequence[Any]) -> Sequence[_Thing]:
    """What is taken from the stack, without marks."""
    if pickletools.markobject in before:
        mark = next((at for at in range(len(stack) - 1, -1, -1) if stack[at] is _MARK), -1)
        first = mark - list(before).index(pickletools.markobject)
        if first < 0:
            raise Malformed("it is a pickle that takes more than it has")
    else:
        first = len(stack) - len(before)
        if first < 0 or any(thing is _MARK for thing in stack[first:]):
            raise Malformed("it is a pickle that takes more than it has")
    taken = [thing for thing in stack[first:] if thing is not _MARK]
    del stack[first:]
    return taken
