"""Trained networks on CPUs through OpenVINO: fused, in blocked memory layouts, about twice as fast as eager PyTorch."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor, nn

Precision = Literal["f32", "bf16"]
SWITCH = "COUNTENANCE_ENGINE"
"""Environment variable; "torch" turns OpenVINO off."""


def openvino_wanted(device: str | torch.device) -> bool:
    """Installed, for this device, and not turned off."""
    on_cpu = torch.device(device).type == "cpu"
    return on_cpu and os.environ.get(SWITCH, "") != "torch" and find_spec("openvino") is not None


class OpenVINONetwork:
    """A module, converted once for inputs of fixed sizes.

    Args:
        module: takes tensors and returns a tensor or a tuple of them; its weights are copied.
        examples: inputs of the sizes to come, float32.
        precision: in which it computes; "bf16" is twice as fast, rounds every layer to 8 bits of mantissa, and is used
            only where the CPU has instructions for it.
    """

    def __init__(self, module: nn.Module, examples: Sequence[Tensor], precision: Precision = "f32") -> None:
        import openvino
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # what tracing says of sizes that it takes as constants: they are
            traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
                module, tuple(examples), check_trace=False
            )
            # openvino.convert_model does the same, and may report it over the network
            frontend = FrontEndManager().load_by_framework("pytorch")
            decoder = TorchScriptPythonDecoder(traced)  # must live until it is converted
            model = frontend.convert(frontend.load(decoder))
        shapes = {port: list(example.shape) for port, example in zip(model.inputs, examples, strict=True)}
        model.reshape(shapes)
        core = openvino.Core()
        if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            precision = "f32"
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._request: Any = core.compile_model(model, "CPU", options).create_infer_request()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The module's outputs."""
        given = [tensor.contiguous().numpy() for tensor in inputs]
        return tuple(torch.from_numpy(output) for output in self._request.infer(given).values())
