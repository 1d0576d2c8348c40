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

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the real clips, portraits and parity tensors, which lies beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("no folder 'shared' beside the checkout: real clips and parity tensors are not here")
    return SHARED
