"""LPIPS v0.1: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.

The networks are torchvision's AlexNet and VGG-16 up to their last tapped ReLU. Modules carry the names of the
published files, so that these are read as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from countenance.errors import UnknownName
from countenance.weights.assets import ALEXNET, LPIPS_ALEX, LPIPS_VGG, VGG16, Asset, require_asset
from countenance.weights.published import published_tensors, ready

NETWORKS = ("alex", "vgg")

_FILES: dict[str, tuple[Asset, Asset]] = {"alex": (ALEXNET, LPIPS_ALEX), "vgg": (VGG16, LPIPS_VGG)}
_TAPPED = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}
_WIDTHS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
_EPSILON = 1e-10  # the authors'; pixels where all channels are 0 stay 0


class Lpips(nn.Module):
    """Distance of pictures in the features of a network; the weights are filled in by :func:`load_lpips`.

    Args:
        name: "alex" or "vgg".

    Raises:
        UnknownName: another name.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        if name not in NETWORKS:
            raise UnknownName("network of LPIPS", name, NETWORKS)
        self.trunk = nn.ModuleDict({"features": _alexnet() if name == "alex" else _vgg16()})
        self.linear = nn.ModuleDict({f"lin{i}": _Linear(width) for i, width in enumerate(_WIDTHS[name])})
        self._tapped = _TAPPED[name]
        # ImageNet's mean and deviation, for pictures in [-1, 1], rounded as the authors did
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None], persistent=False)

    def forward(self, picture: Tensor, truth: Tensor) -> Tensor:
        """(B, 3, H, W) pictures in [-1, 1], sides of 31 px or more -> (B,) distances (Eq. 1); lower is better."""
        layers = zip(self._features(picture), self._features(truth), self.linear.values(), strict=True)
        return torch.stack([weigh((a - b) ** 2).mean((1, 2, 3)) for a, b, weigh in layers]).sum(0)

    def _features(self, picture: Tensor) -> list[Tensor]:
        """Five layers, the channels of every pixel scaled to unit length."""
        features = []
        x = (picture - self.shift) / self.scale
        for number, layer in enumerate(self.trunk["features"].children()):
            x = layer(x)
            if number in self._tapped:
                features.append(x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + _EPSILON))
        return features


class _Linear(nn.Module):
    """What each channel counts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # the authors drop out channels in training; that layer keeps the number of the next
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(width, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 1, H, W)."""
        return self.model(x)  # type: ignore[no-any-return]


def _alexnet() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )


def _vgg16() -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers.append(nn.MaxPool2d(2))
        for _ in range(count):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
    return nn.Sequential(*layers)


def load_lpips(name: str, *, fetch: bool = True) -> Lpips:
    """The network with its trained weights.

    Args:
        name: "alex" or "vgg".
        fetch: download the weights where they are missing (AlexNet 244 MB, VGG-16 553 MB).

    Raises:
        UnknownName: another name.
        WeightsMissing: they are not here and can't be had.
        WeightsDamaged: a file has other contents than expected.
    """
    network = Lpips(name)
    trunk, linear = _FILES[name]
    path = require_asset(trunk, fetch=fetch)
    tensors = published_tensors(path, f"delete it and run: countenance assets fetch {trunk.name}")
    # the classifier, nine tenths of AlexNet's file, is not part of LPIPS
    ready(network.trunk, {n: t for n, t in tensors.items() if not n.startswith("classifier.")}, path)
    path = require_asset(linear, fetch=fetch)
    fix = f"delete it and run: countenance assets fetch {linear.name}"
    ready(network.linear, published_tensors(path, fix), path)
    return network.eval()
