"""FID's Inception-v3: the network of TensorFlow's 2015-12-05 archive, as pytorch-fid and torch-fidelity carry it.

Szegedy et al. 2016; Heusel et al. 2017 took this network for FID. Modules carry torchvision's names, as the converted
file does. It differs from torchvision's network in four ways: mean pooling leaves the padding out, the last block pools
by maximum, the classifier has 1008 outputs, and there is no second classifier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.weights.assets import FID_INCEPTION, require_asset
from countenance.weights.published import published_tensors, ready

SIDE = 299
FEATURES = 2048

_Kernel = tuple[int, int]
_Step = tuple[int, Sequence[_Kernel]]
"""Output channels, and the kernel (rows, columns); of several kernels each reads the same input, and their outputs are
joined."""

_ONE, _THREE, _FIVE, _ROW3, _COLUMN3, _ROW7, _COLUMN7 = (1, 1), (3, 3), (5, 5), (1, 3), (3, 1), (1, 7), (7, 1)


class _Convolution(nn.Module):
    """Convolution, batch norm, ReLU; keeps the size at stride 1 if nothing is said about padding."""

    def __init__(
        self, inputs: int, outputs: int, kernel: _Kernel, stride: int = 1, *, padded: bool = True
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if padded else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        return F.relu(self.bn(self.conv(x)))


class _Block(nn.Module):
    """Branches of convolutions side by side, and a pooled one; their outputs are joined.

    Args:
        inputs: channels.
        branches: name -> steps one after another.
        pool: of windows of 3 x 3.
        pooled: channels of the convolution after the pooling; 0 for none.
        stride: of the branches' last steps and of the pooling; at 2 they have no padding.
    """

    def __init__(
        self,
        inputs: int,
        branches: Mapping[str, Sequence[_Step]],
        pool: Literal["mean", "max"],
        pooled: int = 0,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self._pool, self._stride = pool, stride
        self._branches: list[list[list[str]]] = []
        for branch, steps in branches.items():
            width, chain = inputs, []
            for number, (outputs, kernels) in enumerate(steps, 1):
                name = branch if len(steps) == 1 else f"{branch}_{number}"
                names = [name + letter for letter in "ab"] if len(kernels) > 1 else [name]
                pace = stride if number == len(steps) else 1
                for part, kernel in zip(names, kernels, strict=True):
                    self.add_module(part, _Convolution(width, outputs, kernel, pace, padded=pace == 1))
                width = outputs * len(kernels)
                chain.append(names)
            self._branches.append(chain)
        self.branch_pool = _Convolution(inputs, pooled, _ONE) if pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        ends = []
        for chain in self._branches:
            y = x
            for names in chain:
                y = torch.cat([self.get_submodule(name)(y) for name in names], 1)
            ends.append(y)
        return torch.cat([*ends, self.branch_pool(self._pooled(x))], 1)

    def _pooled(self, x: Tensor) -> Tensor:
        padding = 1 if self._stride == 1 else 0
        if self._pool == "max":
            return F.max_pool2d(x, 3, self._stride, padding)
        return F.avg_pool2d(x, 3, self._stride, padding, count_include_pad=False)


def _block_35(inputs: int, pooled: int) -> _Block:
    """Fig. 5 of Szegedy et al., with 5 x 5 in one branch; pictures are 35 x 35 here."""
    branches: dict[str, list[_Step]] = {
        "branch1x1": [(64, [_ONE])],
        "branch5x5": [(48, [_ONE]), (64, [_FIVE])],
        "branch3x3dbl": [(64, [_ONE]), (96, [_THREE]), (96, [_THREE])],
    }
    return _Block(inputs, branches, "mean", pooled)


def _block_17(width: int) -> _Block:
    """Fig. 6: 7 x 7 as rows and columns."""
    row, column = (width, [_ROW7]), (width, [_COLUMN7])
    branches: dict[str, list[_Step]] = {
        "branch1x1": [(192, [_ONE])],
        "branch7x7": [(width, [_ONE]), row, (192, [_COLUMN7])],
        "branch7x7dbl": [(width, [_ONE]), column, row, column, (192, [_ROW7])],
    }
    return _Block(768, branches, "mean", 192)


def _block_8(inputs: int, pool: Literal["mean", "max"]) -> _Block:
    """Fig. 7: rows and columns of 3 side by side."""
    fork = (384, [_ROW3, _COLUMN3])
    branches: dict[str, list[_Step]] = {
        "branch1x1": [(320, [_ONE])],
        "branch3x3": [(384, [_ONE]), fork],
        "branch3x3dbl": [(448, [_ONE]), (384, [_THREE]), fork],
    }
    return _Block(inputs, branches, pool, 192)


def _from_35_to_17() -> _Block:
    branches: dict[str, list[_Step]] = {
        "branch3x3": [(384, [_THREE])],
        "branch3x3dbl": [(64, [_ONE]), (96, [_THREE]), (96, [_THREE])],
    }
    return _Block(288, branches, "max", stride=2)


def _from_17_to_8() -> _Block:
    branches: dict[str, list[_Step]] = {
        "branch3x3": [(192, [_ONE]), (320, [_THREE])],
        "branch7x7x3": [(192, [_ONE]), (192, [_ROW7]), (192, [_COLUMN7]), (192, [_THREE])],
    }
    return _Block(768, branches, "max", stride=2)


class FidInception(nn.Module):
    """Pictures -> the 2048 features that FID compares."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Convolution(3, 32, _THREE, 2, padded=False)
        self.Conv2d_2a_3x3 = _Convolution(32, 32, _THREE, padded=False)
        self.Conv2d_2b_3x3 = _Convolution(32, 64, _THREE)
        self.Conv2d_3b_1x1 = _Convolution(64, 80, _ONE)
        self.Conv2d_4a_3x3 = _Convolution(80, 192, _THREE, padded=False)
        self.Mixed_5b = _block_35(192, 32)
        self.Mixed_5c = _block_35(256, 64)
        self.Mixed_5d = _block_35(288, 64)
        self.Mixed_6a = _from_35_to_17()
        self.Mixed_6b = _block_17(128)
        self.Mixed_6c = _block_17(160)
        self.Mixed_6d = _block_17(160)
        self.Mixed_6e = _block_17(192)
        self.Mixed_7a = _from_17_to_8()
        self.Mixed_7b = _block_8(1280, "mean")
        self.Mixed_7c = _block_8(2048, "max")
        self.fc = nn.Linear(FEATURES, 1008)  # in the file; FID does without

    def forward(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in 0..255, of any size -> (B, 2048), the mean over the picture before the classifier."""
        x = (resized_as_tensorflow_1(picture, SIDE) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))  # type: ignore[no-any-return]


def resized_as_tensorflow_1(picture: Tensor, side: int) -> Tensor:
    """(B, C, H, W) -> (B, C, side, side), bilinear, as TensorFlow 1 does it and torch-fidelity after it.

    Pixel i of the result is read at i * H / side: the first pixels lie on each other, the centres don't, and nothing is
    smoothed when pictures shrink. pytorch-fid and torch's own function align the centres; its FID differs.
    """
    for dim in (3, 2):
        size = picture.shape[dim]
        position = torch.arange(side, dtype=torch.float32) * (size / side)
        before = position.long()
        part = (position - before).reshape(-1, *[1] * (3 - dim))
        first = picture.index_select(dim, before)
        second = picture.index_select(dim, (before + 1).clamp_max(size - 1))
        picture = first + (second - first) * part
    return picture


def load_inception(*, fetch: bool = True) -> FidInception:
    """The network with its trained weights.

    Args:
        fetch: download the weights where they are missing (96 MB).

    Raises:
        WeightsMissing: they are not here and can't be had.
        WeightsDamaged: the file has other contents than expected.
    """
    path = require_asset(FID_INCEPTION, fetch=fetch)
    fix = f"delete it and run: countenance assets fetch {FID_INCEPTION.name}"
    return ready(FidInception(), published_tensors(path, fix), path)
