"""Measure everything that is promised, beside its bare limit, the public Minari and other peers.

python benchmarks/run.py                          # all topics
python benchmarks/run.py reading                  # one of them
python benchmarks/run.py reading --json run.json  # keeps its figures beside those of other topics
python benchmarks/run.py --load run.json --write-results
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings
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
import shards
import streaming
import tables
import tasks
import terabytes
import training
import unit_costs
import writing
from report import add_topic, machine, not_reached, results, table
from saved_run import Part, Saved
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
    "training": training.measure,
    "shards": shards.measure,
    "terabytes": terabytes.measure,
    "tasks": tasks.measure,
    "scaling": scaling.measure,
    "tables": tables.measure,
    "streaming": streaming.measure,
    "costs": unit_costs.measure,
}
_RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    """Run the topics that are asked for, or take a saved run, and print and write its figures."""
    options = _options()
    warnings.simplefilter("ignore")
    saved = Saved.read(options.load) if options.load else _run(options)
    figures, complaints = saved.figures(_TOPICS), saved.complaints()
    print(f"\n{table(figures)}\n\n{not_reached(figures)}")
    for complaint in complaints:
        print(complaint)
    for topic, part in saved.topics.items():
        print(f"{topic} took {part.seconds / 60:.1f} minutes")
    if options.write_results:
        minutes = sum(part.seconds for part in saved.topics.values()) / 60
        _RESULTS.write_text(results(figures, complaints, saved.machine, minutes), encoding="utf-8")
        print(f"wrote {_RESULTS}")
    if options.write_topics:
        text = _RESULTS.read_text(encoding="utf-8")
        for topic, part in saved.topics.items():
            text = add_topic(text, topic, part.figures, saved.machine, part.seconds / 60)
        _RESULTS.write_text(text, encoding="utf-8")
        print(f"wrote {_RESULTS}")
    if options.write_results or options.write_costs:
        unit_costs.write_page(saved.figures(["costs"]))
        print(f"wrote {unit_costs.PAGE}")
    return int(any(part.failed for part in saved.topics.values()))


def _run(options: argparse.Namespace) -> Saved:
    """Measure topics; one that fails is told of, and ends no other."""
    with folder_to_measure_in(options.root) as root:
        saved = Saved(machine(root.parent))
        for name, value in saved.machine.items():
            print(f"{name}: {value}")
        print(flush=True)
        setting = Setting(root, options.quick, with_peers=not options.without_peers)
        for topic in options.only or _TOPICS:
            print(f"measuring {topic} …", flush=True)
            part = saved.topics[topic] = Part()
            start = time.perf_counter()
            try:
                for figure in _TOPICS[topic](setting):
                    print(f"  {figure.work}: {figure.minari}, {figure.compared}", flush=True)
                    part.figures.append(figure)
            except Exception as error:
                traceback.print_exc()
                part.failed = True
                part.complaints.append(f"{topic} failed: {type(error).__name__}: {error}")
            part.seconds = time.perf_counter() - start
            part.complaints += setting.take_complaints()
            if options.json:
                saved.write(options.json)
        saved.machine["peers"] = setting.close()
    if options.json:
        saved.write(options.json)
    return saved


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "topics", nargs="*", metavar="TOPIC", help=f"a topic: {', '.join(_TOPICS)}; all if none"
    )
    parser.add_argument("--only", action="append", choices=_TOPICS, help="the same as TOPIC")
    parser.add_argument("--quick", action="store_true", help="small data, to see that it works")
    parser.add_argument("--without-peers", action="store_true", help="leave out whoever is not us")
    parser.add_argument("--root", type=Path, help="a folder on the disk to measure on")
    parser.add_argument(
        "--json", type=Path, help="save the figures, after each topic; topics saved there stay"
    )
    parser.add_argument("--load", type=Path, help="measure nothing, and take what --json saved")
    parser.add_argument(
        "--write-results",
        action="store_true",
        help=f"write {_RESULTS.name} and {unit_costs.PAGE.name}; needs every topic, not --quick",
    )
    parser.add_argument(
        "--write-topics",
        action="store_true",
        help=f"write the topics into {_RESULTS.name} beside those of the whole run, not --quick",
    )
    parser.add_argument(
        "--write-costs", action="store_true", help=f"write {unit_costs.PAGE.name}; needs costs"
    )
    options = parser.parse_args()
    options.only = [*options.topics, *(options.only or ())]
    if unknown := set(options.only) - set(_TOPICS):
        parser.error(f"no such topic: {', '.join(unknown)}; there are {', '.join(_TOPICS)}")
    measured = set(Saved.read(options.load).topics if options.load else options.only or _TOPICS)
    is_small = options.quick or options.without_peers
    if options.write_topics and options.quick:
        parser.error("--write-topics needs what is measured in full")
    if options.write_results and (is_small or measured != set(_TOPICS)):
        parser.error("--write-results needs the whole run")
    if options.write_costs and (options.quick or "costs" not in measured):
        parser.error("--write-costs needs the topic costs, and not --quick")
    return options


if __name__ == "__main__":
    sys.exit(main())
