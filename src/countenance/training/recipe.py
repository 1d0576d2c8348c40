"""What the training loop needs to know of a model: a typed configuration and a few functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from torch import Tensor, nn

from countenance.arrays import Image
from countenance.audio.features import FPS
from countenance.data.dataset import PARTS, Dataset
from countenance.data.pairs import Augmentation
from countenance.errors import BadValue, DatasetUnreadable, MotionSpaceMismatch

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Batch = Mapping[str, Tensor]
Shown = Tensor | Mapping[str, Tensor]
"""What a critic looks at: pictures (B, 3, H, W), or several tensors by name."""


@dataclass(frozen=True)
class LoopConfig:
    """Everything about training that is not the model."""

    steps: int
    """Updates of the weights in all."""
    batch_size: int = 20
    """Training samples an update, over all devices; a pair of frames makes two."""
    learning_rate: float = 1e-4
    """Of Adam, at the start."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Of Adam."""
    milestones: tuple[int, ...] = ()
    """Steps at which the learning rate is multiplied by ``gamma``."""
    gamma: float = 0.2
    """See ``milestones``."""
    critic_rate: float = 1.0
    """Learning rate of the critic, if there is one, over the network's."""
    ema_decay: float = 0.998
    """Share of the old value in each update of the moving average, whose weights are the result."""
    precision: Precision = "32-true"
    """Numbers in which the network computes; weights and optimiser are always float32."""
    accumulate: int = 1
    """Parts that a batch is computed in, to save memory."""
    clip: float = 0.0
    """Largest norm of the gradient; 0: no limit."""
    seed: int = 0
    """Of the initial weights and of the sequence of pairs."""
    workers: int = 1
    """Processes that load pairs; 0 loads them in the main one."""
    threads: int | None = None
    """Of a process that computes on a CPU; None: PyTorch's choice. Tiny networks only wait with more than one."""
    memory_gb: float = 8.0
    """Budget for decoded frames."""
    log_every: int = 50
    """Steps between two lines of figures."""
    save_every: int = 500
    """Steps between two checkpoints."""
    sheet_every: int = 1000
    """Steps between two sheets of pictures."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How far training pictures are changed."""

    def __post_init__(self) -> None:
        if self.batch_size < 2 or self.batch_size % (2 * self.accumulate):
            raise BadValue(
                f"batch_size is {self.batch_size}; it must be a multiple of {2 * self.accumulate}, as each pair "
                "of frames is used in both directions and the batch is computed in `accumulate` parts"
            )
        if self.steps < 1:
            raise BadValue(f"steps is {self.steps}; give 1 or more")


DEBUG_LOOP = LoopConfig(
    steps=4,
    batch_size=4,
    learning_rate=1e-3,
    log_every=1,
    save_every=2,
    sheet_every=2,
    workers=0,
    threads=1,
)
"""Of presets that take seconds, for tests."""


