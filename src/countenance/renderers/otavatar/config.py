"""The controller's sizes, and the facts of training and inversion; importing this does not import torch.

Where paper and released code differ, the defaults are those of the released code and :func:`paper` has the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from countenance.errors import BadValue
from countenance.generators.eg3d.config import EG3DConfig
from countenance.motion.spaces import get_space
from countenance.ranges import CODES, LAYERS
from countenance.stored.fields import NEWER

FeedingSpace = Literal["bfm", "arkit"]


@dataclass(frozen=True)
class ControllerConfig:
    """Everything that decides the shapes of the controller's weights. The defaults are the released network.

    Attributes:
        coefficients: numbers a frame, read from the front of those given: 70 are all of ``bfm``, 64 its expression.
        width: channels of the smoothed motion and of the MLP.
        smoothing_layers: dilated convolutions after the first one.
        mlp_layers: layers of F_M before the last, which gives the magnitudes.
        one_layer: these are one layer, used again and again, as in the released network; False: layers of their own, as
            the paper writes.
        shortcut: the smoothed motion is added to what the MLP's layers make of it.
        bases: m, directions in the codebook D.
        codes: vectors of the generator's space W+.
        code_width: length of each.
        scaling: the controller also scales the identity code; an option of the authors, off in the released network.
        orthogonal: the bases stand at right angles; False: any linear layer, as in the paper's Table 5.
        motion_in_w: one motion code for all of the generator's layers, likewise.
    """

    coefficients: int = 70
    width: int = 256
    smoothing_layers: Annotated[int, LAYERS] = 3
    mlp_layers: Annotated[int, LAYERS] = 5
    one_layer: bool = True
    shortcut: bool = True
    bases: int = 20
    codes: Annotated[int, CODES] = 14
    code_width: int = 512
    scaling: bool = False
    orthogonal: bool = field(default=True, metadata=NEWER)
    motion_in_w: bool = field(default=False, metadata=NEWER)

    def __post_init__(self) -> None:
        if min(self.smoothing_layers, self.mlp_layers) < 1:
            raise BadValue("the controller needs one smoothing layer and one layer of its MLP, or more")
        if self.bases > self.code_width:
            raise BadValue(f"there are no {self.bases} orthogonal directions in {self.code_width} dimensions")

    @property
    def magnitudes(self) -> int:
        """Numbers that the MLP gives: a row for all codes and one for each, once or, with scaling, twice."""
        rows = 1 if self.motion_in_w else 1 + self.codes
        return rows * self.bases * (1 + self.scaling)


@dataclass(frozen=True)
class AnimatorConfig:
    """Everything that decides the shapes of the animator's weights, and what moves it. The released one by default.

    Attributes:
        generator: G_eg and R.
        controller: C; to draw, it must give as many codes as the generator takes, see :meth:`expect_fit`.
        motion_space: of the motion that the controller reads and that the camera is found in.
    """

    generator: EG3DConfig = field(default_factory=lambda: EG3DConfig(neural_rendering_resolution=64))
    controller: ControllerConfig = field(default_factory=ControllerConfig)
    motion_space: FeedingSpace = "bfm"

    def expect_fit(self) -> None:
        """Both networks speak of the same codes.

        Raises:
            BadValue: they do not, as in the reduced checkpoints that tests read.
        """
        takes = (self.generator.num_ws, self.generator.w_dim)
        if (self.controller.codes, self.controller.code_width) != takes:
            gives = f"{self.controller.codes} codes of {self.controller.code_width} numbers"
            raise BadValue(f"the controller gives {gives}; this generator takes {takes[0]} of {takes[1]}")
        if self.controller.coefficients > get_space(self.motion_space).size:
            raise BadValue(f"'{self.motion_space}' has no {self.controller.coefficients} coefficients")

    @property
    def size(self) -> int:
        """Side of the super-resolved picture, in px."""
        return self.generator.sr_input_resolution * (4 if self.generator.superresolution == "8XDC" else 2)


@dataclass(frozen=True)
class OptimiserConfig:
    """How one set of numbers is learnt."""

    learning_rate: float
    """At the start."""
    kind: Literal["adam", "adamw"] = "adam"
    """AdamW decays weights apart from the gradient."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of Adam."""
    weight_decay: float = 0.0
    """Share of the learning rate by which numbers shrink in each step."""
    clip: float = 0.0
    """Largest norm of the gradient; 0: no limit."""
    drop_every: int = 0
    """Iterations after which the learning rate is multiplied by ``drop``; 0: never."""
    drop: float = 0.2
    """See ``drop_every``."""


