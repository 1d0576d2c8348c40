"""The training loop, for all models: one visible loop; Lightning Fabric carries it to devices and processes."""

from __future__ import annotations

import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from countenance.atomic import make_folder
from countenance.data.dataset import Dataset
from countenance.errors import BadValue, DependencyMissing, TrainingDiverged
from countenance.training.board import Board, board
from countenance.training.checkpoint import LAST, load_checkpoint, restore_rng, rng_state, save_checkpoint
from countenance.training.recipe import Batch, LoopConfig, Recipe, Sampler, Shown
from countenance.weights.weight_files import fill, read_weights

WEIGHTS = "weights.safetensors"
_STOPPING = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Outcome:
    """How a call of :func:`train` ended.

    Attributes:
        step: updates made in all, over all calls.
        minutes: of training in all.
        finished: all steps of the recipe are made; False: the time was up, or it was interrupted.
        weights: the exported file.
        figures: the last ones logged.
    """

    step: int
    minutes: float
    finished: bool
    weights: Path
    figures: dict[str, float]


class _Steps(TorchDataset[Batch]):
    """Batch number i of this process. An item depends on its number alone, so a resumed run sees the same ones."""

    def __init__(self, recipe: Recipe, sampler: Sampler, items: int, rank: int, world: int) -> None:
        self.recipe, self.sampler, self.items, self.rank, self.world = recipe, sampler, items, rank, world

    def __getitem__(self, index: int) -> Batch:
        first = (index * self.world + self.rank) * self.items
        return self.recipe.batch([self.sampler[first + k] for k in range(self.items)])


def train(
    recipe: Recipe,
    data: Path,
    run: Path,
    *,
    init: Path | None = None,
    max_minutes: float | None = None,
    devices: int = 1,
    accelerator: str = "auto",
    report: Report = lambda step, figures: None,
) -> Outcome:
    """Train, or go on with a run; leaves ``last.pt``, ``weights.safetensors`` and TensorBoard files in ``run``.

    Args:
        recipe: of the model.
        data: a prepared dataset.
        run: folder of the run; made if need be. A ``last.pt`` in it is resumed.
        init: weights to start from, exported by a run of the same network; not used when a run is resumed.
        max_minutes: stop after this time; the run can be resumed.
        devices: processes; on CPUs they talk through gloo.
        accelerator: "auto", "cpu", "cuda" or "mps".
        report: told the figures every ``log_every`` steps.

    Raises:
        DatasetUnreadable: no dataset.
        MotionSpaceMismatch: the dataset is of another motion space than the recipe.
        BadValue: it lacks something else that the recipe needs.
        DependencyMissing: Lightning Fabric or TensorBoard.
        WeightsDamaged: ``last.pt`` or ``init`` is damaged, or of another network.
        OutputUnwritable: ``run`` can't be written, or the disk is full; the last checkpoint is as it was.
        TrainingDiverged: the loss is not finite.
    """
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        from countenance.training.precision import precision_plugin
    except ImportError:
        raise DependencyMissing("lightning-fabric", "train", "training") from None
    strategy = DDPStrategy(find_unused_parameters=True) if devices > 1 else "auto"
    precision = precision_plugin(recipe.loop.precision, accelerator)
    fabric = Fabric(accelerator=accelerator, devices=devices, strategy=strategy, plugins=[precision])
    fabric.launch()
    before = torch.get_num_threads()
    torch.set_num_threads(recipe.loop.threads or before)
    try:
        return _Run(fabric, recipe, data, run, init, report).go(max_minutes)
    finally:
        torch.set_num_threads(before)


