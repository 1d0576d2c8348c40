"""The elementary operations, in plain PyTorch: differentiable as often as needed, on any device.

Filters are true convolutions unless ``flip_filter``; convolutions of weights are correlations, as in torch, unless
``flip_weight`` is False. Padding is one number, (x, y), or (left, right, top, bottom); a negative one crops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Padding = int | Sequence[int]
_SEPARABLE_FROM = 8  # taps; shorter filters are cheaper as one pass of two dimensions


class _Activation(NamedTuple):
    function: Callable[[Tensor, float], Tensor]
    slope: float
    gain: float


ACTIVATIONS: Final = {
    "linear": _Activation(lambda x, _: x, 0, 1),
    "relu": _Activation(lambda x, _: torch.relu(x), 0, math.sqrt(2)),
    "lrelu": _Activation(lambda x, slope: F.leaky_relu(x, slope), 0.2, math.sqrt(2)),
    "tanh": _Activation(lambda x, _: torch.tanh(x), 0, 1),
    "sigmoid": _Activation(lambda x, _: torch.sigmoid(x), 0, 1),
    "elu": _Activation(lambda x, _: F.elu(x), 0, 1),
    "selu": _Activation(lambda x, _: F.selu(x), 0, 1),
    "softplus": _Activation(lambda x, _: F.softplus(x), 0, 1),
    "swish": _Activation(lambda x, _: x * torch.sigmoid(x), 0, math.sqrt(2)),
}
"""By name: the function, its slope below 0, and the gain that keeps the variance."""


def second_moment_normalized(x: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x / sqrt(mean(x^2) + eps) along ``dim``."""
    return x * (x.square().mean(dim, keepdim=True) + eps).rsqrt()


def bias_act(
    x: Tensor,
    bias: Tensor | None = None,
    act: str = "linear",
    *,
    dim: int = 1,
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
) -> Tensor:
    """act(x + bias) * gain, clamped.

    Args:
        x: any shape.
        bias: one number for each place of ``dim``.
        act: a name of :data:`ACTIVATIONS`.
        dim: of the bias.
        alpha: slope below 0; the activation's own if None.
        gain: the activation's own if None.
        clamp: the result lies in [-clamp, clamp].
    """
    function, slope, own_gain = ACTIVATIONS[act]
    if bias is not None:
        x = x + bias.reshape([-1 if axis == dim else 1 for axis in range(x.ndim)])
    x = function(x, slope if alpha is None else alpha)
    scale = own_gain if gain is None else gain
    if scale != 1:
        x = x * scale
    return x if clamp is None else x.clamp(-clamp, clamp)


def setup_filter(
    taps: Tensor | Sequence[float],
    *,
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1,
    separable: bool | None = None,
) -> Tensor:
    """A low-pass filter.

    Args:
        taps: (N,) for a separable filter, or (H, W).
        normalize: make the sum 1.
        flip_filter: reverse it.
        gain: of the whole filter, so that both passes of a separable one share it.
        separable: keep (N,) taps as they are, to be used in two passes; from 8 taps if None.

    Returns:
        (N,) or (H, W).
    """
    f = torch.as_tensor(taps, dtype=torch.float32)
    if f.ndim == 1 and not (len(f) >= _SEPARABLE_FROM if separable is None else separable):
        f = torch.outer(f, f)
    if normalize:
        f = f / f.sum()
    if flip_filter:
        f = f.flip(list(range(f.ndim)))
    scale: float = gain ** (f.ndim / 2)
    return f * scale


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    *,
    up: int | Sequence[int] = 1,
    down: int | Sequence[int] = 1,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1,
) -> Tensor:
    """Put up - 1 zeros after every sample, pad with zeros, filter, keep every down-th sample from the first on.

    Args:
        x: (B, C, H, W).
        f: (N,) or (KH, KW); None filters nothing.
        up: one number, or (x, y).
        down: likewise.
        padding: of the picture with its zeros; see the module.
        flip_filter: correlate instead of convolving.
        gain: of the result.

    Returns:
        (B, C, H', W') with H' = (H up + top + bottom - KH) // down + 1.
    """
    f = x.new_ones(1, 1) if f is None else f.to(x.dtype)
    f = f * gain ** (f.ndim / 2)
    if flip_filter:
        f = f.flip(list(range(f.ndim)))
    (up_x, up_y), (down_x, down_y) = _pair(up), _pair(down)
    left, right, top, bottom = _sides(padding)
    if f.ndim == 2:
        return _filtered(x, f, (up_y, up_x), (down_y, down_x), (left, right, top, bottom))
    x = _filtered(x, f[None], (1, up_x), (1, down_x), (left, right, 0, 0))
    return _filtered(x, f[:, None], (up_y, 1), (down_y, 1), (0, 0, top, bottom))


