"""Networks are drawn up on PyTorch's device "meta" before they are built; here is what keeps that short."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch.overrides import TorchFunctionMode


class StepLimit(TorchFunctionMode):
    """Within it, PyTorch may be called so many times.

    Args:
        most: calls; one more is a RuntimeError.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """One call."""
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("they make more layers than there are tensors for")
        return func(*args, **(kwargs or {}))
