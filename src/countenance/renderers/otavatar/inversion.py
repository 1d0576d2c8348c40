"""Inversion: an identity code for which the animator redraws given frames (Eq. 8, 9)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from countenance.errors import InversionDiverged
from countenance.generators.eg3d.rendering import Randomness
from countenance.renderers.otavatar.camera import beside, corrected
from countenance.renderers.otavatar.config import InversionConfig, OptimiserConfig
from countenance.renderers.otavatar.controller import MotionController, combined, within_reach
from countenance.renderers.otavatar.network import Animator, Drawn, Look
from countenance.renderers.otavatar.objective import AnimationLoss, Moments, Wanted, summed
from countenance.renderers.otavatar.relief import relief_loss

INTRINSICS = 18
"""Numbers of the camera's correction, see :func:`countenance.renderers.otavatar.camera.corrected`."""
_ROTATION = 18
Progress = Callable[[int, int, float], None]
"""Told the step, their number, and the loss."""


class Code(NamedTuple):
    """What is learnt of N people.

    Attributes:
        identity: w_id, (N, 1, code_width) in W or (N, codes, code_width) in W+.
        intrinsics: (N, 18), correction of the camera.
        rotation: (N, 18), the same of its rotation.
    """

    identity: Tensor
    intrinsics: Tensor
    rotation: Tensor

    @classmethod
    def mean(cls, animator: Animator, people: int) -> Code:
        """Where everybody starts: w_avg, and cameras as they are."""
        mean = animator.mean_code.detach()
        return cls(
            mean.repeat(people, 1, 1), mean.new_zeros(people, INTRINSICS), mean.new_zeros(people, _ROTATION)
        )

    def detached(self) -> Code:
        """Without gradients."""
        return Code(*(part.detach() for part in self))


class Matching:
    """Frames that are to be redrawn, and how far drawings are from them.

    Args:
        animator: draws; its generator is used as it is.
        objective: compares.
        moments: k N frames of N people, one after the other, k times over.
        config: of the correction of cameras and the bounds of codes.
        numbers: where samples of rays lie; torch's own if None.
    """

    def __init__(
        self,
        animator: Animator,
        objective: AnimationLoss,
        moments: Moments,
        config: InversionConfig,
        numbers: torch.Generator | None = None,
    ) -> None:
        self.animator, self.objective, self.moments = animator, objective, moments
        self.config, self.numbers = config, numbers
        self._wanted: dict[bool, Wanted] = {}

    def codes(self, code: Code, controller: MotionController) -> tuple[Tensor, Tensor]:
        """ws (kN, codes, code_width) within reach of the mean, and cameras (kN, 25), of every frame."""
        times = len(self.moments.windows) // len(code.identity)
        identity, intrinsics, rotation = (part.repeat(times, *[1] * (part.ndim - 1)) for part in code)
        ws = self.ws(identity, controller, self.moments.windows)
        turned = rotation if self.config.correct_rotation else None
        cameras = self.moments.cameras
        return ws, cameras if self.config.camera is None else corrected(cameras, intrinsics, turned)

    def ws(self, identity: Tensor, controller: MotionController, windows: Tensor) -> Tensor:
        """Codes (B, codes, code_width) of identities moved by windows (B, D, 27), within reach of the mean."""
        moved = combined(identity, controller(windows))
        return within_reach(moved, self.animator.mean_code, self.config.reach)

    def randomness(self) -> Randomness:
        """Fresh places of samples for every ray."""
        options, device = self.animator.config.generator, self.moments.cameras.device
        rays = options.neural_rendering_resolution**2
        jitter, importance = Randomness.drawn(len(self.moments.cameras), rays, options, self.numbers)
        return Randomness(
            jitter.to(device) if isinstance(jitter, Tensor) else jitter,
            importance.to(device) if importance is not None else None,
        )

    def beside(self) -> Tensor | None:
        """Fresh cameras from which the shape counts as well; None if it does not."""
        reach = self.objective.config.beside_rad
        return beside(self.moments.cameras, reach, self.numbers) if reach else None

    def terms(self, drawn: Drawn, cameras: Tensor) -> dict[str, Tensor]:
        """The loss's terms, of both sizes together, and of what was asked of the density."""
        found = [self.objective.terms(drawn.small, self.target(large=False)), drawn.looked]
        if drawn.large is not None:
            found.append(self.objective.terms(drawn.large, self.target(large=True)))
        return summed([*found, self._shape(drawn, cameras)])

    def losses(
        self, code: Code, controller: MotionController, *, large: bool, look: Look | None = None
    ) -> tuple[Tensor, Tensor]:
        """Of all frames: everything that is minimised, and the small picture's share of it."""
        ws, cameras = self.codes(code, controller)
        drawn = self.animator(ws, cameras, self.randomness(), enlarge=large, look=look, beside=self.beside())
        small = _total(self.objective.terms(drawn.small, self.target(large=False)).values())
        rest = [*drawn.looked.values(), *self._shape(drawn, cameras).values()]
        if drawn.large is not None:
            rest += self.objective.terms(drawn.large, self.target(large=True)).values()
        return small + _total(rest), small

    def _shape(self, drawn: Drawn, cameras: Tensor) -> dict[str, Tensor]:
        """Each of the two terms is the mean over the views."""
        config, terms = self.objective.config, dict[str, Tensor]()
        views = [(drawn.depth, drawn.distortion, cameras)]
        if drawn.beside is not None:
            seen = drawn.beside.seen
            views.append((seen.depth, seen.distortion, drawn.beside.cameras))
        if config.relief:
            off = [relief_loss(depth, camera) for depth, _, camera in views]
            terms["relief"] = config.relief * torch.stack(off).mean()
        if config.distortion:
            spread = [distortion.mean() for _, distortion, _ in views]
            terms["distortion"] = config.distortion * torch.stack(spread).mean()
        return terms

    def target(self, *, large: bool) -> Wanted:
        """What the small or the large pictures are compared with."""
        if large not in self._wanted:
            sizes = self.animator.config
            side = sizes.size if large else sizes.generator.neural_rendering_resolution
            self._wanted[large] = self.objective.wanted(self.moments, side, large=large)
        return self._wanted[large]


