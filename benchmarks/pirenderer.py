"""PIRenderer's frames a second on this machine: our renderer against a plain forward pass, in one run.

    python benchmarks/pirenderer.py [--repeat 5] [--device cpu] [--json FILE] [--markdown docs/results.md]

Plain: the whole network anew for every frame, eager float32, default memory layout. Eager: channels-last, the source
encoded once. Compiled: with OpenVINO, see ``renderers/pirenderer/fast.py``; on CPUs only. Weights are random,
initialised as published, and the source is a photo: times do not depend on weights, differences do.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import torch
from skimage import data
from torch.utils.flop_counter import FlopCounterMode

from countenance.renderers.pirenderer.config import lite, paper
from countenance.renderers.pirenderer.fast import FastPIRenderer
from countenance.renderers.pirenderer.network import PIRenderer
from countenance.renderers.pirenderer.recipe import initialised_as_published
from page import replace_section


def milliseconds(call: Callable[[], object], repeat: int, device: str) -> float:
    """Median time of a call."""
    call()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def photo(size: int) -> torch.Tensor:
    """(1, 3, size, size) of a face, in [-1, 1]."""
    face = cv2.resize(data.astronaut()[:230, 110:340], (size, size), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(face).permute(2, 0, 1)[None].float() / 127.5 - 1


@torch.inference_mode()
def compare(name: str, repeat: int, device: str) -> dict[str, float | str]:
    """One size of the network: three ways to compute it, and how far the pictures differ."""
    config = {"pirenderer": paper, "pirenderer-lite": lite}[name]()
    torch.manual_seed(0)
    network = PIRenderer(config).eval()
    network.apply(initialised_as_published)
    network.to(device)
    source = photo(config.size).to(device)
    window = 0.3 * torch.randn(1, config.motion_channels, config.window, device=device)
    own = window[:, :, 0]
    with FlopCounterMode(display=False) as counter:
        expected = network(source, window, own).picture
    plain = milliseconds(lambda: network(source, window, own), repeat, device)
    network.to(memory_format=torch.channels_last)
    last = source.contiguous(memory_format=torch.channels_last)
    features, z = network.source_features(last), network.latent(window, own)
    eager = milliseconds(
        lambda: network.render(last, features, network.latent(window, own)).picture, repeat, device
    )
    row: dict[str, float | str] = {
        "model": name,
        "GFLOP a frame": counter.get_total_flops() / 1e9,
        "parameters, million": sum(p.numel() for p in network.parameters()) / 1e6,
        "plain, ms": plain,
        "eager, ms": eager,
        "plain : eager": plain / eager,
    }
    if device == "cpu":
        network.to(memory_format=torch.contiguous_format)
        fast = FastPIRenderer(network, source, features, z)

        def compiled() -> torch.Tensor:
            picture = fast.render(source, features, network.latent(window, own)).picture
            assert picture is not None
            return picture

        quick = milliseconds(compiled, repeat, device)
        difference = (compiled() - expected).abs()
        row |= {
            "compiled, ms": quick,
            "compiled, frames/s": 1e3 / quick,
            "plain : compiled": plain / quick,
            "mean difference": float(difference.mean()),
            "largest difference": float(difference.max()),
        }
    return row


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help="file whose marked section is replaced")
    args = parser.parse_args()
    rows = [compare(name, args.repeat, args.device) for name in ("pirenderer-lite", "pirenderer")]
    where = (
        f"{os.cpu_count()} CPU cores, {platform.machine()}"
        if args.device == "cpu"
        else torch.cuda.get_device_name()
    )
    lines = [
        f"`python benchmarks/pirenderer.py`, 256 x 256, batch 1, PyTorch {torch.__version__}, {where}:",
        "",
    ]
    lines += ["| " + " | ".join(rows[0]) + " |", "| --- " * len(rows[0]) + "|"]
    for row in rows:
        lines.append("| " + " | ".join(v if isinstance(v, str) else f"{v:.3g}" for v in row.values()) + " |")
    text = "\n".join(lines)
    print(text)
    if args.json:
        args.json.write_text(json.dumps({"machine": where, "rows": rows}, indent=1))
    if args.markdown:
        replace_section(args.markdown, "pirenderer speed", text)


if __name__ == "__main__":
    main()
