"""Where networks compute."""

from __future__ import annotations

import pytest

from countenance.devices import device_named, devices_here
from countenance.errors import BadValue


def test_auto_is_the_fastest_that_is_here() -> None:
    here = devices_here()
    assert here[-1] == "cpu"
    assert device_named("auto") == here[0]
    for device in here:
        assert device_named(device) == device


@pytest.mark.parametrize("name", ["gpu", "", "CUDA", "cpu0"])
def test_what_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(BadValue, match="auto, cpu, cuda or mps"):
        device_named(name)


def test_a_device_that_is_not_here_is_told() -> None:
    missing = {"cuda", "mps"} - set(devices_here())
    for name in missing:
        with pytest.raises(BadValue, match=r"on this machine; use --device .*cpu"):
            device_named(name)
    assert missing  # no machine has both
