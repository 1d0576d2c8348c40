"""The coefficient network of Deep3DFaceReconstruction: an aligned face -> 257 numbers of the BFM.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning", CVPRW 2019; PIRenderer, PIR and
OTAvatar track with it. Modules carry the names of the authors' file, so that it is read as it is.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from countenance.errors import WeightsDamaged
from countenance.trackers.resnet50 import ResNet50
from countenance.weights.published import ready, state_of
from countenance.weights.torch_files import load_torch_file

_FIX = "give epoch_20.pth of Deep3DFaceRecon_pytorch"

COEFFICIENTS = (80, 64, 80, 3, 27, 2, 1)
"""Identity, expression, texture, angles, light, translation x and y, translation z: 257."""


class Deep3DNetwork(nn.Module):
    """ResNet-50 and seven linear layers, one for each group of coefficients."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ResNet50()
        self.final_layers = nn.ModuleList(nn.Conv2d(2048, count, 1) for count in COEFFICIENTS)

    def forward(self, faces: Tensor) -> Tensor:
        """Aligned faces (B, 3, 224, 224) in [0, 1], RGB, not normalised further -> (B, 257)."""
        pooled = self.backbone(faces)
        return torch.cat([layer(pooled).flatten(1) for layer in self.final_layers], 1)


def load_deep3d(path: Path) -> Deep3DNetwork:
    """The network of the authors' ``epoch_20.pth``.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: another file, cut off, or with code inside.
    """
    content = load_torch_file(path)
    if not isinstance(content, dict) or not isinstance(content.get("net_recon"), dict):
        raise WeightsDamaged(path, "it has no 'net_recon'", _FIX)
    state = state_of(content["net_recon"], path, _FIX)
    return ready(Deep3DNetwork(), {name.removeprefix("module."): t for name, t in state.items()}, path)
