"""Networks trained on ImageNet whose features tell how alike two pictures look.

VGG-19 is what the papers use. EfficientNet-Lite0 is for machines where VGG-19's weights are not at hand: it is
small, its weights come from a package registry, and its numbers must not be compared with VGG-19's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.errors import WeightsDamaged
from countenance.weights.assets import EFFICIENTNET_LITE0, VGG19, require_asset
from countenance.weights.published import published_tensors

_FIX = "delete it and run: countenance assets fetch"


class Backbone(Protocol):
    """Pictures -> features of several depths."""

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the features."""
        ...

    @property
    def layer_weights(self) -> tuple[float, ...]:
        """What each layer counts in a perceptual loss."""
        ...

    def prepare(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> the range that the network was trained on."""
        ...

    def __call__(self, prepared: Tensor) -> list[Tensor]:
        """Features of prepared pictures, shallow to deep."""
        ...


class VGG19Features(nn.Module):
    """VGG-19 up to relu_5_1, in torchvision's layout.

    Args:
        state: ``features.0.weight`` ... or ``0.weight`` ...; the classifier is ignored.
        path: where it came from, for errors.

    Raises:
        WeightsDamaged: a tensor is missing or has another shape.
    """

    layer_names = ("relu_1_1", "relu_2_1", "relu_3_1", "relu_4_1", "relu_5_1")
    layer_weights = (1.0, 1.0, 1.0, 1.0, 1.0)
    _CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
    _TAPPED = (0, 5, 10, 19, 28)
    _POOLED_BEFORE = (5, 10, 19, 28)
    _WIDTHS = (64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512)
    mean: Tensor
    std: Tensor

    def __init__(self, state: Mapping[str, Tensor], path: Path) -> None:
        super().__init__()
        self.convolutions = nn.ModuleDict()
        inputs = 3
        for number, width in zip(self._CONVOLUTIONS, self._WIDTHS, strict=True):
            convolution = nn.Conv2d(inputs, width, 3, padding=1)
            for part in ("weight", "bias"):
                given = state.get(f"features.{number}.{part}", state.get(f"{number}.{part}"))
                expected = getattr(convolution, part)
                if given is None or given.shape != expected.shape:
                    raise WeightsDamaged(path, f"VGG-19's '{number}.{part}' is missing or has another shape")
                expected.data.copy_(given)
            self.convolutions[str(number)] = convolution
            inputs = width
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None])
        self.eval().requires_grad_(False)

    def prepare(self, picture: Tensor) -> Tensor:
        """See :class:`Backbone`."""
        return ((picture + 1) / 2 - self.mean) / self.std

    def forward(self, prepared: Tensor) -> list[Tensor]:
        """See :class:`Backbone`; sides must be 16 px or more."""
        features, x = [], prepared
        for number in self._CONVOLUTIONS:
            if number in self._POOLED_BEFORE:
                x = F.max_pool2d(x, 2)
            x = F.relu(self.convolutions[str(number)](x))
            if number in self._TAPPED:
                features.append(x)
        return features


class _Block(nn.Module):
    """Inverted residual of MobileNetV2: expand, depthwise, project; batch norm is folded into the convolutions."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        middle = inputs * expand
        self.expand = nn.Conv2d(inputs, middle, 1) if expand > 1 else None
        self.depthwise = nn.Conv2d(middle, middle, kernel, stride, groups=middle)
        self.project = nn.Conv2d(middle, outputs, 1)
        self.residual = stride == 1 and inputs == outputs
        self.padding = _same_padding(kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = F.relu6(self.expand(x)) if self.expand is not None else x
        y = self.project(F.relu6(self.depthwise(F.pad(y, self.padding))))
        return x + y if self.residual else y  # type: ignore[no-any-return]


def _same_padding(kernel: int, stride: int) -> tuple[int, int, int, int]:
    """TensorFlow's "same" for even sizes: with stride 2 the extra pixel is on the right and at the bottom."""
    total = kernel - stride
    return total // 2, total - total // 2, total // 2, total - total // 2


class EfficientNetLite0Features(nn.Module):
    """EfficientNet-Lite0 (Tan and Le, 2019; Liu, 2020), the end of each of its resolutions.

    Args:
        state: of ``efficientnet-lite0-57934424.pth``.
        path: where it came from, for errors.

    Raises:
        WeightsDamaged: a tensor is missing or has another shape.
    """

    layer_names = ("block0", "block2", "block4", "block10", "block15")
    # 1 / mean magnitude of the layer's features on portraits, so that every depth counts about the same
    layer_weights = (0.2, 0.15, 0.17, 0.19, 0.43)
    _BLOCKS = (
        (32, 16, 3, 1, 1), (16, 24, 3, 2, 6), (24, 24, 3, 1, 6), (24, 40, 5, 2, 6), (40, 40, 5, 1, 6),
        (40, 80, 3, 2, 6), (80, 80, 3, 1, 6), (80, 80, 3, 1, 6), (80, 112, 5, 1, 6), (112, 112, 5, 1, 6),
        (112, 112, 5, 1, 6), (112, 192, 5, 2, 6), (192, 192, 5, 1, 6), (192, 192, 5, 1, 6),
        (192, 192, 5, 1, 6), (192, 320, 3, 1, 6),
    )  # fmt: skip
    _TAPPED = (0, 2, 4, 10, 15)
    _EPSILON = 1e-3

    def __init__(self, state: Mapping[str, Tensor], path: Path) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2)
        self.blocks = nn.ModuleList(_Block(*sizes) for sizes in self._BLOCKS)
        self.head = nn.Conv2d(320, 1280, 1)
        try:
            self._fold(self.stem, state, "_conv_stem", "_bn0")
            for i, block in enumerate(self.blocks):
                parts = [("expand", "_expand_conv", "_bn0"), ("depthwise", "_depthwise_conv", "_bn1")]
                for ours, convolution, norm in [
                    *parts[block.expand is None :],
                    ("project", "_project_conv", "_bn2"),
                ]:
                    self._fold(
                        getattr(block, ours), state, f"_blocks.{i}.{convolution}", f"_blocks.{i}.{norm}"
                    )
            self._fold(self.head, state, "_conv_head", "_bn1")
        except (KeyError, RuntimeError) as error:
            raise WeightsDamaged(path, f"it is no EfficientNet-Lite0: {error}") from error
        self.eval().requires_grad_(False)

    def _fold(self, layer: nn.Module, state: Mapping[str, Tensor], convolution: str, norm: str) -> None:
        """Convolution followed by batch norm, in evaluation, is one convolution."""
        gain = state[f"{norm}.weight"] * torch.rsqrt(state[f"{norm}.running_var"] + self._EPSILON)
        weight = state[f"{convolution}.weight"] * gain[:, None, None, None]
        bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
        layer.load_state_dict({"weight": weight, "bias": bias})

    def prepare(self, picture: Tensor) -> Tensor:
        """See :class:`Backbone`. It was trained on (v - 127) / 128 of bytes v."""
        return (picture * 127.5 + 0.5) / 128

    def forward(self, prepared: Tensor) -> list[Tensor]:
        """See :class:`Backbone`; sides must be even at every halving, best multiples of 32."""
        x = F.relu6(self.stem(F.pad(prepared, _same_padding(3, 2))))
        features = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self._TAPPED:
                features.append(x)
        return features

    def pooled(self, prepared: Tensor) -> Tensor:
        """(B, 1280): the features before the classifier, averaged over the picture."""
        return F.relu6(self.head(self(prepared)[-1])).mean((2, 3))


BACKBONES = ("vgg19", "efficientnet-lite0")


def load_backbone(name: str, *, fetch: bool = True) -> VGG19Features | EfficientNetLite0Features:
    """A backbone with its trained weights.

    Args:
        name: "vgg19" or "efficientnet-lite0".
        fetch: download the weights where they are missing.

    Raises:
        WeightsMissing: they are not here and can't be had.
        WeightsDamaged: the file has other contents than expected.
    """
    if name == "vgg19":
        path = require_asset(VGG19, fetch=fetch)
        return VGG19Features(published_tensors(path, _FIX), path)
    path = require_asset(EFFICIENTNET_LITE0, fetch=fetch)
    return EfficientNetLite0Features(published_tensors(path, _FIX), path)
