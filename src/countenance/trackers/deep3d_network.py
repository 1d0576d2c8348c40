"""The coefficient network of Deep3DFaceReconstruction: an aligned face -> 257 numbers of the BFM.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning", CVPRW 2019; PIRenderer, PIR and
OTAvatar track with it. Modules carry the names of the authors' file, so that it is read as it is.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from countenance.errors import WeightsDamaged
from countenance.weights.torch_files import load_torch_file
from countenance.weights.weight_files import fill

COEFFICIENTS = (80, 64, 80, 3, 27, 2, 1)
"""Identity, expression, texture, angles, light, translation x and y, translation z: 257."""

_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride of ResNet-50
_EXPANSION = 4


class _Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (with the stride), 1 x 1, around a residual (He et al. 2016)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * _EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride > 1 or inputs != outputs
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class _ResNet50(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for number, (width, blocks, stride) in enumerate(_STAGES, 1):
            stage = nn.Sequential()
            for i in range(blocks):
                stage.append(_Bottleneck(inputs, width, stride if i == 0 else 1))
                inputs = width * _EXPANSION
            self.add_module(f"layer{number}", stage)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 2048, 1, 1)."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for number in range(1, len(_STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean((2, 3), keepdim=True)


class Deep3DNetwork(nn.Module):
    """ResNet-50 and seven linear layers, one for each group of coefficients."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _ResNet50()
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
