"""`make fuzz`: many damaged files for every reader; what is found is kept, and makes the command fail."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # child processes have no threads of their parent's to wait for

from fuzz.campaign import campaign
from fuzz.readers import READERS


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=50_000, help="in all, shared by the readers")
    parser.add_argument("--seed", type=int, default=0, help="another one damages otherwise")
    parser.add_argument(
        "--reader", action="append", choices=[reader.name for reader in READERS], help="only these"
    )
    parser.add_argument(
        "--keep", type=Path, default=Path("findings"), help="folder for files that were found"
    )
    given = parser.parse_args()
    chosen = [reader for reader in READERS if not given.reader or reader.name in given.reader]
    total = Counter[str]()
    for reader in chosen:
        seen, start = Counter[str](), time.monotonic()
        for finding in campaign(reader, -(-given.inputs // len(chosen)), given.seed, seen):
            kept = given.keep / f"{finding.reader}-{given.seed}-{finding.number}-{finding.file}"
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(finding.content)
            kept.with_name(f"{kept.name}.txt").write_text(f"{finding.trouble}\n{finding.words}")
            last = finding.words.strip().rpartition("\n")[2][:150]
            print(f"  {finding.trouble}: {kept}: {last}", flush=True)
        total += seen
        counts = ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
        print(f"{reader.name}: {counts} in {time.monotonic() - start:.0f} s", flush=True)
    wrong = sum(count for what, count in total.items() if what not in ("read", "refused"))
    print(f"{total.total()} inputs, {wrong} findings" + (f", in {given.keep}" if wrong else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