@dataclass(frozen=True)
class DatasetNeeds:
    """What a recipe can be trained on.

    Attributes:
        space: motion space.
        side: of the pictures in px, exactly; None: others do, too.
        least_side: of the pictures in px.
        multiple: of which the side is one, in px.
        frames: fewest of a clip; with ``speech`` at 25 a second.
        landmarks: the tracker's, of every clip.
        speech: clips in which somebody speaks; their pictures don't matter.
    """

    space: str
    side: int | None = None
    least_side: int = 1
    multiple: int = 1
    frames: int = 1
    landmarks: bool = False
    speech: bool = False

    def check(self, dataset: Dataset) -> None:
        """Refuse a dataset that lacks something.

        Raises:
            MotionSpaceMismatch: it is of another space.
            DatasetUnreadable: files are gone, or never were there, as landmarks of older releases.
            BadValue: anything else; says how to prepare it.
        """
        if dataset.space != self.space:
            raise MotionSpaceMismatch(dataset.space, self.space, "this recipe")
        if lack := self._lack(dataset):
            raise BadValue(f"the dataset {dataset.folder} {lack}; this recipe needs {self}")
        if not self.speech:
            self._expect_files(dataset)

    def _lack(self, dataset: Dataset) -> str | None:
        if self.speech:
            spoken = [clip for clip in dataset.clips if clip.speaks]
            longest = max((round(clip.frames / clip.fps * FPS) for clip in spoken), default=0)
            return (
                f"has no clip with sound of {self.frames} frames or more" if longest < self.frames else None
            )
        odd = dataset.size % self.multiple or dataset.size < self.least_side
        if odd or self.side not in (None, dataset.size):
            return f"has pictures that are {dataset.size} px wide (`countenance prepare --size`)"
        if max(clip.frames for clip in dataset.clips) < self.frames:
            return f"has no clip of {self.frames} frames or more"
        return None

    def _expect_files(self, dataset: Dataset) -> None:
        for clip in dataset.clips:
            for part in ("clips", "motion", *(["landmarks"] if self.landmarks else [])):
                path = dataset.folder / part / f"{clip.name}{PARTS[part]}"
                if not path.is_file():
                    fix = "run the same countenance prepare again"
                    raise DatasetUnreadable(path, f"it is not there, and this recipe needs {self}", fix)

    def __str__(self) -> str:
        """For people, as in ``arkit motion, pictures 32 px wide, landmarks, clips of 2 frames or more``."""
        if self.speech:
            return f"{self.space} motion, clips with sound of {self.frames} frames or more (of 1/{FPS:g} s)"
        parts = [f"{self.space} motion"]
        if self.side is not None:
            parts.append(f"pictures {self.side} px wide")
        elif self.multiple > 1:
            parts.append(f"pictures a multiple of {self.multiple} px wide")
        elif self.least_side > 1:
            parts.append(f"pictures {self.least_side} px wide or more")
        parts += ["landmarks"] if self.landmarks else []
        parts += [f"clips of {self.frames} frames or more"] if self.frames > 1 else []
        return ", ".join(parts)


class Losses(NamedTuple):
    """What one batch costs.

    Attributes:
        terms: named scalars; "total" is minimised.
        real: pictures for the critic to tell from ``fake``; None without a critic.
        fake: what the network made.
    """

    terms: dict[str, Tensor]
    real: Shown | None = None
    fake: Shown | None = None


class Adversary(Protocol):
    """A critic that tells real pictures from made ones, trained in turn with the network."""

    def build(self) -> nn.Module:
        """The untrained critic."""
        ...

    def loss(self, critic: nn.Module, real: Any, fake: Any, step: int) -> Tensor:
        """What the critic minimises after ``step`` updates; both are :data:`Shown`, ``fake`` carries no gradient."""
        ...


class Sampler(Protocol):
    """An endless sequence of training items, each given by its number alone."""

    def __getitem__(self, index: int) -> Any:
        """Item number ``index`` >= 0."""
        ...


class Recipe(Protocol):
    """A model's side of training."""

    @property
    def name(self) -> str:
        """Of the recipe, for the run's files."""
        ...

    @property
    def loop(self) -> LoopConfig:
        """Everything that is not the model."""
        ...

    @property
    def item_size(self) -> int:
        """Training samples that one item of :meth:`sampler` makes; a pair of frames makes two."""
        ...

    @property
    def needs(self) -> DatasetNeeds:
        """What the dataset must have."""
        ...

    def sampler(self, dataset: Dataset) -> Sampler:
        """Where training items come from."""
        ...

    def batch(self, items: list[Any]) -> Batch:
        """What :meth:`losses` takes; made in the processes that load pairs."""
        ...

    def build(self, dataset: Dataset) -> nn.Module:
        """The untrained network; the first that is done with a dataset.

        Raises:
            MotionSpaceMismatch: the dataset is of another space.
            BadValue: it lacks something else of :attr:`needs`.
        """
        ...

    def constrain(self, network: nn.Module) -> None:
        """Add what only training needs, such as spectral norm; called once the first weights are in place."""
        ...

    @property
    def adversary(self) -> Adversary | None:
        """What the network is trained against; None for nothing."""
        ...

    def losses(self, network: nn.Module, batch: Batch, step: int, critic: nn.Module | None) -> Losses:
        """Of one batch; the critic is held still."""
        ...

    def sheet(self, network: nn.Module, batch: Batch) -> Image:
        """Pictures that show what the network does."""
        ...

    def export(self, network: nn.Module, path: Path, notes: Mapping[str, Any]) -> None:
        """Write the trained weights for use."""
        ...
