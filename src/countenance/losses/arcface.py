"""ArcFace's network on grey faces of 128 x 128, as losses of face restoration and of OTAvatar take it.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019. Modules carry the names of
``arcface_resnet18.pth``, so that it is read as it is. It is another network than the one that evaluation measures with.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from countenance.errors import WeightsMissing
from countenance.weights.assets import assets_folder
from countenance.weights.published import published_tensors, ready

FILE = "arcface_resnet18.pth"
SOURCE = "https://github.com/TencentARC/GFPGAN/releases"
SIDE = 128
_WIDTHS = (64, 64, 128, 256, 512)
_EMBEDDING = 512


class _Block(nn.Module):
    """Batch norm first; one PReLU, used twice; the stride is on the second convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride > 1
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(self.bn0(x))))))
        beside = x if self.downsample is None else self.downsample(x)
        return self.prelu(y + beside)  # type: ignore[no-any-return]


class GreyArcFace(nn.Module):
    """Aligned grey faces to vectors whose angle tells how alike the people are. For evaluation: it has no dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, _WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_WIDTHS[0])
        self.prelu = nn.PReLU()
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(
                _Block(_WIDTHS[i], _WIDTHS[i + 1], 2 if i else 1), _Block(_WIDTHS[i + 1], _WIDTHS[i + 1], 1)
            )
            for i in range(4)
        )
        self.bn4 = nn.BatchNorm2d(_WIDTHS[-1])
        self.fc5 = nn.Linear(_WIDTHS[-1] * (SIDE // 16) ** 2, _EMBEDDING)
        self.bn5 = nn.BatchNorm1d(_EMBEDDING)

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 1, 128, 128) grey faces in [-1, 1] -> (B, 512), not of unit length."""
        x = F.max_pool2d(self.prelu(self.bn1(self.conv1(faces))), 2)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.bn5(self.fc5(self.bn4(x).flatten(1)))  # type: ignore[no-any-return]


def load_grey_arcface() -> GreyArcFace:
    """The trained network, of ``arcface_resnet18.pth`` in the folder of assets, where the user puts it.

    Names may begin with ``module.``, the wrapper of distributed training.

    Raises:
        WeightsMissing: it is not there; the message says where to get it.
        WeightsDamaged: another file, cut off, or with code inside.
    """
    path = assets_folder() / FILE
    if not path.is_file():
        raise WeightsMissing(FILE, f"get it from {SOURCE} and save it as {path}")
    tensors = published_tensors(path, f"get it again from {SOURCE}")
    return ready(GreyArcFace(), {name.removeprefix("module."): t for name, t in tensors.items()}, path)
