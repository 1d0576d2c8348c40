"""PIRenderer's frames a second on this machine: our renderer against a plain forward pass, in one run.

    python benchmarks/pirenderer.py [--repeat 5] [--device cpu] [--json FILE] [--markdown docs/results.md]

Plain: the whole network anew for every frame, eager float32, default memory layout. Ours: channels-last, the source
encoded once. Weights are random: times do not depend on them.
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

import torch
from torch.utils.flop_counter import FlopCounterMode

from countenance.renderers.pirenderer.config import lite, paper
from countenance.renderers.pirenderer.network import PIRenderer

BEGIN, END = "<!-- pirenderer speed: begin -->", "<!-- pirenderer speed: end -->"


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


@torch.inference_mode()
def compare(name: str, repeat: int, device: str) -> dict[str, float | str]:
    """One size of the network: plain, ours, ratio, and how far the pictures differ."""
    config = {"pirenderer": paper, "pirenderer-lite": lite}[name]()
    torch.manual_seed(0)
    network = PIRenderer(config).eval().to(device)
    source = torch.rand(1, 3, config.size, config.size, device=device) * 2 - 1
    window = 0.3 * torch.randn(1, config.motion_channels, config.window, device=device)
    own = window[:, :, 0]
    with FlopCounterMode(display=False) as counter:
        expected = network(source, window, own).picture
    plain = milliseconds(lambda: network(source, window, own), repeat, device)
    network.to(memory_format=torch.channels_last)
    source = source.contiguous(memory_format=torch.channels_last)
    features = network.source_features(source)

    def ours() -> torch.Tensor | None:
        return network.render(source, features, network.latent(window, own)).picture

    fast, picture = milliseconds(ours, repeat, device), ours()
    assert picture is not None
    assert expected is not None
    return {
        "model": name,
        "GFLOP a frame": counter.get_total_flops() / 1e9,
        "plain, ms": plain,
        "ours, ms": fast,
        "ours, frames/s": 1e3 / fast,
        "plain : ours": plain / fast,
        "largest difference": float((picture - expected).abs().max()),
    }


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
        page = args.markdown.read_text()
        head, rest = page.split(BEGIN)
        args.markdown.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
