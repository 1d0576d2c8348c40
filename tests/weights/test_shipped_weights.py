"""Every file of weights that we ship: small, in half precision, with a model card."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import safe_open

import countenance

FILES = sorted(Path(countenance.__file__).parent.rglob("*-lite.safetensors"))


def test_they_are_found() -> None:
    assert {"gdpw-lite", "pirenderer-lite", "otavatar-lite", "flow-lite"} <= {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_small_half_precision_and_has_a_card(path: Path) -> None:
    assert path.stat().st_size < 15 * 2**20
    with safe_open(path, "pt") as file:
        kinds = {str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118 (no mapping)
    assert "F16" in kinds
    assert not kinds & {"F32", "F64", "BF16"}  # whole numbers and switches are no weights
    card = path.with_suffix(".md").read_text()
    for part in ("Data", "Training", "Measured", "Limits", "Licence"):
        assert f"## {part}" in card
