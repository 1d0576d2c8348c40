"""The fixed benchmark: shipped models on the test clips by three protocols. Figures are kept and shown in the docs.

    python benchmarks/heads_test.py --markdown docs/results.md           # measure, keep, show
    python benchmarks/heads_test.py --check [--models gdpw-lite]         # measure, compare with what is kept
    python benchmarks/heads_test.py --show --markdown docs/results.md    # show what is kept

Models that are not measured keep their figures. ``--check`` fails where a mean is worse than the kept one by more than
2 %, which on one machine is no noise.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from countenance.evaluation.evaluate import Crew, Settings, evaluate
from countenance.evaluation.models import Model
from countenance.evaluation.report.tables import markdown_table
from page import replace_section

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "heads" / "test"
FIGURES = Path(__file__).with_name("figures")
PROTOCOLS: dict[str, int | None] = {"same-identity": None, "cross-identity": 42, "multi-view": None}
"""Protocol -> most cases."""
MODELS = ("repeated", "geometric", "gdpw-lite", "pirenderer-lite", "otavatar-lite")
_KEPT = ("summary", "groups", "counts", "speed")
_TOLERANCE = 0.02
_TIMED = "same-identity"  # speed does not depend on the protocol, so it is shown once


def quiet(items: Iterable[str], label: str, total: int | None) -> Iterable[str]:
    """Progress as a line now and then."""
    for done, item in enumerate(items, 1):
        if done % 25 == 0 or done == total:
            print(f"{label}: {done} of {total}", file=sys.stderr)
        yield item


def measured(
    protocol: str, models: list[str], clips: Path, folder: Path, workers: int | None
) -> dict[str, Any]:
    """One protocol's report, without what differs by case."""
    settings = Settings(protocol, clips, limit=PROTOCOLS[protocol], videos=False)
    chosen = [Model.parsed(name) for name in models]
    report = evaluate(chosen, settings, folder / protocol, Crew(workers=workers), quiet)
    whole = report["protocol"]
    told = {key: whole[key] for key in ("name", "description", "seed", "digest")}
    return {
        "protocol": {**told, "cases": len(whole["cases"]), "clips": len(whole["clips"])},
        "metrics": report["metrics"],
        "models": {m.label: {k: report["models"][m.label][k] for k in _KEPT} for m in chosen},
        "environment": report["environment"],
    }


def kept(protocol: str) -> dict[str, Any] | None:
    """The figures in the repository."""
    path = FIGURES / f"heads-test-{protocol}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def keep(protocol: str, new: dict[str, Any]) -> dict[str, Any]:
    """Replaces the figures of the models that were measured."""
    old = kept(protocol)
    if old is not None and old["protocol"]["digest"] == new["protocol"]["digest"]:
        new = {**new, "models": old["models"] | new["models"]}
    order = [*(m for m in MODELS if m in new["models"]), *sorted(set(new["models"]) - set(MODELS))]
    new["models"] = {label: new["models"][label] for label in order}
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / f"heads-test-{protocol}.json").write_text(json.dumps(new, indent=1) + "\n")
    return new


def text_of(figures: dict[str, Any]) -> str:
    """What the page shows of one protocol."""
    told, environment = figures["protocol"], figures["environment"]
    if told["name"] != _TIMED:
        figures = {**figures, "models": {m: {**found, "speed": {}} for m, found in figures["models"].items()}}
    lines = [
        f"`{told['name']}`: {told['cases']} cases of {told['clips']} clips, seed {told['seed']}. {told['description']}",
        "",
        *markdown_table(figures),
        "",
    ]
    for label, found in figures["models"].items():
        counts = found["counts"]
        wrong = [
            f"{counts[k]} {k.replace('_', ' ')}" for k in ("failed", "missing", "without_face") if counts[k]
        ]
        if wrong:
            lines.append(f"`{label}`: {', '.join(wrong)} of {counts['compared']} compared frames.")
    groups = sorted({group for found in figures["models"].values() for group in found["groups"]})
    if told["name"] == "multi-view":
        lines += ["", *group_table(figures, groups)]
    lines.append(
        f"{environment['processors']} CPU cores, {environment['machine']}, Python {environment['python']}."
    )
    return "\n".join(lines)


def group_table(figures: dict[str, Any], groups: list[str]) -> list[str]:
    """Means of two metrics by group."""
    shown = ("perceptual_lite0", "landmark_distance_percent")
    titles = [figures["metrics"][name]["title"] for name in shown]
    lines = [f"| {' / '.join(titles)} | " + " | ".join(groups) + " |", "| --- " * (len(groups) + 1) + "|"]
    for label, found in figures["models"].items():
        cells = [
            " / ".join(f"{found['groups'][group][name]['mean']:.3f}" for name in shown) for group in groups
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def worse(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line for every mean that fell behind."""
    found = []
    for label, model in new["models"].items():
        for name, estimate in model["summary"].items():
            before = old["models"].get(label, {}).get("summary", {}).get(name)
            if before is None:
                continue
            sign = 1 if new["metrics"][name]["best"] == "low" else -1
            if sign * (estimate["mean"] - before["mean"]) > _TOLERANCE * abs(before["mean"]):
                protocol = new["protocol"]["name"]
                found.append(f"{protocol}, {label}: {name} {before['mean']:.4f} -> {estimate['mean']:.4f}")
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--protocols", nargs="+", default=list(PROTOCOLS), choices=list(PROTOCOLS))
    parser.add_argument("--workers", type=int)
    parser.add_argument("--work", type=Path, help="folder that keeps what is done, to go on with later")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--markdown", type=Path, help="file whose marked sections are replaced")
    args = parser.parse_args()
    behind: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        for protocol in args.protocols:
            figures = kept(protocol)
            if not args.show:
                new = measured(protocol, args.models, args.clips, args.work or Path(name), args.workers)
                behind += worse(figures, new) if figures and args.check else []
                figures = new if args.check else keep(protocol, new)
            if figures is None:
                sys.exit(f"no figures of {protocol} are kept in {FIGURES}")
            print(text := text_of(figures))
            if args.markdown and not args.check:
                replace_section(args.markdown, f"heads-test {protocol}", text)
    if behind:
        sys.exit("\n".join(["worse than what is kept:", *behind]))


if __name__ == "__main__":
    main()
