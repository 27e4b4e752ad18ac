"""Files of other libraries' layouts that were mutated, and imported.

What holds, within bounds on memory and time: what is imported is a sound dataset, or the error is
one of the project's own and leaves nothing behind. Few of these layouts have checksums: whether
what was read is what was written is asked only where all bytes of a file have one.
"""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import minari
from minari_core.errors import MinariError
from tests.campaigns.helpers.driven import at_root, contents_of, name_alike, staged
from tests.campaigns.helpers.forked import Tell, ask, run_forked
from tests.campaigns.helpers.layout_mutations import mutate_layout
from tests.campaigns.helpers.reporting import Campaign
from tests.campaigns.helpers.tracebacks import find_last_call, shorten
from tests.campaigns.helpers.trials import import_what_it_imports
from tests.minari.interchange.demonstrations import examples as demonstrations
from tests.minari.interchange.flat import examples as flat
from tests.minari.interchange.lerobot.helpers import (
    make_foreign_folder,
    make_old_folder,
    make_rich_dataset,
)

NAME = "mutated_layouts"
COUNT, SHORT_COUNT = 5_000, 60
_SECONDS, _NBYTES = 15.0, 768 << 20
"""How long a case may take of a processor, and how much memory."""
_ID = "imported/again-v0"
_FILE = "file"
"""What the file or folder of a layout is called, apart from its suffix."""


@dataclass(frozen=True)
class _Example:
    """A file or folder of a layout."""

    name: str
    write: Callable[[Path], object]
    suffix: str = ""
    strip: Callable[[Path], object] | None = None
    """What takes out of it all that says that this project wrote it."""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        return f"{_FILE}{self.suffix}"

    @property
    def layout(self) -> str:
        return self.name.split()[0]


def run(campaign: Campaign) -> None:
    """Mutate and import."""
    examples = [each for each in _list_examples() if campaign.only in each.name]
    import_what_it_imports(partial(_write_all, campaign, examples))
    wanted = {each.name: ask(partial(_import_whole, campaign, each)) for each in examples}
    for case in campaign.cases():
        example = examples[case % len(examples)]
        _examine(campaign, case, example, examples, wanted[example.name])


def _list_examples() -> list[_Example]:
    own = [
        _Example("lerobot", partial(_export, make_rich_dataset, "lerobot", fps=10)),
        _Example(
            "rlds", partial(_export, partial(make_rich_dataset, without=("nothing",)), "rlds")
        ),
        _Example("parquet", partial(_export, flat.make_dataset, "parquet")),
        _Example("robomimic", partial(_export, demonstrations.make_dataset, "robomimic"), ".hdf5"),
        _Example("isaaclab", partial(_export, demonstrations.make_dataset, "isaaclab"), ".hdf5"),
        _Example("bundle", partial(_export, flat.make_dataset, "bundle")),
        _Example("maniskill", demonstrations.write_trajectories, ".h5"),
        _Example("ogbench", partial(_export, flat.make_dataset, "ogbench"), ".npz"),
        _Example("d4rl", partial(_export, flat.make_dataset, "d4rl"), ".hdf5"),
        _Example(
            "dsrl", partial(_export, partial(flat.make_dataset, with_cost=True), "dsrl"), ".hdf5"
        ),
    ]
    by_name = {each.name: each for each in own}
    ends = {"ends": "truncated"}
    return [
        *own,
        _Example("lerobot 3.0 of others", make_foreign_folder, options=ends),
        _Example("lerobot 2.1 of others", make_old_folder, options=ends),
        _strip(by_name["rlds"], lambda path: (path / "minari.json").unlink()),
        _strip(by_name["robomimic"], _drop_group, **ends),
        _strip(by_name["d4rl"], _drop_group),
        _strip(by_name["ogbench"], _drop_arrays),
    ]


def _strip(example: _Example, strip: Callable[[Path], object], **options: Any) -> _Example:
    name = f"{example.name} of others"
    return _Example(name, example.write, example.suffix, strip, options)


def _export(
    make: Callable[[], minari.MinariDataset], layout: str, path: Path, **options: Any
) -> None:
    dataset = make()
    minari.export_dataset(dataset, path, layout, **options)
    minari.delete_dataset(dataset.id)


