"""Measure everything that is promised, beside its bare limit, the public Minari and other peers.

python benchmarks/run.py                    # all topics
python benchmarks/run.py --only reading     # one of them
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import checkpoints
import collecting
import hub
import imports
import listing
import memory
import public_formats
import public_sampling
import reading
import sampling
import scaling
import writing
from report import Figure, machine, not_reached, results, table
from setting import Setting, folder_to_measure_in

_TOPICS = {
    "collecting": collecting.measure,
    "checkpoints": checkpoints.measure,
    "writing": writing.measure,
    "reading": reading.measure,
    "public-formats": public_formats.measure,
    "public-sampling": public_sampling.measure,
    "listing": listing.measure,
    "memory": memory.measure,
    "hub": hub.measure,
    "imports": imports.measure,
    "sampling": sampling.measure,
    "scaling": scaling.measure,
}
_RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    """Run the topics that are asked for and print their table."""
    options = _options()
    warnings.simplefilter("ignore")
    with folder_to_measure_in(options.root) as root:
        described = machine(root.parent)
        for name, value in described.items():
            print(f"{name}: {value}")
        print(flush=True)
        setting = Setting(root, options.quick, with_peers=not options.without_peers)
        start = time.perf_counter()
        figures: list[Figure] = []
        for topic in options.only or _TOPICS:
            print(f"measuring {topic} …", flush=True)
            for figure in _TOPICS[topic](setting):
                print(f"  {figure.work}: {figure.minari}, {figure.compared}", flush=True)
                figures.append(figure)
        minutes = (time.perf_counter() - start) / 60
        described["peers"] = setting.close()
    print(f"\n{table(figures)}\n\n{not_reached(figures)}")
    complaints = list(dict.fromkeys(setting.complaints))
    for complaint in complaints:
        print(complaint)
    print(f"peers: {described['peers']}")
    print(f"took {minutes:.1f} minutes")
    if options.json:
        text = json.dumps({"machine": described, "figures": [asdict(one) for one in figures]})
        options.json.write_text(text, encoding="utf-8")
    if options.write_results:
        _RESULTS.write_text(results(figures, complaints, described, minutes), encoding="utf-8")
        print(f"wrote {_RESULTS}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--only", action="append", choices=_TOPICS, help="a topic; can be given several times"
    )
    parser.add_argument("--quick", action="store_true", help="small data, to see that it works")
    parser.add_argument("--without-peers", action="store_true", help="leave out whoever is not us")
    parser.add_argument("--root", type=Path, help="a folder on the disk to measure on")
    parser.add_argument("--json", type=Path, help="a file for the figures as JSON")
    parser.add_argument(
        "--write-results", action="store_true", help=f"write {_RESULTS.name}; not with --quick"
    )
    options = parser.parse_args()
    if options.write_results and (options.quick or options.only or options.without_peers):
        parser.error("--write-results needs the whole run")
    return options


if __name__ == "__main__":
    sys.exit(main())
