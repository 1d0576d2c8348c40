"""SyncNet: one network for mouths and one for speech, trained so that what was said together lies close together.

Chung and Zisserman, "Out of time: automated lip sync in the wild", ACCV workshops 2016; the published figures called
AVConf, LSE-C and LSE-D come from its second version. Modules carry the names of the authors' file
``syncnet_v2.model``, so that it is read as it is.
"""

from __future__ import annotations

from torch import Tensor, nn

from countenance.errors import WeightsMissing
from countenance.weights.assets import assets_folder
from countenance.weights.published import published_tensors, ready

FILE = "syncnet_v2.model"
SOURCE = "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model"
"""Where the authors publish it. They state no checksum, so names and shapes are all that can be checked."""

EMBEDDING = 1024


def _block2d(inputs: int, outputs: int, kernel: tuple[int, int], padding: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.BatchNorm2d(outputs), nn.ReLU()]


def _block3d(
    inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int, padding: int
) -> list[nn.Module]:
    """Stride and padding are those of rows and columns; time has stride 1 and no padding."""
    across = nn.Conv3d(inputs, outputs, kernel, (1, stride, stride), (0, padding, padding))
    return [across, nn.BatchNorm3d(outputs), nn.ReLU()]


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING))


class SyncNet(nn.Module):
    """Mouths and speech to vectors whose distance tells how well they fit; 0.2 s each."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_block2d(1, 64, (3, 3), 1),
            nn.Identity(),  # the authors pool by 1 x 1 here; it keeps the numbers of the layers below
            *_block2d(64, 192, (3, 3), 1),
            nn.MaxPool2d(3, (1, 2)),
            *_block2d(192, 384, (3, 3), 1),
            *_block2d(384, 256, (3, 3), 1),
            *_block2d(256, 256, (3, 3), 1),
            nn.MaxPool2d(3, 2),
            *_block2d(256, 512, (5, 4), 0),
        )
        self.netfcaud = _head()
        self.netcnnlip = nn.Sequential(
            *_block3d(3, 96, (5, 7, 7), 2, 0),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block3d(96, 256, (1, 5, 5), 2, 1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_block3d(256, 256, (1, 3, 3), 1, 1),
            *_block3d(256, 256, (1, 3, 3), 1, 1),
            *_block3d(256, 256, (1, 3, 3), 1, 1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block3d(256, 512, (1, 6, 6), 1, 0),
        )
        self.netfclip = _head()

    def embed_sound(self, mfcc: Tensor) -> Tensor:
        """(B, 1, 13, 20) cepstra by steps of 10 ms, of 16-bit samples, not normalised -> (B, 1024)."""
        return self.netfcaud(self.netcnnaud(mfcc).flatten(1))  # type: ignore[no-any-return]

    def embed_lips(self, faces: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) five face crops, BGR in 0..255, not normalised -> (B, 1024)."""
        return self.netfclip(self.netcnnlip(faces).flatten(1))  # type: ignore[no-any-return]


def load_syncnet() -> SyncNet:
    """The trained network, of ``syncnet_v2.model`` in the folder of assets.

    Raises:
        WeightsMissing: it is not there; the message says where to get it.
        WeightsDamaged: another file, cut off, or with code inside.
    """
    path = assets_folder() / FILE
    if not path.is_file():
        raise WeightsMissing(FILE, f"get it from {SOURCE} and save it as {path}")
    return ready(SyncNet(), published_tensors(path, f"get it again from {SOURCE}"), path)