def _filtered(
    x: Tensor, f: Tensor, up: tuple[int, int], down: tuple[int, int], padding: tuple[int, int, int, int]
) -> Tensor:
    """The same for one filter of two dimensions, with (y, x) pairs.

    Zeros are never multiplied: a transposed convolution does what inserting them and filtering does.
    """
    channels, (height, width) = x.shape[1], f.shape
    left, right, top, bottom = padding
    if up == (1, 1):
        kernel = f.flip([0, 1]).expand(channels, 1, height, width)
        x, inside = _padded(x, (left, right, top, bottom))
        return F.conv2d(x, kernel, stride=down, padding=inside, groups=channels)
    kernel = f.expand(channels, 1, height, width)
    # What the full convolution has more than is wanted; see README.md.
    crop_left, crop_right = width - 1 - left, width - up[1] - right
    crop_top, crop_bottom = height - 1 - top, height - up[0] - bottom
    crop_x, crop_y = max(min(crop_left, crop_right), 0), max(min(crop_top, crop_bottom), 0)
    x = F.conv_transpose2d(x, kernel, stride=up, padding=(crop_y, crop_x), groups=channels)
    rest = (crop_x - crop_left, crop_x - crop_right, crop_y - crop_top, crop_y - crop_bottom)
    if any(rest):
        x = F.pad(x, rest)
    return x if down == (1, 1) else x[:, :, :: down[0], :: down[1]]


def filter2d(x: Tensor, f: Tensor, *, padding: Padding = 0, flip_filter: bool = False) -> Tensor:
    """Filter without changing the size."""
    (height, width), sides = _filter_size(f), _sides(padding)
    around = (width // 2, (width - 1) // 2, height // 2, (height - 1) // 2)
    return upfirdn2d(x, f, padding=_sum(around, sides), flip_filter=flip_filter)


def upsample2d(x: Tensor, f: Tensor, up: int = 2, *, padding: Padding = 0, gain: float = 1) -> Tensor:
    """Enlarge by ``up``; a constant picture stays constant but for its border."""
    around = _around_up(f, up)
    return upfirdn2d(x, f, up=up, padding=_sum(around, _sides(padding)), gain=gain * up**2)


def downsample2d(x: Tensor, f: Tensor, down: int = 2, *, padding: Padding = 0) -> Tensor:
    """Shrink by ``down``."""
    return upfirdn2d(x, f, down=down, padding=_sum(_around_down(f, down), _sides(padding)))


def conv2d_resample(
    x: Tensor,
    weight: Tensor,
    f: Tensor | None = None,
    *,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    groups: int = 1,
    flip_weight: bool = True,
    flip_filter: bool = False,
) -> Tensor:
    """Convolution with filtered up-sampling before it or filtered down-sampling after it.

    Args:
        x: (B, C, H, W).
        weight: (C', C / groups, K, K).
        f: the low-pass filter.
        up: factor.
        down: factor.
        padding: of the enlarged picture; see the module.
        groups: of the convolution.
        flip_weight: True is a correlation, as torch's convolution is.
        flip_filter: see :func:`upfirdn2d`.

    Returns:
        (B, C', H', W').
    """
    sides = _sides(padding)
    if up > 1:
        sides = _sum(sides, _around_up(f, up))
    if down > 1:
        sides = _sum(sides, _around_down(f, down))
    kernel = weight.shape[2]
    if kernel == 1 and up == 1 and down > 1:  # fewer pixels to convolve; the order does not matter
        x = upfirdn2d(x, f, down=down, padding=sides, flip_filter=flip_filter)
        return F.conv2d(x, weight, groups=groups)
    if kernel == 1 and up > 1 and down == 1:
        x = F.conv2d(x, weight, groups=groups)
        return upfirdn2d(x, f, up=up, padding=sides, gain=up**2, flip_filter=flip_filter)
    if up > 1:
        # The zeros are inserted by a transposed convolution, and its result is filtered.
        left, right, top, bottom = sides
        outside = (left - kernel + 1, right - kernel + up, top - kernel + 1, bottom - kernel + up)
        x = _transposed_convolution(x, weight.flip([2, 3]) if flip_weight else weight, up, groups)
        x = upfirdn2d(x, f, padding=outside, gain=up**2, flip_filter=flip_filter)
        return upfirdn2d(x, f, down=down, flip_filter=flip_filter) if down > 1 else x
    weight = weight if flip_weight else weight.flip([2, 3])
    if down > 1:
        x = upfirdn2d(x, f, padding=sides, flip_filter=flip_filter)
        return F.conv2d(x, weight, stride=down, groups=groups)
    x, inside = _padded(x, sides)
    return F.conv2d(x, weight, padding=inside, groups=groups)


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    noise: Tensor | None = None,
    f: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    flip_weight: bool = True,
    demodulate: bool = True,
    gain: float = 1,
) -> Tensor:
    """Convolution with weights scaled by a style, and normalised again (StyleGAN2, Eq. 1 and 3).

    w'_oik = s_i w_oik; demodulated: w''_oik = w'_oik / sqrt(sum_ik w'_oik^2 + 1e-8). One picture is convolved with
    weights of its own where these are fewer than its numbers. Otherwise pictures share the plain weights, for scaling
    inputs by s_i and outputs by the root is the same and needs no convolution in groups.

    Args:
        x: (B, C, H, W).
        weight: (C', C, K, K).
        styles: (B, C).
        noise: added at the end; any shape that fits.
        f: low-pass filter.
        up: factor.
        down: factor.
        padding: see :func:`conv2d_resample`.
        flip_weight: likewise.
        demodulate: normalise.
        gain: of the convolution, without the noise.

    Returns:
        (B, C', H', W').
    """
    options = {"up": up, "down": down, "padding": padding, "flip_weight": flip_weight}
    if not demodulate:
        styles = styles * gain
    if weight.shape[2] == up == down == 1 and not demodulate:
        x = _mixed_channels(x, weight[:, :, 0, 0] * styles[:, None])
    # A traced graph keeps constant weights, which inference engines lay out in advance.
    elif len(x) == 1 and weight.numel() <= x.numel() and not _tracing():
        weight = weight * styles[0, :, None, None]
        if demodulate:
            weight = weight * ((weight.square().sum([1, 2, 3], keepdim=True) + 1e-8).rsqrt() * gain)
        x = conv2d_resample(x, weight, f, **options)  # type: ignore[arg-type]
    else:
        x = conv2d_resample(x * styles[:, :, None, None], weight, f, **options)  # type: ignore[arg-type]
        if demodulate:
            squares = styles.square() @ weight.square().sum([2, 3]).T
            x = x * ((squares + 1e-8).rsqrt() * gain)[:, :, None, None]
    return x if noise is None else x.add_(noise)


