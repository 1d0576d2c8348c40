"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # tests run in parallel; threads of torch would only wait for each other

settings.register_profile("the same each time", deadline=None, derandomize=True, database=None)
settings.load_profile("the same each time")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``device`` runs on each of this machine's."""
    if "device" in metafunc.fixturenames:
        from countenance.devices import devices_here

        metafunc.parametrize("device", devices_here(), indirect=True)


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where to compute, in full float32."""
    if request.param == "cuda":
        import torch

        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return str(request.param)


SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the real clips, portraits and parity tensors, which lies beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("no folder 'shared' beside the checkout: real clips and parity tensors are not here")
    return SHARED
