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
from countenance.weights.torch_files import load_torch_file
from countenance.weights.weight_files import fill

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
    state = content.get("net_recon") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        fix = "give epoch_20.pth of Deep3DFaceRecon_pytorch"
        raise WeightsDamaged(path, "it has no 'net_recon'", fix)
    network = Deep3DNetwork()
    fill(network, {str(name).removeprefix("module."): tensor for name, tensor in state.items()}, path)
    return network.eval().requires_grad_(False)
