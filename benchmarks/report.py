"""What was measured, as a table."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from measure import LIMIT, MINARI, Times, median, ratio
from peer import PUBLIC_MINARI

NOTHING = "—"
_LIBRARIES = ("numpy", "gymnasium", "h5py", "zstandard", "filelock", "mujoco")
_OWN = ("minari-core", "minari-collect", "minari-hub", "minari")


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    work: str
    """What is measured."""
    minari: str
    """This project's figure."""
    limit: str = NOTHING
    """The bare limit's figure, and what the limit is."""
    compared: str = NOTHING
    """How the two compare, in the words of the target."""
    target: str = NOTHING
    """What is to be reached."""
    reached: bool | None = None
    """Whether it is; None where there is no target."""
    public: str = NOTHING
    """The public Minari's figure."""
    others: str = NOTHING
    """The figures of other peers."""
    obstacle: str = ""
    """What stands in the way if the target is not reached."""
    values: dict[str, float | None] = field(default_factory=dict)
    """The numbers, in seconds and bytes."""


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table in Markdown."""
    head = (
        "what",
        "minari",
        "bare limit",
        "compared",
        "target",
        "reached",
        f"public minari {PUBLIC_MINARI.version}",
        "other peers",
    )
    rows: list[tuple[str, ...]] = [head]
    for one in figures:
        reached = {None: NOTHING, True: "yes", False: "**no**"}[one.reached]
        cells = (one.work, one.minari, one.limit, one.compared, one.target, reached, one.public)
        rows.append((*cells, one.others))
    if all(one.others == NOTHING for one in figures):
        rows = [row[:-1] for row in rows]
    return markdown(rows)


def markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown; the first row is its head."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def not_reached(figures: Sequence[Figure]) -> str:
    """A line on each figure that misses its target."""
    missed = [one for one in figures if one.reached is False]
    if not missed:
        return "Every target was reached."
    return "\n".join(
        f"- {one.work}: {one.compared}, target {one.target}. {one.obstacle}".rstrip()
        for one in missed
    )


def machine(root: Path) -> dict[str, str]:
    """What the figures depend on."""
    versions = []
    for name in (*_OWN, *_LIBRARIES):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "processor": f"{_processor()}, {os.cpu_count()} cores, load at the start {load}",
        "memory": _memory(),
        "system": platform.platform(),
        "Python": platform.python_version(),
        "libraries": ", ".join(versions),
        "disk": file_system(root),
    }


def results(
    figures: Sequence[Figure],
    complaints: Sequence[str],
    described: dict[str, str],
    minutes: float,
) -> str:
    """The text of ``RESULTS.md``."""
    parts = (
        "# Results",
        f"Made by `hatch run bench --write-results` in {minutes:.0f} minutes, and to be repeated "
        "with it.\nWhat is compared was run in turns, and the medians of several rounds are shown; "
        "compare ratios, not milliseconds.\nEvery peer did the same work with the same data, in "
        "an environment of its own.",
        table(figures),
        "## What was not reached",
        not_reached(figures),
        "## What could not be compared" if complaints else "",
        "\n".join(f"- {complaint}" for complaint in complaints),
        "## Measured on",
        "\n".join(f"- {name}: {value}" for name, value in described.items()),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def add_topic(
    text: str, topic: str, figures: Sequence[Figure], described: dict[str, str], minutes: float
) -> str:
    """Replace or add the section of a topic that was measured later than the others.

    Args:
        text: The text of ``RESULTS.md``.
        topic: The name of the topic.
        figures: Its figures.
        described: What they depend on.
        minutes: How long it took.
    """
    heading = f"## Measured later: {topic}"
    sections = [part for part in text.split("\n\n## ") if f"## {part}".split("\n")[0] != heading]
    parts = (
        f"## Measured later: {topic}",
        f"Made by `hatch run bench {topic} --write-topics` in {minutes:.0f} minutes.",
        table(figures),
        not_reached(figures),
        "\n".join(f"- {name}: {value}" for name, value in described.items()),
    )
    return "\n\n## ".join(sections).rstrip("\n") + "\n\n" + "\n\n".join(parts) + "\n"


def file_system(path: Path) -> str:
    """The device and type of the file system that a folder is on, where the system tells."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "an unknown file system"
    best, found = "", "an unknown file system"
    for line in mounts.read_text().splitlines():
        device, place, kind = line.split()[:3]
        inside = path.resolve().is_relative_to(place)
        if inside and len(place) >= len(best):
            best, found = place, f"{device} ({kind})"
    return found


def milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    return f"{seconds * 1e3:.{1 if seconds >= 0.01 else 2}f} ms"


def microseconds(seconds: float | None) -> str:
    return NOTHING if seconds is None else f"{seconds * 1e6:.2f} µs"


def megabytes(nbytes: float | None) -> str:
    return NOTHING if nbytes is None else f"{nbytes / 1e6:.1f} MB"


def compare_with_limit(
    work: str,
    times: Times,
    limit: str,
    most: float,
    show: Callable[[float | None], str] = microseconds,
    obstacle: str = "",
) -> Figure:
    """How many times as long this project takes as its limit, of which it may take so many."""
    slower = ratio(times)
    return Figure(
        work=work,
        minari=show(median(times, MINARI)),
        limit=f"{show(median(times, LIMIT))} ({limit})",
        compared=f"{slower:.2f} ×",
        target=f"{most} ×",
        reached=slower <= most,
        values={name: median(times, name) for name in times} | {"ratio": slower},
        obstacle=obstacle,
    )


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB"
    return "unknown"
