"""What may become of files that other libraries have written, beside what becomes of datasets."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.helpers import edits
from tests.campaigns.helpers.mutations import Mutation, change_json, files_of, mutate

_OUTSIDE = ("/etc/passwd", "/dev/zero", "/proc/self/mem")


def mutate_layout(folder: Path, chosen: random.Random, others: list[Path]) -> Mutation:
    """Change one thing in a folder that has the files of a layout.

    Args:
        folder: The folder.
        chosen: What everything random follows from.
        others: Folders of other layouts, to take files from.
    """
    more: list[Callable[[Path, random.Random], Mutation]] = [_lead_elsewhere]
    if files_of(folder, ".jsonl"):
        more += [_edit_lines] * 3
    if any(".tfrecord" in path.name for path in files_of(folder)):
        more += [_edit_record] * 10
    if chosen.random() < len(more) / (24 + len(more)):
        return chosen.choice(more)(folder, chosen)
    return mutate(folder, chosen, others)


def _lead_elsewhere(folder: Path, chosen: random.Random) -> Mutation:
    """Put a link or a pipe in a file's place."""
    path = chosen.choice(files_of(folder))
    where = path.relative_to(folder).as_posix()
    path.unlink()
    if chosen.random() < 0.3:
        os.mkfifo(path)
        return Mutation(f"{where} is a pipe", is_accident=True)
    target = chosen.choice([*_OUTSIDE, path.name])
    path.symlink_to(target)
    return Mutation(f"{where} leads to {target}", is_accident=True)


def _edit_lines(folder: Path, chosen: random.Random) -> Mutation:
    """Change a value in a file of a JSON object a line."""
    path = chosen.choice(files_of(folder, ".jsonl"))
    said = [json.loads(line) for line in path.read_text().splitlines()]
    text = change_json(said, chosen)
    path.write_text("".join(f"{json.dumps(each)}\n" for each in said))
    return Mutation(f"{path.relative_to(folder).as_posix()}: {text}", is_accident=False)


def _edit_record(folder: Path, chosen: random.Random) -> Mutation:
    """Change bytes of a record of TensorFlow, whose checksum is computed anew."""
    from minari.interchange.rlds.records import iterate_records, write_record

    path = chosen.choice([each for each in files_of(folder) if ".tfrecord" in each.name])
    records = [bytearray(record) for record in iterate_records(path)]
    number = chosen.randrange(len(records))
    text = edits.change_bytes(records[number], chosen)
    with path.open("wb") as file:
        for record in records:
            write_record(file, bytes(record))
    where = path.relative_to(folder).as_posix()
    return Mutation(f"record {number} of {where}: {text}", is_accident=False, is_forged=True)
