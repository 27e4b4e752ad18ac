"""Datasets of all four formats with mutated files, read and verified.

What holds, within bounds on memory and time: what is read is what was written, or an error of the
project's own says that it is damaged; and `verify` does not call wrong data sound.

Files that an earlier release wrote in the formats of the public Minari have no checksums. Of them
it is only asked that nothing crashes, hangs, or raises what is not the project's own.
"""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import minari
from minari_core.errors import MinariError
from minari_core.local.locations import datasets_root
from tests.campaigns.helpers.driven import (
    FORMATS,
    at_root,
    batches_of,
    contents_of,
    create,
    name_alike,
    new_collector,
)
from tests.campaigns.helpers.forked import Tell, ask, run_forked
from tests.campaigns.helpers.mutations import mutate
from tests.campaigns.helpers.reporting import Campaign
from tests.campaigns.helpers.tracebacks import find_last_call, shorten
from tests.campaigns.helpers.trials import import_what_it_imports
from tests.fixtures.earlier_release.rover import drive

NAME = "mutated_files"
COUNT, SHORT_COUNT = 20_000, 100
_SECONDS, _NBYTES = 15.0, 768 << 20
"""How long a case may take of a processor, and how much memory."""
_EARLIER = Path(__file__).parents[1] / "fixtures" / "earlier_release" / "stored" / "datasets"


@dataclass(frozen=True)
class _Template:
    """A dataset as it was written."""

    dataset_id: str
    root: Path
    has_checksums: bool
    guards_spaces: bool
    """Whether its spaces have a checksum, too; in earlier releases they had none."""
    answers: dict[str, Any]
    """What each question gets as an answer."""


def run(campaign: Campaign) -> None:
    """Mutate and ask; half of the cases are files of an earlier release."""
    templates = _templates(campaign)
    mutated = [template for template in templates if campaign.only in template.dataset_id]
    for case in campaign.cases():
        chosen = campaign.random(case)
        template = mutated[case % len(mutated)]
        _examine(campaign, case, template, templates, chosen)


def _templates(campaign: Campaign) -> list[_Template]:
    new, earlier = campaign.root / "new", campaign.root / "earlier"
    shutil.copytree(_EARLIER, earlier)
    with at_root(new):
        import_what_it_imports(partial(_write, campaign.seed))
    found = []
    for data_format in FORMATS:
        for root, dataset_id in (
            (new, f"new/{data_format}-v0"),
            (earlier, f"earlier/{data_format}-v0"),
        ):
            with at_root(root):
                answers = ask(partial(_ask_all, dataset_id))
            wrong = {name: answer for name, answer in answers.items() if answer[0] != "answer"}
            if wrong:
                raise RuntimeError(f"{dataset_id}, which is whole, gives {wrong}")
            has_checksums = root == new or data_format == "columnar"
            found.append(_Template(dataset_id, root, has_checksums, root == new, answers))
    return found


def _write(seed: int) -> None:
    """A dataset in each format, in three steps."""
    name_alike(seed)
    for data_format in FORMATS:
        dataset = create(f"new/{data_format}-v0", range(1, 3), data_format)
        for some in ((13, 14), (25,)):
            with new_collector(data_format) as env:
                for each in some:
                    drive(env, each, length=6)
                dataset.update_dataset_from_collector_env(env)


_QUESTIONS: dict[str, Callable[[str], Any]] = {
    "the list": lambda dataset_id: sorted(minari.list_local_datasets()),
    "verify": lambda dataset_id: _verified(dataset_id),
    "contents": lambda dataset_id: contents_of(minari.load_dataset(dataset_id)),
    "batches": lambda dataset_id: _batches(dataset_id),
    "what is streamed": lambda dataset_id: _streamed(dataset_id),
}


def _verified(dataset_id: str) -> list[Any]:
    report = minari.verify_dataset(dataset_id)
    problems = [str(problem) for problem in report.problems]
    return [report.ok, problems[:3], [str(remark) for remark in report.remarks][:20]]


def _batches(dataset_id: str) -> Any:
    dataset = minari.load_dataset(dataset_id)
    if dataset.storage.data_format != "columnar":
        return None  # those are not sampled from
    return batches_of(dataset)


def _streamed(dataset_id: str) -> Any:
    folder = datasets_root() / dataset_id
    if "columnar" not in dataset_id:
        return None  # those are not streamed
    return contents_of(minari.load_dataset(folder.as_uri(), stream=True))


def _ask_all(dataset_id: str) -> dict[str, list[Any]]:
    """Each answer; or the error, and whether it is the project's own."""
    answers = {}
    for name, question in _QUESTIONS.items():
        try:
            answers[name] = ["answer", json.loads(json.dumps(question(dataset_id), default=repr))]
        except MinariError as error:
            answers[name] = ["refused", f"{type(error).__name__}: {error}"]
        except Exception as error:
            trace = "".join(traceback.format_tb(error.__traceback__))
            text = f"{trace}{type(error).__name__}: {error}"[: len(trace) + 300]
            answers[name] = ["stray", type(error).__name__, text]
    return answers


