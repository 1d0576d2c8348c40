"""An error's message is one line that a terminal can show, whatever names it holds."""

from __future__ import annotations

import pickle

from countenance.errors import MotionInvalid, WeightsDamaged


def test_a_message_is_one_line() -> None:
    error = WeightsDamaged("a\nb.pt", "'x\x1b[31m\ud800' is missing", "fetch it")
    assert str(error) == (
        r"a\nb.pt is damaged or not what it claims to be: 'x\x1b[31m\ud800' is missing; fetch it"
    )
    assert str(MotionInvalid("Größe 5 °")) == "Größe 5 °"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  as worker processes send it


def test_a_long_message_keeps_its_beginning_and_its_fix() -> None:
    line = str(WeightsDamaged("a.pt", "x" * 100_000, "fetch it again"))
    assert len(line) < 1500
    assert line.startswith("a.pt is damaged")
    assert line.endswith("fetch it again")
