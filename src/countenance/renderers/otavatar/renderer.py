"""Enroll by inversion; render: a motion code moves the identity code, planes are made of both, rays see them."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from countenance.arrays import Floats, Image
from countenance.errors import BadValue, MotionSpaceMismatch, WeightsDamaged, WeightsMissing
from countenance.motion.sequence import Motion
from countenance.portrait.portrait import Portrait
from countenance.renderers.openvino_engine import openvino_wanted
from countenance.renderers.otavatar import SPECS
from countenance.renderers.otavatar.avatar import OTAvatarAvatar, identities_between
from countenance.renderers.otavatar.camera import CAMERA_NUMBERS, corrected, head_placements, motion_cameras
from countenance.renderers.otavatar.config import (
    AnimatorConfig,
    InversionConfig,
    LossConfig,
    our_losses,
    ours,
    paper,
    patient,
)
from countenance.renderers.otavatar.drawing import Drawing
from countenance.renderers.otavatar.inversion import INTRINSICS, Code, Progress, invert
from countenance.renderers.otavatar.locality import expressions_beside
from countenance.renderers.otavatar.network import MODEL, Animator
from countenance.renderers.otavatar.objective import AnimationLoss, Moments, ibug_landmarks, load_objective
from countenance.renderers.otavatar.tuning import Tuned, tune
from countenance.renderers.otavatar.view import View
from countenance.renderers.spec import RendererSpec, spec_of_file
from countenance.timing import stage
from countenance.weights.assets import assets_folder
from countenance.weights.weight_files import built, config_from, read_weights

_WHERE = (
    "get the checkpoint of OTAvatar's authors from github.com/theEricMa/OTAvatar and run: "
    "countenance convert FILE.pt -o {path} --from otavatar; or give a file of your own: --model FILE.safetensors"
)
_SHIPPED = Path(__file__).with_name("otavatar-lite.safetensors")
_LEAST_SHARE = 3 / 8  # of the drawn picture's side, that the square round the face should have in the photo
_FRONTAL_DEG = 30.0  # yaw up to which both cheeks are seen, and about what the training people show
_OURS = "an OTAvatar of your own training: a head in 3D from one photo, seen from any side"
_MOST_GENERATORS = 6  # of people whose own one is kept, so that a group is drawn in turn


class OTAvatarRenderer:
    """See :class:`countenance.renderers.renderer.Renderer`.

    Args:
        animator: with its weights.
        spec: name and needs.
        device: where it runs.
        inversion: how portraits are enrolled.
        losses: what counts in it.
        seed: of it.

    Attributes:
        progress: told how far an inversion is, which takes minutes.
    """

    def __init__(
        self,
        animator: Animator,
        spec: RendererSpec,
        device: str = "cpu",
        inversion: InversionConfig | None = None,
        losses: LossConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.network = animator.eval().requires_grad_(False).to(device)
        self._spec, self._device, self._seed = spec, torch.device(device), seed
        small = animator.config.motion_space == "arkit"  # of our training, as the authors' are in "bfm"
        self.inversion = inversion or (ours() if small else patient())
        self._losses = losses or (
            our_losses() if small else replace(paper().losses, pixel=LossConfig().pixel)
        )
        self._backbone = "efficientnet-lite0" if small else None
        self._drawing = Drawing(animator, compiled=openvino_wanted(self._device))
        self._own: dict[int, tuple[Mapping[str, Floats], Drawing]] = {}
        self.progress: Progress = lambda step, steps, loss: None

    @property
    def spec(self) -> RendererSpec:
        """Name and needs."""
        return self._spec

    @property
    def config(self) -> AnimatorConfig:
        """Sizes of its networks."""
        return self.network.config

    @cached_property
    def objective(self) -> AnimationLoss:
        """What an inversion makes small; on first use, as it reads weights."""
        return load_objective(self._losses, self.config, self._backbone).to(self._device)

    @cached_property
    def fingerprint(self) -> Image:
        """(32,) uint8: SHA-256 of weights that every code of this network depends on."""
        parts = (self.network.mean_code, self.network.controller.codebook)
        numbers = b"".join(part.detach().cpu().numpy().tobytes() for part in parts)
        return np.frombuffer(hashlib.sha256(numbers).digest(), np.uint8).copy()

    def enroll(self, portrait: Portrait) -> OTAvatarAvatar:
        """Find the portrait's identity code (Eq. 9): an optimisation, minutes long at the published size.

        Raises:
            MotionSpaceMismatch: the portrait was tracked in another space.
            InversionDiverged: no code was found.
        """
        self._expect(portrait.motion)
        side = self.config.size
        picture = torch.from_numpy(portrait.crop.cut(portrait.image, side)).permute(2, 0, 1)[None]
        own = portrait.motion[0]
        landmarks = ibug_landmarks(portrait.landmarks_in_crop_px, portrait.crop.side)
        given = (own.descriptor().copy(), motion_cameras(own), landmarks[None])
        moments = Moments(
            (picture.float() / 127.5 - 1).to(self._device),
            *(torch.from_numpy(array).to(self._device) for array in given),
        )
        found, tuned = self._learnt(moments, own)
        correction = torch.cat([found.intrinsics, found.rotation], 1)[0].cpu().numpy()
        code = found.identity[0].cpu().numpy()
        # As they are saved, in half precision, so that a file gives the same pictures.
        own_weights = {name: weight.half().float().cpu().numpy() for name, weight in tuned.items()}
        return OTAvatarAvatar(
            code, correction, self.fingerprint, portrait.square, own, portrait.crop, own_weights
        )

    def shortcomings(self, portrait: Portrait) -> list[str]:
        """Why a photo's head will be a poor one, and what to do about it; nothing for a good photo."""
        side, least = portrait.crop.side, round(self.config.size * _LEAST_SHARE)
        turn = abs(float(np.degrees(portrait.motion["yaw"][0])))
        found = []
        if side < least:
            small = f"the square round the face is {side} px wide, and the head will be blurred"
            found.append(f"{small}; take a photo in which it has {least} or more")
        if turn > _FRONTAL_DEG:
            turned = f"the head is turned by {turn:.0f} degrees, and its far side will be a guess"
            found.append(f"{turned}; take a photo from the front")
        return found

    def _learnt(self, moments: Moments, motion: Motion) -> tuple[Code, Tuned]:
        """The code, and what was tuned of the generator."""
        config, expressions = self.inversion, None
        if config.locality:
            expressions = torch.from_numpy(expressions_beside(motion, seed=self._seed)).to(self._device)
        before = config.steps_w + config.steps_w_plus
        steps = before + config.tune_steps
        with torch.enable_grad():
            code = invert(
                self.network,
                self.objective,
                moments,
                config,
                seed=self._seed,
                progress=lambda step, _, loss: self.progress(step, steps, loss),
            ).code
            if not config.tune_steps:
                return code, {}
            return code, tune(
                self.network,
                self.objective,
                moments,
                code,
                config,
                expressions=expressions,
                seed=self._seed,
                progress=lambda step, _, loss: self.progress(before + step, steps, loss),
            )

    def load_avatar(self, path: Path) -> OTAvatarAvatar:
        """Read a saved avatar.

        Raises:
            WeightsDamaged: no avatar, or one of another network.
        """
        avatar = OTAvatarAvatar.load(path)
        self._expect(avatar.motion)
        named = {name: tuple(weight.shape) for name, weight in self.network.generator.named_parameters()}
        fits = all(named.get(name) == weight.shape for name, weight in avatar.tuned.items())
        if not (fits and np.array_equal(avatar.network, self.fingerprint)):
            raise WeightsDamaged(path, "it belongs to other weights", "enroll the portrait again")
        return avatar

    def render(self, avatar: OTAvatarAvatar, motion: Motion) -> Iterator[Image]:
        """Pictures of the crop, from the cameras that the motion's pose says; see ``Renderer``."""
        self._expect(motion)
        return _pictures(self._views(repeat(avatar), motion, motion_cameras(motion)))

    def placements(self, motion: Motion) -> Floats:
        """Where the head is in the picture's plane; see ``DrawsSurroundings``."""
        return head_placements(motion_cameras(motion))

    def render_view(self, avatar: OTAvatarAvatar, motion: Motion, cameras: Floats) -> Iterator[Image]:
        """Pictures from cameras of your choice, such as those of :func:`camera.turning_cameras`.

        Arguments and errors are those of :meth:`render_with_depth`.
        """
        return _pictures(self.render_with_depth(avatar, motion, cameras))

    def render_with_depth(self, avatar: OTAvatarAvatar, motion: Motion, cameras: Floats) -> Iterator[View]:
        """The same with depth, which rays give anyway.

        While the motion stands still, planes are made once.

        Args:
            avatar: the person.
            motion: one frame, which is held, or one for each camera.
            cameras: (T, 25). The avatar's correction is applied to them.

        Raises:
            MotionSpaceMismatch: as :meth:`render`.
            BadValue: the numbers of frames differ, or what was given are no cameras.
        """
        self._expect(motion)
        given = np.asarray(cameras, np.float32)
        if given.ndim != 2 or given.shape[1] != CAMERA_NUMBERS or not np.isfinite(given).all():
            raise BadValue(f"cameras have shape {given.shape}; give finite numbers (T, {CAMERA_NUMBERS})")
        if len(motion) not in (1, len(given)):
            raise BadValue(f"{len(given)} cameras can't see {len(motion)} frames; give one frame or as many")
        return self._views(repeat(avatar), motion, given)

    def render_morph(
        self, first: OTAvatarAvatar, second: OTAvatarAvatar, shares: Floats, motion: Motion
    ) -> Iterator[Image]:
        """People between two (Eq. 15), in the crop of the first, from the cameras that the motion's pose says.

        Args:
            first: a.
            second: b.
            shares: (T,) alpha; 1 is the first person, 0 the second.
            motion: one frame, which is held, or one for each share.

        Raises:
            MotionSpaceMismatch: as :meth:`render`.
            BadValue: the numbers of frames differ.
        """
        self._expect(motion)
        if len(motion) not in (1, len(shares)):
            raise BadValue(f"{len(shares)} people can't have {len(motion)} frames; give one frame or as many")
        between = lru_cache(1)(lambda share: identities_between(first, second, share))
        people = (between(float(share)) for share in shares)
        cameras = np.repeat(motion_cameras(motion), len(shares) // len(motion), 0)
        return _pictures(self._views(people, motion, cameras, alike=1))

    def _views(
        self,
        people: Iterable[OTAvatarAvatar],
        motion: Motion,
        cameras: Floats,
        alike: int | None = None,
    ) -> Iterator[View]:
        """One person a camera; ``alike``: pictures that one generator draws, all of them if None."""
        windows, count = motion.descriptor(), len(cameras)
        alike = count if alike is None else alike
        for number, person in zip(range(count), people, strict=False):
            window = windows[min(number, len(windows) - 1)].copy()
            with torch.inference_mode():
                with stage("network"):
                    identity = torch.from_numpy(person.code)[None].to(self._device)
                    ws = self.network.ws(identity, torch.from_numpy(window)[None].to(self._device))
                    camera = self.corrected_cameras(person, cameras[number : number + 1])
                    image, rendered = self._drawing_of(person).picture(ws, camera, alike)
                with stage("compositing"):
                    view = View(_as_bytes(image, person.crop.side), rendered.depth[0, 0].cpu().numpy())
            yield view

    def _drawing_of(self, person: OTAvatarAvatar) -> Drawing:
        """With the person's own generator; those of the last few people are kept."""
        if not person.tuned:
            return self._drawing
        key = id(person.tuned)
        if key not in self._own:
            animator = copy.deepcopy(self.network)
            with torch.no_grad():
                weights = dict(animator.generator.named_parameters())
                for name, weight in person.tuned.items():
                    weights[name].copy_(torch.from_numpy(weight))
            if len(self._own) == _MOST_GENERATORS:
                self._own.pop(next(iter(self._own)))
            self._own[key] = person.tuned, Drawing(animator, compiled=openvino_wanted(self._device))
        return self._own[key][1]

    def corrected_cameras(self, avatar: OTAvatarAvatar, cameras: Floats) -> Tensor:
        """Cameras (N, 25) as pictures are drawn with them: with what the inversion found, if it corrects them."""
        given = torch.from_numpy(cameras).to(self._device)
        if self.inversion.camera is None:
            return given
        correction = torch.from_numpy(avatar.correction).to(self._device).expand(len(given), -1)
        turned = correction[:, INTRINSICS:] if self.inversion.correct_rotation else None
        return corrected(given, correction[:, :INTRINSICS], turned)

    def _expect(self, motion: Motion) -> None:
        if motion.space.name != self.config.motion_space:
            raise MotionSpaceMismatch(
                motion.space.name, self.config.motion_space, f"model '{self._spec.name}'"
            )


def _pictures(views: Iterator[View]) -> Iterator[Image]:
    return (view.picture for view in views)


def _as_bytes(image: Tensor, side: int) -> Image:
    """(1, 3, S, S) about [-1, 1] to side x side x 3."""
    levels = ((image[0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    picture = np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())
    if picture.shape[0] == side:
        return picture
    how = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)


def load(name: str = "otavatar-lite", device: str = "cpu") -> OTAvatarRenderer:
    """For the catalogue.

    Raises:
        WeightsMissing: the authors' checkpoint was not converted yet.
    """
    spec = next(spec for spec in SPECS if spec.name == name)
    path = _SHIPPED if name == "otavatar-lite" else assets_folder() / "otavatar.safetensors"
    if not path.is_file():
        raise WeightsMissing(name, _WHERE.format(path=path))
    return from_file(path, spec, device)


def from_file(path: Path, spec: RendererSpec | None = None, device: str = "cpu") -> OTAvatarRenderer:
    """A renderer of any file of OTAvatar's weights.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: damaged, of another model, or of networks that do not fit each other.
    """
    file = read_weights(path, MODEL)
    config = config_from(file, AnimatorConfig, path)
    try:
        config.expect_fit()
    except BadValue as error:
        raise WeightsDamaged(path, str(error), "convert the authors' whole checkpoint") from error
    animator = built(lambda: Animator(config), file.tensors, path)
    if spec is None:
        lite, published = SPECS
        spec = spec_of_file(file, published, path)
        if config.motion_space == lite.motion_space:
            spec = replace(spec_of_file(file, lite, path), summary=_OURS, licence="of the file")
    return OTAvatarRenderer(animator, spec, device)