@dataclass(frozen=True)
class LossConfig:
    """The terms of L (Sec. 3.4) and what they count. They are added for the small and for the large picture."""

    perceptual: float = 1.0
    """Of L_c + ``style`` L_s, Eq. 11 and 12."""
    style: float = 250.0
    """Of L_s within it; Gram matrices of the first scale only."""
    small_scales: tuple[int, ...] = (0, 1)
    """Levels of the pyramid for the picture as the rays give it; 0 is its full size."""
    large_scales: tuple[int, ...] = (0, 1, 2, 3)
    """The same for the super-resolved picture."""
    local: float = 10.0
    """Of L_m, Eq. 13."""
    local_eyes: bool = False
    """L_m sees the eyes as well as the mouth. In the released code the eyes' terms are 0 by a slip."""
    identity: float = 1.0
    """Of L_id, Eq. 14."""
    recogniser: Literal["arcface", "dlib"] = "arcface"
    """The network that L_id asks; dlib's is not the paper's, but free."""
    pixel: float = 1.0
    """Of the smooth L1 distance of pixels, which the paper does not name."""
    outside: float = 1.0
    """What pixels outside eyes, nose and mouth count; 1: as much as those inside."""
    monotonic: float = 1.0
    """Of the monotonic loss; in training only."""
    total_variation: float = 1.0
    """Of the total variation loss; in training only."""
    density_points: int = 2000
    """Random points of a sample at which these two look."""
    density_distance: float = 0.004
    """Deviation of the step between the points that total variation compares, in units of the scene."""
    density_weight: float = 0.25
    """Factor inside the total variation loss."""
    relief: float = 0.0
    """Of the squared distance from the mean face's surface, in ``arkit``; not the authors', see :mod:`.relief`."""
    distortion: float = 0.0
    """Of how far apart that is which a ray sees, Mip-NeRF 360's; not the authors', whose generator knows surfaces."""
    beside_rad: float = 0.0
    """Relief and distortion count from a second camera, too: a random one, up to so far to the side and a third of it
    up and down."""
    controller_l1: float = 0.0
    """Of the sum of the magnitudes of Theta_c, in training. The paper gives no weight, the released code has none."""


@dataclass(frozen=True)
class RenderingConfig:
    """How the generator draws in training and inversion."""

    rays: int = 64
    """Side of the picture that the rays give, in px."""
    size: int = 512
    """Side of the super-resolved picture, in px."""
    samples: tuple[int, int] = (48, 48)
    """Of a ray: spread evenly, then where they matter."""
    near: float = 2.25
    """Where rays start, from the camera."""
    far: float = 3.3
    """Where they end."""
    box: float = 1.0
    """Side of the cube that the planes cover."""
    noise: Literal["const", "none"] = "const"
    """Of the layers that make the planes."""
    super_resolution_noise: Literal["const", "none"] = "none"
    """Of the layers that enlarge the picture."""
    clamp: float | None = None
    """Largest magnitude of the generator's activations in training."""
    inference_super_resolution_clamp: float = 256.0
    """The same in the super-resolution network when an avatar is driven."""


@dataclass(frozen=True)
class InversionConfig:
    """A portrait becomes an identity code (Sec. 3.3, Eq. 9)."""

    steps_w: int = 100
    """With one vector for all of the generator's layers, from its mean on."""
    steps_w_plus: int = 100
    """Then with one vector a layer, with a fresh optimiser."""
    identity: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(0.01, clip=1.0))
    """Of the identity code."""
    camera: OptimiserConfig | None = field(
        default_factory=lambda: OptimiserConfig(0.01, kind="adamw", betas=(0.9, 0.9999))
    )
    """Of the correction of the camera's intrinsics, which the paper does not name; None: they stay."""
    correct_rotation: bool = False
    """The camera's rotation is corrected as well."""
    ridge: float = 0.0
    """Not the authors': of the mean square of the code's coordinates in ``Animator.spread``, against odd people."""
    reach: float = 5.0
    """w is held within w_avg +- reach while it is learnt, and not when the avatar is driven."""
    large_steps: int = 10
    """The last steps of each stage, which also draw and compare the super-resolved picture."""
    patience: int = 0
    """Not the authors': a stage goes on to its last steps once the loss has not fallen for so many; 0: never."""
    least_gain: float = 1e-3
    """What counts as falling: this share of the loss."""
    most_rise: float = 2.0
    """Not the authors': it has diverged once the loss is more than this times that of the mean code."""
    retries: int = 2
    """It then begins anew so many times ..."""
    retry_rate: float = 0.3
    """... each time with this share of the learning rate."""
    tune_steps: int = 0
    """Steps of pivotal tuning of the generator afterwards; the authors tried up to 50, and report without."""
    tune_rate: float = 3e-4
    """Learning rate of Adam in it."""
    locality: float = 0.0
    """Not the authors': of how much otherwise the tuned generator moves, for ``arkit``; see :mod:`.locality`."""


def patient() -> InversionConfig:
    """The authors', but a stage ends early after 25 steps without progress."""
    return InversionConfig(patience=25)


def ours() -> InversionConfig:
    """For small generators of few people: no code of theirs is near everybody, so the generator is tuned as well.

    Cameras are as exact as in training, so they are not corrected.
    """
    return InversionConfig(
        steps_w=20,
        steps_w_plus=60,
        large_steps=10,
        identity=OptimiserConfig(0.1),
        camera=None,
        ridge=1.0,
        patience=25,
        tune_steps=130,
        tune_rate=1e-2,
        locality=100.0,
    )


