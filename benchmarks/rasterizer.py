"""How long the rasterizers take for a face-sized mesh: python benchmarks/rasterizer.py [--json FILE].

A bulging sheet of 900 triangles over most of the picture is drawn at 256 and 512 pixels, in C and in torch,
and two channels (a flow) are interpolated over it. All take turns, so that a busy machine slows all alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from countenance.face import rasterizer, rasterizer_torch

ROWS, COLUMNS = 15, 30
TARGET_MS = {256: 3.0}
"""What issue 2 asks of the C version, by picture side."""


def bulging_sheet(side: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """496 vertices and 900 triangles that fill 90 percent of the picture both ways."""
    y, x = np.meshgrid(np.linspace(-1, 1, ROWS + 1), np.linspace(-1, 1, COLUMNS + 1), indexing="ij")
    z = np.sqrt(3.0 - x**2 - y**2)
    vertices = np.stack((side * (0.5 + 0.45 * x), side * (0.5 + 0.45 * y), z), -1).reshape(-1, 3)
    corner = np.arange((ROWS + 1) * (COLUMNS + 1)).reshape(ROWS + 1, COLUMNS + 1)
    a, b, c, d = corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]
    triangles = np.concatenate(
        (np.stack((a, b, c), -1).reshape(-1, 3), np.stack((a, c, d), -1).reshape(-1, 3))
    )
    return vertices.astype(np.float32), triangles.astype(np.int32)


def median_ms(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each call; the calls take turns, after three that are not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 3):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= 3:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def measure(side: int, repeats: int, device: torch.device) -> dict[str, float]:
    """Run both rasterizers on a picture of this side."""
    vertices, triangles = bulging_sheet(side)
    flow = vertices[:, :2].copy()
    size = (side, side)
    raster = rasterizer.rasterize(vertices, triangles, size)
    batch, triangles_t = (
        torch.as_tensor(vertices, device=device)[None],
        torch.as_tensor(triangles, device=device),
    )
    flow_t = torch.as_tensor(flow, device=device)
    raster_t = rasterizer_torch.rasterize(batch, triangles_t, size)

    def settle() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    def rasterize_torch() -> None:
        rasterizer_torch.rasterize(batch, triangles_t, size)
        settle()

    def interpolate_torch() -> None:
        rasterizer_torch.interpolate(raster_t, flow_t)
        settle()

    times = median_ms(
        {
            "rasterize_c_ms": lambda: rasterizer.rasterize(vertices, triangles, size),
            "rasterize_torch_ms": rasterize_torch,
            "interpolate_c_ms": lambda: rasterizer.interpolate(raster, flow),
            "interpolate_torch_ms": interpolate_torch,
        },
        repeats,
    )
    ratio = times["rasterize_torch_ms"] / times["rasterize_c_ms"]
    return {"side_px": side, "covered": float(raster.covered.mean()), **times, "torch_over_c": ratio}


def main() -> None:
    """Measure, print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument(
        "--device", type=torch.device, default=torch.device("cpu"), help="of the torch version"
    )
    options = parser.parse_args()
    rows = [measure(side, options.repeats, options.device) for side in (256, 512)]
    print(f"900 triangles, median of {options.repeats} turns; torch on {options.device}")
    print(" side  covered     C ms  torch ms  ratio  interp C  interp torch")
    for row in rows:
        print(
            f"{row['side_px']:5.0f} {row['covered']:8.0%} {row['rasterize_c_ms']:8.3f}"
            f" {row['rasterize_torch_ms']:9.2f} {row['torch_over_c']:6.1f}"
            f" {row['interpolate_c_ms']:9.3f} {row['interpolate_torch_ms']:13.2f}"
        )
        limit = TARGET_MS.get(int(row["side_px"]))
        if limit is not None:
            verdict = "met" if row["rasterize_c_ms"] <= limit else "MISSED"
            print(f"      target for C at {row['side_px']:.0f}: <= {limit} ms: {verdict}")
    if options.json:
        report = {"triangles": 900, "repeats": options.repeats, "device": str(options.device), "rows": rows}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
