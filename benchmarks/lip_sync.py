"""SyncNet's confidence (AVConf), offset and distance of talking videos, where its weights are present.

python benchmarks/lip_sync.py VIDEO [VIDEO ...]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from countenance.errors import CountenanceError
from countenance.evaluation.metrics.syncnet import load_syncnet
from countenance.evaluation.synced_faces import lip_sync_of_video
from countenance.trackers.catalogue import load_tracker


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, nargs="+")
    args = parser.parse_args()
    try:
        network, tracker = load_syncnet(), load_tracker()
        print("| video | AVConf | AVOffset (frames) | distance |\n| --- | --- | --- | --- |")
        for path in args.videos:
            found = lip_sync_of_video(path, tracker, network)
            print(f"| {path.name} | {found.confidence:.2f} | {found.offset_frames} | {found.distance:.2f} |")
    except CountenanceError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