def _examine(
    campaign: Campaign, case: int, template: _Template, templates: list[_Template], chosen: Any
) -> None:
    root = campaign.root / f"case{case}"
    namespace, name = template.dataset_id.split("/")
    others = [each.root / each.dataset_id / "data" for each in templates if each != template]

    def mutate_copy() -> list[Any]:
        shutil.copytree(template.root / template.dataset_id, root / namespace / name)
        mutation = mutate(root / namespace / name / "data", chosen, others)
        return [mutation.text, mutation.is_accident, mutation.is_forged]

    def ask_copy(tell: Tell) -> None:
        with at_root(root):
            tell(_ask_all(template.dataset_id))

    # In processes of their own: to mutate may take more memory than is granted to answer.
    text, is_accident, is_forged = ask(mutate_copy)
    ending = run_forked(ask_copy, cpu_seconds=30, seconds=240)
    what = f"{template.dataset_id}, {text}"
    data_format = name.removesuffix("-v0")

    def find(kind: str, details: str) -> None:
        campaign.find(case, f"{data_format}: {kind}", f"{what}\n{details}", root)

    if ending.fate:
        find(f"{ending.fate}{find_last_call(ending.errors)}", shorten(ending.errors))
        campaign.outcomes["crash or hang"] += 1
    else:
        (answers,) = ending.told
        campaign.outcomes[_judge(template, is_accident, is_forged, answers, find)] += 1
    if ending.seconds > _SECONDS and not ending.fate:
        find("takes long", f"{ending.seconds:.0f} s")
    if ending.nbytes > _NBYTES:
        find("takes much memory", f"{ending.nbytes >> 20} MiB")
    shutil.rmtree(root, ignore_errors=True)


def _judge(
    template: _Template,
    is_accident: bool,
    is_forged: bool,
    answers: dict[str, Any],
    find: Callable[[str, str], None],
) -> str:
    """The outcome in a word; finds what is wrong with it."""
    for question, answer in answers.items():
        if answer[0] == "stray":
            place = find_last_call(answer[2])
            find(f"{question} raises {answer[1]}{place}", shorten(answer[2]))
    if any(answer[0] == "stray" for answer in answers.values()):
        return "other error"
    wanted, reads = template.answers, ("contents", "batches")
    wrong = [
        f"{question}/{part}: {_difference(answers[question][1], right[1], part)}"
        for question, right in wanted.items()
        if question in reads and answers[question][0] == "answer"
        for part in (right[1] if isinstance(right[1], dict) else [""])
        if _part(answers[question][1], part) != _part(right[1], part)
        and part != "card"
        and (part != "spaces" or template.guards_spaces)
    ]
    refused = [
        question for question in ("contents", "batches") if answers[question][0] == "refused"
    ]
    streamed = "what is streamed"
    if template.guards_spaces and is_accident and answers[streamed][0] == "answer":
        # Each block that arrives is compared, so that nobody has to verify first.
        differences = [
            _difference(answers[streamed][1], wanted[streamed][1], part)
            for part in wanted[streamed][1] or ()
            if answers[streamed][1][part] != wanted[streamed][1][part]
        ]
        if differences:
            find("streams wrong data", "\n".join(differences)[:2000])
            return "wrong, and streamed"
    kind, *said = answers["verify"]
    is_ok = kind == "answer" and said[0][0]
    is_remarked = is_ok and said[0][2] != wanted["verify"][1][2]
    is_unknown = [answers[each][1].startswith("UnknownSpaceError") for each in refused]
    if refused and all(is_unknown) and is_remarked and not template.guards_spaces:
        # Without a checksum, the name of a space may be that of one which is not registered here.
        return "of an unknown space, which is remarked"
    if refused and is_ok:
        find("verify says ok of what cannot be read", answers[refused[0]][1])
        return "refused, and ok for verify"
    if wrong and is_ok and template.has_checksums and not is_forged:
        if is_accident or not is_remarked:
            parts = ", ".join(sorted({each.split(":")[0] for each in wrong}))
            find(f"verify says ok of wrong {parts}", "\n".join(wrong)[:2000])
            return "wrong, and ok for verify"
        return "changed by another program"
    if refused:
        return "refused"
    if wrong:
        return "wrong and found by verify" if not is_ok else "wrong, and nobody can know"
    return "right" if is_ok else "right, though not ok"


def _part(answer: Any, part: str) -> Any:
    return answer[part] if part else answer


def _difference(found: Any, wanted: Any, part: str) -> str:
    """Where two answers differ first."""
    found, wanted = _part(found, part), _part(wanted, part)
    where = ""
    while True:
        if isinstance(found, dict) and isinstance(wanted, dict) and found.keys() == wanted.keys():
            key = next(key for key in wanted if found[key] != wanted[key])
        elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
            key = next(index for index in range(len(wanted)) if found[index] != wanted[index])
        else:
            return f"{where} is {str(found)[:200]}, was {str(wanted)[:200]}"
        where, found, wanted = f"{where}/{key}", found[key], wanted[key]