class _Run:
    """The objects of one run, made in the order in which they need each other."""

    def __init__(
        self, fabric: Any, recipe: Recipe, data: Path, run: Path, init: Path | None, report: Report
    ) -> None:
        loop = recipe.loop
        self.fabric, self.recipe, self.loop, self.report = fabric, recipe, loop, report
        self.folder = run
        if recipe.adversary is not None and loop.precision == "16-mixed":
            raise BadValue(
                "16-mixed can't scale the gradients of two networks; train with precision bf16-mixed"
            )
        if fabric.is_global_zero:
            make_folder(run)
        torch.manual_seed(loop.seed)
        dataset = Dataset(data, "train", loop.memory_gb)
        self.crop_scale = dataset.manifest.crop_scale
        network = recipe.build(dataset)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if init is not None and not (run / LAST).is_file():
            fill(network, read_weights(init).tensors, init)
        recipe.constrain(network)
        optimizer = torch.optim.Adam(_groups(network), lr=loop.learning_rate, betas=loop.betas)
        self.ema = copy.deepcopy(network).eval().requires_grad_(False).to(fabric.device)
        self.network, self.optimizer = fabric.setup(network, optimizer)
        self.critic = self._critic()
        self.step, self.minutes, self.figures = 0, 0.0, dict[str, float]()
        if (run / LAST).is_file():
            self._restore()
        self.batches = self._batches(dataset)

    def go(self, max_minutes: float | None) -> Outcome:
        """Train until the steps or the minutes are used up, or a signal comes."""
        began, before = time.monotonic(), self.minutes
        sums, first = dict[str, float](), self.step
        with _interruptible() as interrupted, self._board() as shown:
            while self.step < self.loop.steps and not self._all(interrupted):
                rate = learning_rate(self.loop, self.step)
                for number, (_, optimizer) in enumerate(self._trained()):
                    for group in optimizer.param_groups:
                        group["lr"] = rate * (self.loop.critic_rate if number else group.get("share", 1))
                losses, batch = self._update()
                self.step += 1
                self.minutes = before + (time.monotonic() - began) / 60
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value
                if self.step % self.loop.log_every == 0:
                    self.figures = {name: total / (self.step - first) for name, total in sums.items()}
                    self._log(shown, rate)
                    sums, first = {}, self.step
                if self.step % self.loop.sheet_every == 0 and shown is not None:
                    shown.picture("sheet", self.recipe.sheet(self.ema, batch), self.step)
                if self.step % self.loop.save_every == 0:
                    self._save()
                if max_minutes is not None and self._all([(time.monotonic() - began) / 60 >= max_minutes]):
                    break
        weights = self._save()
        return Outcome(self.step, self.minutes, self.step >= self.loop.steps, weights, self.figures)

    def _update(self) -> tuple[dict[str, float], Batch]:
        """One step: forward, backward, Adam, moving average."""
        self.network.train()
        totals: dict[str, float] = {}
        for part in range(self.loop.accumulate):
            batch = self.fabric.to_device(next(self.batches))
            last = part == self.loop.accumulate - 1
            with self.fabric.no_backward_sync(self.network, enabled=not last):
                terms = self._backward(batch, last)
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + value / self.loop.accumulate
        for module, optimizer in self._trained():
            if self.loop.clip:
                self.fabric.clip_gradients(module, optimizer, max_norm=self.loop.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for average, now in zip(self.ema.parameters(), self.network.module.parameters(), strict=True):
                average.lerp_(now, 1 - self.loop.ema_decay)
            for kept, now in zip(self.ema.buffers(), self.network.module.buffers(), strict=True):
                kept.copy_(now)  # of batch norms, which average by themselves
        return totals, batch

    def _backward(self, batch: Batch, last: bool) -> dict[str, float]:
        """Gradients of the network, and of its critic on the same pictures."""
        critic = None if self.critic is None else self.critic[0]
        if critic is not None:
            critic.requires_grad_(False)
        losses = self.recipe.losses(self.network, batch, self.step, getattr(critic, "module", None))
        terms = {name: float(value.detach()) for name, value in losses.terms.items()}
        self._finite(losses.terms["total"])
        self.fabric.backward(losses.terms["total"] / self.loop.accumulate)
        adversary = self.recipe.adversary
        if (
            adversary is not None
            and critic is not None
            and losses.real is not None
            and losses.fake is not None
        ):
            critic.requires_grad_(True)
            with self.fabric.no_backward_sync(critic, enabled=not last):
                loss = adversary.loss(critic, losses.real, _detached(losses.fake), self.step)
                terms["critic"] = self._finite(loss)
                self.fabric.backward(loss / self.loop.accumulate)
        return terms

    def _finite(self, loss: Tensor) -> float:
        """Its value, checked before backward, which crashes on sampling at NaN and would spoil the weights."""
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingDiverged(self.step, value, self.folder / LAST)
        return value

    def _critic(self) -> tuple[Any, Any] | None:
        """The critic and its optimiser, which follows the network's schedule."""
        if self.recipe.adversary is None:
            return None
        critic = self.recipe.adversary.build().train()
        optimizer = torch.optim.Adam(critic.parameters(), lr=self.loop.learning_rate, betas=self.loop.betas)
        critic, optimizer = self.fabric.setup(critic, optimizer)
        return critic, optimizer

    def _trained(self) -> list[tuple[Any, Any]]:
        """Everything that is optimised, with its optimiser."""
        return [(self.network, self.optimizer), *([self.critic] if self.critic else [])]

    def _batches(self, dataset: Dataset) -> Iterator[Batch]:
        loop, fabric = self.loop, self.fabric
        items = loop.batch_size // self.recipe.item_size // loop.accumulate // fabric.world_size
        if items < 1:
            raise BadValue(f"batch_size {loop.batch_size} is too small for {fabric.world_size} devices")
        if (
            loop.workers
        ):  # a forked loader would wait for ever for OpenCV's threads, which it does not inherit
            cv2.setNumThreads(1)
        sampler = self.recipe.sampler(dataset)
        steps = _Steps(self.recipe, sampler, items, fabric.global_rank, fabric.world_size)
        first, end = self.step * loop.accumulate, loop.steps * loop.accumulate
        loader = DataLoader(
            steps,
            batch_size=None,
            sampler=range(first, end),
            num_workers=loop.workers,
            pin_memory=fabric.device.type == "cuda",
            multiprocessing_context="fork" if loop.workers else None,
            worker_init_fn=_quiet_worker,
            generator=torch.Generator(),  # else it draws a number of ours, and a resumed run differs
        )
        return iter(loader)

    def _all(self, flags: list[bool]) -> bool:
        """True if it is so in any process, so that all stop at the same step."""
        if self.fabric.world_size == 1:
            return any(flags)
        here = torch.tensor(float(any(flags)), device=self.fabric.device)
        return bool(self.fabric.all_reduce(here, reduce_op="sum") > 0)

    def _log(self, shown: Board | None, rate: float) -> None:
        if shown is None:
            return
        losses = {f"loss/{name}": value for name, value in self.figures.items()}
        shown.scalars({**losses, "learning_rate": rate}, self.step)
        self.report(self.step, {**self.figures, "minutes": self.minutes})

    def _board(self) -> AbstractContextManager[Board | None]:
        """TensorBoard's in the first process, None in the others."""
        first = self.fabric.is_global_zero
        return board(self.folder / "tensorboard", self.step) if first else nullcontext()

    def _save(self) -> Path:
        weights = self.folder / WEIGHTS
        if self.fabric.is_global_zero:
            state = {
                "recipe": self.recipe.name,
                "step": self.step,
                "minutes": self.minutes,
                "network": self.network.module.state_dict(),
                "ema": self.ema.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                **rng_state(),
            }
            if self.critic is not None:
                critic, optimizer = self.critic
                state |= {"critic": critic.module.state_dict(), "critic_optimizer": optimizer.state_dict()}
            save_checkpoint(self.folder / LAST, state)
            notes = {
                "recipe": self.recipe.name,
                "steps": self.step,
                "minutes": round(self.minutes, 1),
                "crop_scale": self.crop_scale,
            }
            self.recipe.export(self.ema, weights, notes)
        self.fabric.barrier()
        return weights

    def _restore(self) -> None:
        path = self.folder / LAST
        state = load_checkpoint(path, self.recipe.name)
        self.step, self.minutes = state["step"], state["minutes"]
        fix = "it is of another version of countenance; start a new run in another folder"
        fill(self.network.module, state["network"], path, fix)
        fill(self.ema, state["ema"], path, fix)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.critic is not None:
            critic, optimizer = self.critic
            critic.module.load_state_dict(state["critic"])
            optimizer.load_state_dict(state["critic_optimizer"])
        restore_rng(state)


def learning_rate(loop: LoopConfig, step: int) -> float:
    """The rate at a step: multiplied by gamma at each milestone."""
    return loop.learning_rate * loop.gamma ** sum(step >= milestone for milestone in loop.milestones)


def _groups(network: torch.nn.Module) -> list[dict[str, Any]]:
    """Parameters for Adam, by the share of the learning rate that they take (``parameter.rate_share``, 1 without)."""
    groups: dict[float, list[Tensor]] = {}
    for parameter in network.parameters():
        groups.setdefault(getattr(parameter, "rate_share", 1.0), []).append(parameter)
    return [{"params": parameters, "share": share} for share, parameters in groups.items()]


def _detached(shown: Shown) -> Shown:
    if isinstance(shown, Tensor):
        return shown.detach()
    return {name: tensor.detach() for name, tensor in shown.items()}


@contextmanager
def _interruptible() -> Iterator[list[bool]]:
    """Ctrl-C, SIGTERM and SIGHUP let the step end, so that the state is saved; a second one stops at once."""
    interrupted = [False]
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def remember(number: int, frame: Any) -> None:
        if interrupted[0]:
            raise KeyboardInterrupt
        interrupted[0] = True

    heard = [number for number in _STOPPING if signal.getsignal(number) != signal.SIG_IGN]  # as nohup has it
    old = {number: signal.signal(number, remember) for number in heard}
    try:
        yield interrupted
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _quiet_worker(_: int) -> None:
    """Loaders leave signals, which may go to a whole group, to the main process, and use one thread each."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
