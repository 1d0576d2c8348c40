"""All metrics that reports hold: what they are called, what they mean, which way is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from countenance.errors import DependencyMissing, WeightsDamaged, WeightsMissing
from countenance.weights.assets import ALEXNET, FID_INCEPTION, LPIPS_ALEX, LPIPS_VGG, VGG16, Asset, find_asset

Needs = Literal["truth", "motion", "nothing", "sound", "steps"]
"""What a metric compares a result with: true pictures; the motion that was asked for; nothing (or the source, which is
always there); the driver's sound; its own neighbours in an in-between."""

BEST_PSNR = 60.0
"""Equal pictures, whose ratio is infinite, count as this many dB in means."""


@dataclass(frozen=True)
class Metric:
    """One column of a report.

    Attributes:
        name: says tracker, features or coefficients, and unit, as published names do not.
        title: for people.
        unit: or "".
        best: "high" or "low".
        needs: see :data:`Needs`.
        definition: with its source.
        sets: it is of all results together, not a mean over cases.
        requires: raises one of our errors where something that it needs is not here; None: always there.
    """

    name: str
    title: str
    unit: str
    best: Literal["high", "low"]
    needs: Needs
    definition: str
    sets: bool = False
    requires: Callable[[], None] | None = None

    def missing(self) -> str | None:
        """Why it can't be measured here, in one line; None where it can."""
        try:
            if self.requires:
                self.requires()
        except (DependencyMissing, WeightsMissing, WeightsDamaged) as error:
            return str(error)
        return None


def _torch() -> None:
    if find_spec("torch") is None:
        raise DependencyMissing("torch", "torch", "a metric on network features")


def _lite0() -> None:
    _torch()
    from countenance.losses.backbones import load_backbone

    load_backbone("efficientnet-lite0")


def require_scikit_image() -> None:
    """Ask for what every case is measured with.

    Raises:
        DependencyMissing: scikit-image.
    """
    if find_spec("skimage") is None:
        raise DependencyMissing("scikit-image", "evaluation", "evaluate")


def _dlib() -> None:
    from countenance.evaluation.metrics.identity import require_dlib

    require_dlib()


def _here(*assets: Asset) -> Callable[[], None]:
    """Asks for files that are too large to be fetched unasked."""

    def require() -> None:
        _torch()
        for asset in assets:
            if find_asset(asset) is None:
                raise WeightsMissing(asset.name, f"get it with: countenance assets fetch {asset.name}")

    return require


def _arcface() -> None:
    _torch()
    from countenance.evaluation.metrics.iresnet import load_arcface

    load_arcface()


def _syncnet() -> None:
    _torch()
    from countenance.evaluation.metrics.syncnet import load_syncnet

    load_syncnet()


METRICS: tuple[Metric, ...] = (
    Metric(
        "l1", "L1", "", "low", "truth", "Mean absolute difference of pixels in [0, 1] (metrics/pixels.py)."
    ),
    Metric(
        "psnr",
        "PSNR",
        "dB",
        "high",
        "truth",
        f"10 log10(255^2 / mean squared error); equal pictures count as {BEST_PSNR:g} dB.",
    ),
    Metric(
        "ssim",
        "SSIM",
        "",
        "high",
        "truth",
        "Wang et al. 2004, scikit-image, 7 x 7 window.",
    ),
    Metric("ms_ssim", "MS-SSIM", "", "high", "truth", "Wang et al. 2003, five scales, 11 x 11 Gaussian."),
    Metric(
        "perceptual_lite0",
        "perceptual (EfficientNet-Lite0)",
        "",
        "low",
        "truth",
        "Mean absolute difference of features at five depths; not LPIPS (metrics/perceptual.py).",
        requires=_lite0,
    ),
    Metric(
        "lpips_alex",
        "LPIPS (alex)",
        "",
        "low",
        "truth",
        "Zhang et al. 2018, version 0.1, at the clip's own size.",
        requires=_here(ALEXNET, LPIPS_ALEX),
    ),
    Metric(
        "lpips_vgg",
        "LPIPS (vgg)",
        "",
        "low",
        "truth",
        "Zhang et al. 2018, version 0.1, at the clip's own size.",
        requires=_here(VGG16, LPIPS_VGG),
    ),
    Metric(
        "expression_error_arkit",
        "AED (arkit, mean of 52)",
        "",
        "low",
        "motion",
        "Mean absolute difference of 52 ARKit weights, tracked by MediaPipe on the result, to those asked for.",
    ),
    Metric(
        "pose_error_deg",
        "APD (geodesic)",
        "deg",
        "low",
        "motion",
        "Angle between the head's rotation, tracked by MediaPipe on the result, and that asked for.",
    ),
    Metric(
        "landmark_distance_percent",
        "AKD (478 points)",
        "% of face height",
        "low",
        "truth",
        "Mean distance of MediaPipe's landmarks on result and truth.",
    ),
    Metric(
        "lip_distance_percent",
        "LMD (lips)",
        "% of face height",
        "low",
        "truth",
        "As AKD for the lips, their centres laid upon each other (Chen et al. 2018).",
    ),
    Metric(
        "opening_correlation",
        "lip opening, correlation",
        "",
        "high",
        "motion",
        "Over all frames: correlation of the inner lips' distance with the driver's; 0 if they hardly move.",
    ),
    Metric(
        "identity_cosine_dlib",
        "CSIM (dlib)",
        "",
        "high",
        "nothing",
        "Cosine of dlib's face embeddings of result and source; flatters models that were trained with them.",
        requires=_dlib,
    ),
    Metric(
        "identity_cosine_arcface",
        "CSIM (ArcFace r50)",
        "",
        "high",
        "nothing",
        "Cosine of ArcFace's embeddings of result and source.",
        requires=_arcface,
    ),
    Metric(
        "cpbd",
        "CPBD",
        "",
        "high",
        "nothing",
        "Share of edges whose blur nobody would notice (Narvekar and Karam 2011).",
    ),
    Metric(
        "landmark_jitter_percent",
        "jitter",
        "% of face height",
        "low",
        "nothing",
        "Mean second difference over time of the landmarks; real motion has some, a still none.",
    ),
    Metric(
        "flicker",
        "flicker",
        "levels",
        "low",
        "nothing",
        "Mean second difference over time of brightness at 32 x 32; a still has none.",
    ),
    Metric(
        "unevenness_lite0",
        "largest : mean step",
        "",
        "low",
        "steps",
        "Of the perceptual distances (EfficientNet-Lite0) between neighbours of an in-between; 1 is even.",
        requires=_lite0,
    ),
    Metric(
        "frechet_lite0",
        "Fréchet (EfficientNet-Lite0)",
        "",
        "low",
        "nothing",
        "Of all results to all true pictures (to the sources' clips where there is no truth); not FID.",
        sets=True,
        requires=_lite0,
    ),
    Metric(
        "fid",
        "FID (Inception)",
        "",
        "low",
        "nothing",
        "Heusel et al. 2017, resized as torch-fidelity does; far too high below thousands of pictures.",
        sets=True,
        requires=_here(FID_INCEPTION),
    ),
    Metric(
        "av_confidence",
        "AVConf (SyncNet)",
        "",
        "high",
        "sound",
        "Chung and Zisserman 2016, on the written video with the driver's sound.",
        requires=_syncnet,
    ),
)
