"""Every model on this machine, as `countenance bench` measures it, for docs/results.md.

python benchmarks/models.py [--frames 200] [--markdown docs/results.md]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from countenance.cli.bench import Bench
from page import replace_section


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--markdown", type=Path, help="file whose marked section is replaced")
    args = parser.parse_args()
    summary = Bench(frames=args.frames).run()
    shown = [line for line in summary["text"].splitlines() if not line.startswith("left out")]
    text = "`python benchmarks/models.py`, the same as `countenance bench`: " + "\n".join(shown)
    print(text)
    if args.markdown:
        replace_section(args.markdown, "bench", text)


if __name__ == "__main__":
    main()