class IdentitySteps:
    """Steps of the identity code and the camera's correction; no gradient reaches anything else.

    Args:
        start: where the code begins; how it differs from the mean code must lie within the animator's ``spread``.
        animator: knows how people's codes spread.
        config: optimisers.
        rate: the identity's learning rate, if other than the configuration's.
    """

    def __init__(
        self, start: Code, animator: Animator, config: InversionConfig, rate: float | None = None
    ) -> None:
        self._mean, self._spread = animator.mean_code.detach(), animator.spread
        offset = start.identity.detach() - self._mean
        self._coordinates = (offset @ torch.linalg.pinv(self._spread)).requires_grad_()
        camera = [part.detach().clone().requires_grad_() for part in (start.intrinsics, start.rotation)]
        self._intrinsics, self._rotation = camera
        self._clip, self._ridge = config.identity.clip, config.ridge
        self._optimisers = [optimiser([self._coordinates], config.identity, rate)]
        self._learnt = [self._coordinates]
        if config.camera is not None:
            corrected_too = camera if config.correct_rotation else camera[:1]
            self._optimisers.append(optimiser(corrected_too, config.camera))
            self._learnt += corrected_too

    @property
    def code(self) -> Code:
        """As it is now; a loss of it has gradients for :meth:`step`."""
        return Code(self._mean + self._coordinates @ self._spread, self._intrinsics, self._rotation)

    def step(self, loss: Tensor) -> None:
        """Go down the gradient of a loss of :attr:`code`, and of the ridge."""
        if self._ridge:
            loss = loss + self._ridge * self._coordinates.square().mean()
        for number, gradient in zip(self._learnt, torch.autograd.grad(loss, self._learnt), strict=True):
            number.grad = gradient
        if self._clip:
            torch.nn.utils.clip_grad_norm_([self._coordinates], self._clip)
        for each in self._optimisers:
            each.step()


