"""Mixed precision for the loop, imported only where Lightning Fabric is installed."""

from __future__ import annotations

from typing import Any, Literal

import torch
from lightning_fabric.plugins.precision import MixedPrecision, Precision


class Autocast(MixedPrecision):
    """Autocast alone: layers choose their numbers, inputs stay float32.

    Fabric would round inputs too. bfloat16 has 8 bits, which is coarse for pictures, and for positions in them.
    """

    def convert_input(self, data: Any) -> Any:
        """As it is."""
        return data


def precision_plugin(name: Literal["32-true", "bf16-mixed", "16-mixed"], accelerator: str) -> Precision:
    """What Fabric takes as a plugin.

    Args:
        name: of :class:`countenance.training.recipe.LoopConfig`.
        accelerator: "auto", "cpu" or "cuda".
    """
    if name == "32-true":
        return Precision()
    on_gpu = accelerator == "cuda" or (accelerator == "auto" and torch.cuda.is_available())
    return Autocast(name, "cuda" if on_gpu else "cpu")
