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
from countenance.renderers.otavatar.locality import Locality
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
    expressions: Tensor | None = None,
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
        config: ``tune_steps``, ``tune_rate`` and ``locality``.
        expressions: (K, D, 27), with which the tuned generator is to move as before; None leaves locality out.
        seed: of the places of samples on rays.
        progress: see :data:`countenance.renderers.otavatar.inversion.Progress`.

    Raises:
        InversionDiverged: at the lowest rate, too.
    """
    rate = config.tune_rate
    for _ in range(config.retries + 1):
        numbers = torch.Generator().manual_seed(seed)
        matching = Matching(animator, objective, moments, config, numbers)
        kept = None
        if config.locality and expressions is not None:
            kept = Locality(matching, code, expressions)
        tuned, losses = _tuned(matching, code, rate, kept, progress)
        if tuned is not None:
            return tuned
        tried, rate = rate, rate * config.retry_rate
    raise InversionDiverged(losses[-1], losses[0], tried)


def _tuned(
    before: Matching, code: Code, rate: float, kept: Locality | None, progress: Progress
) -> tuple[Tuned | None, list[float]]:
    """One run and its losses; None where it diverged."""
    config, own = before.config, copy.deepcopy(before.animator)
    learnt = list(own.generator.requires_grad_().parameters())
    matching = Matching(own, before.objective, before.moments, config, before.numbers)
    with torch.no_grad():
        ws, cameras = matching.codes(code, own.controller)
    adam = torch.optim.Adam(learnt, rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, config.tune_steps)
    losses = list[float]()
    for step in range(config.tune_steps):
        drawn = own(ws, cameras, matching.randomness(), beside=matching.beside())
        loss = torch.stack(list(matching.terms(drawn, cameras).values())).sum()
        losses.append(float(loss.detach()))
        if not losses[-1] <= config.most_rise * losses[0]:  # NaN, too
            return None, losses
        if kept is not None:
            loss = loss + config.locality * kept.loss(own, drawn.table)
        adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        adam.step()
        schedule.step()
        progress(step + 1, config.tune_steps, losses[-1])
    tuned = {name: weight.detach() for name, weight in own.generator.named_parameters()}
    finite = all(bool(torch.isfinite(weight).all()) for weight in tuned.values())
    return (tuned if finite else None), losses