def our_losses() -> LossConfig:
    """What counts in these: the whole pyramid; L_c, pixels and relief more than in training, L_m less, no L_id."""
    return replace(
        paper().losses,
        perceptual=2.0,
        style=0.0,
        identity=0.0,
        pixel=60.0,
        relief=20.0,
        distortion=200.0,
        beside_rad=0.8,
    )


@dataclass(frozen=True)
class TrainingConfig:
    """Decoupling by inverting (Sec. 3.2, Algorithm 1)."""

    controller: ControllerConfig = field(default_factory=ControllerConfig)
    """Sizes."""
    iterations: int = 2000
    """T of Algorithm 1; each takes one batch of pairs."""
    batch_size: int = 4
    """Pairs on each device."""
    devices: int = 4
    """The authors' A100 GPUs."""
    identity_steps: int = 90
    """N_id: steps of an iteration that learn the identity code, with the controller held still; they come first."""
    controller_steps: int = 10
    """N_mo: steps that learn the controller, with the identity code held still."""
    large_steps: int = 10
    """The last of these steps, which also draw and compare the super-resolved picture; so does the last update."""
    inversion: InversionConfig = field(default_factory=InversionConfig)
    """The inner loop's optimisers and bounds."""
    controller_optimiser: OptimiserConfig = field(
        default_factory=lambda: OptimiserConfig(
            1e-3, kind="adamw", betas=(0.5, 0.999), weight_decay=1.0, clip=1.0, drop_every=10_000
        )
    )
    """Of Theta_c, in the inner loop and after it."""
    generator_optimiser: OptimiserConfig = field(
        default_factory=lambda: OptimiserConfig(1e-4, betas=(0.9, 0.9999), clip=1.0, drop_every=10_000)
    )
    """Of Theta_eg, once for each frame after the inner loop (lines 15 and 16)."""
    tune_controller: bool = True
    """The controller learns in that last update too; by Algorithm 1 the generator alone."""
    ema_decay: float = 0.95
    """beta of line 17: share of the old weights in the moving average. Parameters only."""
    ema_generator: bool = True
    """The generator has a moving average too, which the inner loop draws with."""
    expression_floor: float = 0.001
    """Frames are drawn with this plus the L1 norm of their 64 expression coefficients as weight, with replacement."""
    turned: float = 0.0
    """Not the authors': a squared radian of yaw adds it to a frame's weight of 1; a clip has its frames' mean."""
    losses: LossConfig = field(default_factory=LossConfig)
    """Terms and weights."""
    rendering: RenderingConfig = field(default_factory=RenderingConfig)
    """Resolutions and rays."""

    def __post_init__(self) -> None:
        if min(self.identity_steps, self.controller_steps) < 1:
            raise BadValue(
                "decoupling needs steps for the identity code and for the controller, one or more each"
            )
        if not 0 <= self.large_steps <= self.steps:
            raise BadValue(f"large_steps is {self.large_steps}; an iteration has {self.steps} steps")

    @property
    def steps(self) -> int:
        """N = N_id + N_mo, steps of an iteration."""
        return self.identity_steps + self.controller_steps


def released() -> TrainingConfig:
    """What the authors' code and configuration file do; the released weights come from it."""
    return TrainingConfig()


def paper() -> TrainingConfig:
    """What the paper says; where it says nothing, what the released code does. The weight of L1 on Theta_c is ours."""
    code = released()
    return replace(
        code,
        controller=replace(code.controller, one_layer=False),
        batch_size=6,
        large_steps=code.steps,
        inversion=replace(code.inversion, large_steps=code.inversion.steps_w, camera=None),
        controller_optimiser=OptimiserConfig(1e-4, clip=1.0),
        tune_controller=False,
        ema_generator=False,
        losses=replace(code.losses, local_eyes=True, pixel=0.0, controller_l1=1e-5),
    )


def controller_for(generator: EG3DConfig, like: ControllerConfig) -> ControllerConfig:
    """``like``, giving as many codes as a generator takes."""
    return replace(like, codes=generator.num_ws, code_width=generator.w_dim)


def debug(coefficients: int = 58) -> AnimatorConfig:
    """A few thousand weights, for tests: rays of 32 px, pictures of 64 px, moved by ``arkit``."""
    generator = EG3DConfig(
        z_dim=8,
        w_dim=8,
        plane_resolution=16,
        feature_channels=8,
        channel_base=128,
        channel_max=8,
        depth_resolution=4,
        depth_resolution_importance=4,
        neural_rendering_resolution=32,
        superresolution="4X",
        sr_input_resolution=32,
        sr_inner_channels=8,
        sr_outer_channels=4,
    )
    small = ControllerConfig(coefficients=coefficients, width=16, smoothing_layers=2, mlp_layers=2, bases=6)
    return AnimatorConfig(generator, controller_for(generator, small), "arkit")
