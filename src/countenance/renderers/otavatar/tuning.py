"""Pivotal tuning: the generator learns what no code can say about one portrait (Roich et al., "Pivotal Tuning", 2022).

OTAvatar's authors tried it and left it off: a generator that has seen 70 000 faces has a code for everybody. One that
knows a few dozen people has not.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from countenance.errors import InversionDiverged
from countenance.renderers.otavatar.config import InversionConfig
from countenance.renderers.otavatar.inversion import Code, Matching, Progress
from countenance.renderers.otavatar.network import Animator
from countenance.renderers.otavatar.objective import AnimationLoss, Moments

Tuned = dict[str, Tensor]
"""Weights of a generator, by name."""


def tune(
    animator: Animator,
    objective: AnimationLoss,
    moments: Moments,
    code: Code,
    config: InversionConfig,
    *,
    seed: int = 0,
    progress: Progress = lambda step, steps, loss: None,
) -> Tuned:
    """Steps of a copy of the generator with the code held still; the rate falls to 0 along a cosine.

    As with the code, a run that diverges begins anew with a lower rate.

    Args:
        animator: stays as it is.
        objective: L.
        moments: the frame whose code it is.
        code: the pivot.
        config: ``tune_steps`` and ``tune_rate``.
        seed: of the places of samples on rays.
        progress: see :data:`countenance.renderers.otavatar.inversion.Progress`.

    Raises:
        InversionDiverged: at the lowest rate, too.
    """
    rate = config.tune_rate
    for _ in range(config.retries + 1):
        tuned, losses = _tuned(animator, objective, moments, code, config, rate, seed, progress)
        if tuned is not None:
            return tuned
        tried, rate = rate, rate * config.retry_rate
    raise InversionDiverged(losses[-1], losses[0], tried)


def _tuned(
    animator: Animator,
    objective: AnimationLoss,
    moments: Moments,
    code: Code,
    config: InversionConfig,
    rate: float,
    seed: int,
    progress: Progress,
) -> tuple[Tuned | None, list[float]]:
    """One run and its losses; None where it diverged."""
    own = copy.deepcopy(animator)
    learnt = list(own.generator.requires_grad_().parameters())
    matching = Matching(own, objective, moments, config, torch.Generator().manual_seed(seed))
    adam = torch.optim.Adam(learnt, rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, config.tune_steps)
    losses = list[float]()
    for step in range(config.tune_steps):
        loss, _ = matching.losses(code, own.controller, large=True)
        losses.append(float(loss.detach()))
        if not losses[-1] <= config.most_rise * losses[0]:  # NaN, too
            return None, losses
        adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        adam.step()
        schedule.step()
        progress(step + 1, config.tune_steps, losses[-1])
    tuned = {name: weight.detach() for name, weight in own.generator.named_parameters()}
    finite = all(bool(torch.isfinite(weight).all()) for weight in tuned.values())
    return (tuned if finite else None), losses