def optimiser(
    parameters: Sequence[Tensor], config: OptimiserConfig, rate: float | None = None
) -> torch.optim.Optimizer:
    """Adam or AdamW with these settings."""
    kind = torch.optim.AdamW if config.kind == "adamw" else torch.optim.Adam
    chosen = config.learning_rate if rate is None else rate
    return kind(list(parameters), lr=chosen, betas=config.betas, weight_decay=config.weight_decay)


class Inverted(NamedTuple):
    """The result of an inversion.

    Attributes:
        code: of one person, in W+.
        losses: of the small picture, before every step.
        rate: the learning rate that was used.
    """

    code: Code
    losses: tuple[float, ...]
    rate: float


class _Divergence(Exception):
    def __init__(self, loss: float, start: float) -> None:
        super().__init__(loss, start)
        self.loss, self.start = loss, start


def invert(
    animator: Animator,
    objective: AnimationLoss,
    moments: Moments,
    config: InversionConfig,
    *,
    seed: int = 0,
    progress: Progress = lambda step, steps, loss: None,
) -> Inverted:
    """One portrait to an identity code (Eq. 9): in W, then in W+ with fresh optimisers (Sec. 4.1).

    A run that diverges begins anew with a lower rate. The same seed gives the same code.

    Args:
        animator: without gradients of its own.
        objective: L.
        moments: one frame.
        config: steps, rates, and when to stop or to give up.
        seed: of the places of samples on rays.
        progress: see :data:`Progress`.

    Raises:
        InversionDiverged: at the lowest rate, too.
    """
    rate, trouble = config.identity.learning_rate, _Divergence(math.nan, math.nan)
    for _ in range(config.retries + 1):
        numbers = torch.Generator().manual_seed(seed)
        matching = Matching(animator, objective, moments, config, numbers)
        try:
            code, losses = _both_stages(matching, config, rate, progress)
            return Inverted(code, tuple(losses), rate)
        except _Divergence as divergence:
            trouble, tried, rate = divergence, rate, rate * config.retry_rate
    raise InversionDiverged(trouble.loss, trouble.start, tried)


def _both_stages(
    matching: Matching, config: InversionConfig, rate: float, progress: Progress
) -> tuple[Code, list[float]]:
    code, losses = Code.mean(matching.animator, 1), list[float]()
    total = config.steps_w + config.steps_w_plus
    code = _stage(
        matching, code, config.steps_w, config, rate, losses, lambda n, loss: progress(n, total, loss)
    )
    codes = matching.animator.config.controller.codes
    code = code._replace(identity=code.identity.repeat(1, codes, 1))
    first = config.steps_w
    code = _stage(
        matching,
        code,
        config.steps_w_plus,
        config,
        rate,
        losses,
        lambda n, loss: progress(first + n, total, loss),
    )
    return code, losses


def _stage(
    matching: Matching,
    start: Code,
    steps: int,
    config: InversionConfig,
    rate: float,
    losses: list[float],
    progress: Callable[[int, float], None],
) -> Code:
    """Steps in one space; the last ones look at the large picture too. Appends to ``losses``."""
    learner, controller = IdentitySteps(start, matching.animator, config, rate), matching.animator.controller
    last = max(steps - config.large_steps, 0)
    lowest, since, step = math.inf, 0, 0
    while step < steps:
        loss, small = matching.losses(learner.code, controller, large=step >= last)
        value = float(small.detach())
        losses.append(value)
        if not math.isfinite(float(loss.detach())) or value > config.most_rise * losses[0]:
            raise _Divergence(value, losses[0])
        learner.step(loss)
        step += 1
        since = 0 if value < lowest * (1 - config.least_gain) else since + 1
        lowest = min(lowest, value)
        if config.patience and since >= config.patience and step < last:
            step = last
        progress(step, value)
    if not all(bool(torch.isfinite(part).all()) for part in learner.code):
        raise _Divergence(math.nan, losses[0])
    return learner.code.detached()


def _total(terms: Iterable[Tensor]) -> Tensor:
    listed = list(terms)
    return torch.stack(listed).sum() if listed else torch.zeros(())
