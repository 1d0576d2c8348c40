"""IResNet, the network of ArcFace, as InsightFace's ``arcface_torch`` defines it.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, Sec. 3.1. Modules carry the
names of the authors' ``backbone.pth``, so that it is read as it is.
"""

from __future__ import annotations

from torch import Tensor, nn

from countenance.errors import UnknownName, WeightsMissing
from countenance.weights.assets import assets_folder
from countenance.weights.published import published_tensors, ready

SOURCE = "https://github.com/deepinsight/insightface/tree/master/recognition/arcface_torch"
"""Where the authors publish their models. They state no checksums, so names and shapes are all that can be checked. The
weights are for non-commercial research only."""

BLOCKS = {"r50": (3, 4, 14, 3), "r100": (3, 13, 30, 3)}
"""Blocks at 56, 28, 14 and 7 px."""

SIDE = 112
EMBEDDING = 512
_WIDTHS = (64, 128, 256, 512)


def file_name(depth: str) -> str:
    """How the authors' ``backbone.pth`` is to be called in the folder of assets."""
    return f"arcface_{depth}.pth"


class _Block(nn.Module):
    """Batch norm before the convolutions and after them, none after the sum; the stride is on the second."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride > 1
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        beside = x if self.downsample is None else self.downsample(x)
        return self.bn3(self.conv2(y)) + beside  # type: ignore[no-any-return]


def _stage(inputs: int, outputs: int, count: int) -> nn.Sequential:
    return nn.Sequential(_Block(inputs, outputs, 2), *(_Block(outputs, outputs, 1) for _ in range(1, count)))


class IResNet(nn.Module):
    """Aligned faces to vectors whose angle tells how alike the people are.

    Args:
        depth: "r50" or "r100".

    Raises:
        UnknownName: another depth.
    """

    def __init__(self, depth: str = "r50") -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise UnknownName("depth of ArcFace", depth, BLOCKS)
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        counts = BLOCKS[depth]
        self.layer1 = _stage(64, _WIDTHS[0], counts[0])
        self.layer2 = _stage(_WIDTHS[0], _WIDTHS[1], counts[1])
        self.layer3 = _stage(_WIDTHS[1], _WIDTHS[2], counts[2])
        self.layer4 = _stage(_WIDTHS[2], _WIDTHS[3], counts[3])
        self.bn2 = nn.BatchNorm2d(_WIDTHS[3])
        self.fc = nn.Linear(_WIDTHS[3] * 7 * 7, EMBEDDING)
        self.features = nn.BatchNorm1d(EMBEDDING)

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3, 112, 112) aligned faces, RGB in [-1, 1] -> (B, 512), not of unit length."""
        x = self.prelu(self.bn1(self.conv1(faces)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(self.bn2(x).flatten(1)))  # type: ignore[no-any-return]


def load_arcface(depth: str = "r50") -> IResNet:
    """The trained network, of ``arcface_r50.pth`` or ``arcface_r100.pth`` in the folder of assets.

    The user puts the file there: the authors' ``backbone.pth``, for non-commercial research only.

    Raises:
        UnknownName: another depth.
        WeightsMissing: it is not there; the message says where to get it.
        WeightsDamaged: another file, cut off, or with code inside.
    """
    network = IResNet(depth)
    path = assets_folder() / file_name(depth)
    if not path.is_file():
        get = f"get an {depth} model's backbone.pth (non-commercial research only) from {SOURCE}"
        raise WeightsMissing(path.name, f"{get} and save it as {path}")
    return ready(network, published_tensors(path, f"get it again from {SOURCE}"), path)
