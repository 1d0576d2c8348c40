"""Decoupling by inverting (Sec. 3.2, Algorithm 1, lines 3 to 14): the inner loop of training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.distributed as processes
from torch import Tensor, nn

from countenance.generators.eg3d.density_losses import (
    Density,
    monotonic_loss,
    scene_points,
    total_variation_loss,
)
from countenance.renderers.otavatar.config import LossConfig, TrainingConfig
from countenance.renderers.otavatar.controller import MotionController
from countenance.renderers.otavatar.inversion import Code, IdentitySteps, Matching, optimiser
from countenance.renderers.otavatar.network import Look


class Decoupled(NamedTuple):
    """What the inner loop has found.

    Attributes:
        code: of every person of the batch, in W.
        controller: theta_c, which continues from Theta_c.
        losses: of the small picture, before each step.
    """

    code: Code
    controller: MotionController
    losses: list[Tensor]


def decouple(matching: Matching, config: TrainingConfig) -> Decoupled:
    """N_id steps of identity codes with the controller held still, then N_mo of it with the codes held still.

    Nothing of the animator changes: theta_c is a copy. Its optimiser begins anew, as theta_c does in line 4.

    Args:
        matching: source and driving frames of N people, all sources first.
        config: steps and optimisers.
    """
    people = len(matching.moments.windows) // 2
    controller = copy.deepcopy(matching.animator.controller)
    large_from = config.steps - config.large_steps
    losses = list[Tensor]()
    with held_still(matching.animator.generator), held_still(controller):
        learner = IdentitySteps(Code.mean(matching.animator, people), matching.animator, config.inversion)
        for step in range(config.identity_steps):
            loss, small = matching.losses(learner.code, controller, large=step >= large_from)
            learner.step(loss)
            losses.append(small.detach())
    code = learner.code.detached()
    controller.requires_grad_()
    learnt = list(controller.parameters())
    adam = optimiser(learnt, config.controller_optimiser)
    with held_still(matching.animator.generator):
        for step in range(config.identity_steps, config.steps):
            loss, small = matching.losses(
                code, controller, large=step >= large_from, look=density_look(matching, config.losses)
            )
            if config.losses.controller_l1:
                magnitudes = torch.stack([parameter.abs().sum() for parameter in learnt]).sum()
                loss = loss + config.losses.controller_l1 * magnitudes
            for parameter, gradient in zip(learnt, torch.autograd.grad(loss, learnt), strict=True):
                parameter.grad = gradient
            if config.controller_optimiser.clip:
                torch.nn.utils.clip_grad_norm_(learnt, config.controller_optimiser.clip)
            adam.step()
            losses.append(small.detach())
    return Decoupled(code, controller.requires_grad_(False), losses)


def density_look(matching: Matching, config: LossConfig) -> Look:
    """Monotonic and total variation loss at fresh random points of every scene."""
    animator, scenes = matching.animator, len(matching.moments.cameras)
    shape = (scenes, config.density_points, 3)
    points, normal = (
        draw(shape, generator=matching.numbers).to(matching.moments.cameras)
        for draw in (torch.rand, torch.randn)
    )
    points = scene_points(points)

    def look(density: Density) -> dict[str, Tensor]:
        terms = {}
        if config.monotonic:
            loss = monotonic_loss(density, points, animator.config.generator.box_warp)
            terms["monotonic"] = config.monotonic * loss
        if config.total_variation:
            loss = total_variation_loss(
                density, points, normal, distance=config.density_distance, weight=config.density_weight
            )
            terms["variation"] = config.total_variation * loss
        return terms

    return look


@contextmanager
def held_still(module: nn.Module) -> Iterator[None]:
    """No parameter of a module asks for gradients meanwhile."""
    asking = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in asking:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_()


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, decay: float) -> None:
    """Theta_c <- beta Theta_c + (1 - beta) theta_c (line 17)."""
    for average, now in zip(slow.parameters(), fast.parameters(), strict=True):
        average.lerp_(now, 1 - decay)


@torch.no_grad()
def average_over_processes(module: nn.Module) -> None:
    """Each process has learnt from other people; Theta_c must stay the same in all. To be called in all of them."""
    if not (processes.is_available() and processes.is_initialized()):
        return
    for parameter in module.parameters():
        processes.all_reduce(parameter.data)
        parameter.data /= processes.get_world_size()