def minibatch_std(x: Tensor, group_size: int | None, num_channels: int = 1) -> Tensor:
    """Append how much pictures differ (Karras et al. 2018, Sec. 3), so that a critic sees a lack of variety.

    Args:
        x: (B, C, H, W).
        group_size: pictures i, i + B / G, i + 2 B / G ... form a group of G; the whole batch if None.
        num_channels: the channels are split into this many parts, each with a number of its own.

    Returns:
        (B, C + num_channels, H, W).
    """
    batch, channels, height, width = x.shape
    group = batch if group_size is None else min(group_size, batch)
    parts = x.reshape(group, -1, num_channels, channels // num_channels, height, width)
    spread = (parts.var(0, correction=0) + 1e-8).sqrt().mean([2, 3, 4])
    return torch.cat([x, spread.repeat(group, 1)[:, :, None, None].expand(-1, -1, height, width)], 1)


def _mixed_channels(x: Tensor, weight: Tensor) -> Tensor:
    """A 1 x 1 convolution of each picture (B, C, H, W) with weights (B, C', C) of its own, as a matrix product."""
    pixels = x.permute(0, 2, 3, 1).flatten(1, 2) @ weight.transpose(1, 2)
    return pixels.reshape(*x.shape[:1], *x.shape[2:], -1).permute(0, 3, 1, 2)


def _tracing() -> bool:
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def _transposed_convolution(x: Tensor, weight: Tensor, up: int, groups: int) -> Tensor:
    outputs, inputs, *size = weight.shape
    swapped = weight.reshape(groups, outputs // groups, inputs, *size).transpose(1, 2)
    return F.conv_transpose2d(x, swapped.reshape(groups * inputs, -1, *size), stride=up, groups=groups)


def _padded(x: Tensor, sides: tuple[int, int, int, int]) -> tuple[Tensor, tuple[int, int]]:
    """``x`` with the padding that a convolution can't do itself, and the (y, x) padding that it can."""
    left, right, top, bottom = sides
    if left == right >= 0 and top == bottom >= 0:
        return x, (top, left)
    return F.pad(x, sides), (0, 0)


def _around_up(f: Tensor | None, up: int) -> tuple[int, int, int, int]:
    height, width = _filter_size(f)
    return (width + up - 1) // 2, (width - up) // 2, (height + up - 1) // 2, (height - up) // 2


def _around_down(f: Tensor | None, down: int) -> tuple[int, int, int, int]:
    height, width = _filter_size(f)
    return (width - down + 1) // 2, (width - down) // 2, (height - down + 1) // 2, (height - down) // 2


def _filter_size(f: Tensor | None) -> tuple[int, int]:
    return (1, 1) if f is None else (f.shape[0], f.shape[-1])


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    x, y = (value, value) if isinstance(value, int) else value
    return x, y


def _sides(padding: Padding) -> tuple[int, int, int, int]:
    if isinstance(padding, int):
        return padding, padding, padding, padding
    left, right, top, bottom = (
        (padding[0], padding[0], padding[1], padding[1]) if len(padding) == 2 else padding
    )
    return left, right, top, bottom


def _sum(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]
