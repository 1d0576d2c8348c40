"""DECA's coarse encoder: a cropped face -> 236 numbers of FLAME, texture, camera and light (Feng et al. 2021).

GDPW tracks with it (Sec. 3.2). Modules carry the names of the authors' file, so that it is read as it is.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from countenance.errors import WeightsDamaged
from countenance.face.deca_code import CODE_SIZE
from countenance.trackers.resnet50 import ResNet50
from countenance.weights.published import ready, state_of
from countenance.weights.torch_files import load_torch_file

_FIX = "give deca_model.tar of DECA"


class DecaEncoder(nn.Module):
    """ResNet-50 and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ResNet50()
        self.layers = nn.Sequential(nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, CODE_SIZE))

    def forward(self, faces: Tensor) -> Tensor:
        """Crops (B, 3, 224, 224) in [0, 1], RGB, not normalised further -> (B, 236); see ``face/deca_code.py``."""
        code: Tensor = self.layers(self.encoder(faces).flatten(1))
        return code


def load_deca(path: Path) -> DecaEncoder:
    """The coarse encoder of the authors' ``deca_model.tar``.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: another file, cut off, or with code inside.
    """
    content = load_torch_file(path)
    if not isinstance(content, dict) or not isinstance(content.get("E_flame"), dict):
        raise WeightsDamaged(path, "it has no 'E_flame'", _FIX)
    return ready(DecaEncoder(), state_of(content["E_flame"], path, _FIX), path)