def _drop_group(path: Path) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        del file["minari"]


def _drop_arrays(path: Path) -> None:
    import numpy as np

    with np.load(path) as file:
        kept = {name: file[name] for name in file.files if not name.startswith("minari_")}
    np.savez(path, **kept)


def _folder(campaign: Campaign, example: _Example) -> Path:
    return campaign.root / "written" / example.name


def _write_all(campaign: Campaign, examples: list[_Example]) -> None:
    name_alike(campaign.seed)
    with at_root(campaign.root / "root"):
        for example in examples:
            folder = _folder(campaign, example)
            folder.mkdir(parents=True)
            example.write(folder / example.file_name)
            if example.strip is not None:
                example.strip(folder / example.file_name)
            shutil.rmtree(folder / "new", ignore_errors=True)
            # What it is imported by is loaded once, and not by each case.
            _import_whole(campaign, example)


def _import_whole(campaign: Campaign, example: _Example) -> Any:
    root = campaign.root / "whole"
    with at_root(root):
        contents = _import(_folder(campaign, example), example, named=True)
        assert _import(_folder(campaign, example), example, named=False) == contents
    shutil.rmtree(root)
    return json.loads(json.dumps(contents, default=repr))


def _import(folder: Path, example: _Example, *, named: bool) -> Any:
    layout = example.layout if named else None
    path = folder / example.file_name
    minari.import_dataset(path, _ID, layout, **example.options)
    try:
        report = minari.verify_dataset(_ID)
        if not report.ok:
            raise RuntimeError(f"what was imported is damaged: {report.problems[0]}")
        return contents_of(minari.load_dataset(_ID))
    finally:
        minari.delete_dataset(_ID)


def _examine(
    campaign: Campaign, case: int, example: _Example, examples: list[_Example], wanted: Any
) -> None:
    chosen = campaign.random(case)
    root = campaign.root / f"case{case}"
    folder = root / "written"
    others = [_folder(campaign, each) for each in examples if each != example]
    named = chosen.random() < 0.7

    def mutate_copy() -> list[Any]:
        shutil.copytree(_folder(campaign, example), folder)
        mutation = mutate_layout(folder, chosen, others)
        return [mutation.text, mutation.is_accident]

    def import_copy(tell: Tell) -> None:
        with at_root(root / "datasets"):
            tell(_answer(partial(_import, folder, example, named=named)))
            tell([*minari.list_local_datasets(), *staged()])

    text, is_accident = ask(mutate_copy)
    ending = run_forked(import_copy, cpu_seconds=30, seconds=240)
    what = f"{example.name}, {'by name' if named else 'to be recognized'}, {text}"

    def find(kind: str, details: str) -> None:
        campaign.find(case, f"{example.layout}: {kind}", f"{what}\n{details}", root)

    if ending.fate:
        find(f"{ending.fate}{find_last_call(ending.errors)}", shorten(ending.errors))
        campaign.outcomes["crash or hang"] += 1
    else:
        (kind, said), left = ending.told
        has_checksums = example.layout in ("bundle", "rlds", "ogbench") and ".json" not in text
        if kind == "stray":
            find(f"the import raises a stray error{find_last_call(said)}", shorten(said))
        elif kind == "answer" and said != wanted:
            kind = "other data"
            if has_checksums and is_accident:
                find("other data in spite of checksums", "")
        if left:
            find("leaves something behind", str(left))
        campaign.outcomes[kind] += 1
    if ending.seconds > _SECONDS and not ending.fate:
        find("takes long", f"{ending.seconds:.0f} s")
    if ending.nbytes > _NBYTES:
        find("takes much memory", f"{ending.nbytes >> 20} MiB")
    shutil.rmtree(root, ignore_errors=True)


def _answer(question: Callable[[], Any]) -> list[Any]:
    """What is returned; or the error, and whether it is the project's own."""
    try:
        return ["answer", json.loads(json.dumps(question(), default=repr))]
    except MinariError as error:
        return ["refused", f"{type(error).__name__}: {error}"]
    except Exception as error:
        trace = "".join(traceback.format_tb(error.__traceback__))
        return ["stray", f"{trace}{type(error).__name__}: {error}"[: len(trace) + 300]]
