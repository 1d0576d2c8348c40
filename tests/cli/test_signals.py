"""How a command ends that somebody or something ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

import countenance as cn
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("inputs")
    Image.fromarray(data.astronaut()).save(made / "me.png")
    cn.save_motion(made / "long.npz", Motion.neutral(ARKIT, 20_000, 25.0).set(jawOpen=0.5))
    return made


def started(arguments: Sequence[object], **more: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "countenance", *(str(a) for a in arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)  # type: ignore[call-overload, no-any-return]


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until a temporary file of the output is there, so that the work has begun."""
    while process.poll() is None and not any(p.name.startswith(".countenance") for p in path.iterdir()):
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)], ids=lambda v: str(v)
)
def test_a_stopped_animation_leaves_nothing(folder: Path, tmp_path: Path, name: str, code: int) -> None:
    given = (
        "animate",
        folder / "me.png",
        folder / "long.npz",
        "-o",
        tmp_path / "o.mp4",
        "--model",
        "geometric",
    )
    process = started(given, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    wait_for(tmp_path, process)
    process.send_signal(getattr(signal, name))
    _, complaint = process.communicate()
    assert process.returncode == code
    assert b"Traceback" not in complaint
    assert list(tmp_path.iterdir()) == []


def test_a_hangup_that_is_ignored_stays_so(folder: Path, tmp_path: Path) -> None:
    given = (
        "edit",
        folder / "me.png",
        "-o",
        tmp_path / "o.png",
        "--set",
        "jawOpen=0.5",
        "--model",
        "geometric",
    )
    process = started(given, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    assert process.returncode == 0
    assert (tmp_path / "o.png").is_file()


def test_ctrl_c_while_modules_load_is_one_line() -> None:
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Presses:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'countenance.cli.main':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Presses())\n"
        "from countenance.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 130
    assert done.stderr == b"countenance: interrupted; nothing was written\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "countenance", "edit", "--list"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_version_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "countenance", "--version"], capture_output=True, check=False, text=True
    )
    assert done.stdout == f"countenance {cn.__version__}\n"
