"""Every name and call of the public Minari's releases is here, or is missing for a reason.

``public_names.json`` lists them; ``tests/interop/list_public_names.py`` made it of 0.3.0 to 0.5.4.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

LISTED: dict[str, dict[str, dict[str, str]]] = json.loads(
    (Path(__file__).parent / "public_names.json").read_text(encoding="utf-8")
)
NEWEST = "0.5.4"

# What is missing on purpose, as ``module:name``, with the reason.
ABSENT = {
    "minari.dataset._storages*:*": "the classes of formats are others; get_storage_keys is there",
    "minari.storage.remotes*:*": "remotes are objects of minari_hub.open_remote",
    "*:get_cloud_storage": "remotes are objects of minari_hub.open_remote",
    "minari.cli:*": "the commands of minari.cli.app are for the terminal",
    "*:list_non_hidden_dirs": "list_local_datasets and list_local_namespaces walk the folders",
    "*:*_RE": "parse_dataset_id knows the rule",
    "*:NAMESPACE_REGEX": "validate_namespace knows the rule",
    "minari.serialization:type_value_dispatch*": "deserialize_space is a function with `register`",
}
# Names that only releases before 0.5 had, and that 0.5 itself took away.
ABSENT_SINCE_0_5 = {
    "*:STEP_DATA_KEYS": "StepData has the keys",
    "minari.data_collector.callbacks.step_data:*": "the module is step_callback",
    "*:clear_episode_buffer": "buffers are EpisodeBuffer objects",
    "*:EpisodeData.total_timesteps": "total_steps",
    "*:MinariDatasetSpec.flatten_*": "observations are stored with their structure",
    "*:MinariDatasetSpec.env_name": "dataset_name and namespace",
    "*:MinariStorage.*": "the metadata of a storage has it; update_from_storage adds",
    "*:DataCollector*.save_to_disk": "create_dataset",
    "*:DataCollectorV0.clear_buffer_to_tmp_file": "buffers are written by themselves",
    "*:combine_minari_version_specifiers": "versions are no specifiers any more",
    "*:find_highest_remote_version": "list_remote_datasets(latest_version=True)",
    "*:get_remote_dataset_versions": "list_remote_datasets",
    "minari.dataset.*:DataCollectorV0": "minari.DataCollectorV0",
    "minari.utils:*": "minari has the collectors and create_dataset_from_collector_env",
    "minari.*:serialize_space": "minari.serialization",
    "minari.storage.hosting:*": "minari.storage.local, and METADATA_FILE_NAME in minari_storage",
}
# Calls of releases before 0.5.4 that 0.5.4 itself took away or that have another form here.
CALLED_OTHERWISE = {
    "*:*MinariStorage": "MinariStorage.read and MinariStorage.new",
    "*:StepData": "a TypedDict has no call to compare",
    "*:serialize_space": "of `functools.singledispatch`, whose call is `(*args, **kw)`",
}
# Calls of earlier releases that 0.5.4 itself does not take any more.
CALLED_BEFORE_0_5_4 = {
    "*:DataCollector": "without max_buffer_steps, since 0.5.0",
    "*:DataCollector.create_dataset": "without minari_version, since 0.5.0",
    "*:EpisodeData": "without seed and total_timesteps, since 0.5.0",
    "*:MinariDatasetSpec": "without flatten_observations and flatten_actions, since 0.4.0",
    "*:StepDataCallback": "a class without arguments, since 0.4.0",
    "*:combine_datasets": "without copy, since 0.4.3",
    "*:create_dataset_from_collector_env": "DataCollector.create_dataset, since 0.5.0",
    "*:list_remote_datasets": "remote_path and prefix come first, since 0.5.2",
    "*:upload_dataset": "token, since 0.5.2",
    "*:upload_namespace": "token, since 0.5.2",
}
SAME = {
    "dataset_id": "dataset_name",
    "new_dataset_id": "new_dataset_name",
    "space_dict": "space",
    "metadatas": "metadata",
    "kwargs": "metadata",
}


def names_of(*, newest: bool) -> Iterator[tuple[str, str, str]]:
    """Modules, names and their last signatures, of 0.5.4 or of releases before 0.5 alone."""
    for module, names in LISTED.items():
        for name, signatures in names.items():
            signature, releases = max(signatures.items(), key=lambda item: item[1].split()[-1])
            is_newest = releases.endswith(NEWEST)
            if is_newest == newest and (is_newest or not releases.split()[-1].startswith("0.5")):
                yield module, name, signature


def is_listed(key: str, patterns: dict[str, str]) -> bool:
    return any(fnmatch(key, pattern) for pattern in patterns)


def find(module: str, name: str) -> object:
    found: object = importlib.import_module(module)
    owner, _, member = name.partition(".")
    found = getattr(found, owner)
    if member and member not in getattr(found, "__annotations__", {}):
        fields = getattr(found, "__dataclass_fields__", {})
        found = fields[member] if member in fields else getattr(found, member)
    return found


def list_broken_calls(found: Callable[..., object], signature: str) -> Iterator[str]:
    """What of a call with this signature does not work any more."""
    parameters = inspect.signature(found).parameters.values()
    ours = [each for each in parameters if each.name != "self"]
    takes_any = {each.kind for each in ours}
    by_position = [each.name for each in ours if each.kind == each.POSITIONAL_OR_KEYWORD]
    keywords = {each.name for each in ours}
    theirs = [each.strip() for each in signature.split(",") if each.strip()]
    names = [each.rstrip("=") for each in theirs]
    until = names.index("*") if "*" in names else len(names)
    for position, name in enumerate(names):
        if name.startswith("*"):
            continue
        aliases = {name, SAME.get(name, name)}
        # Another name of it is the same by position alone.
        if name not in keywords and inspect.Parameter.VAR_KEYWORD not in takes_any:
            yield f"no argument {name}"
        elif (
            position < until
            and not aliases & set(by_position[position : position + 1])
            and inspect.Parameter.VAR_POSITIONAL not in takes_any
        ):
            yield f"{name} is not argument {position} by position"
    for each in ours:
        is_needed = each.default is each.empty and each.kind == each.POSITIONAL_OR_KEYWORD
        if is_needed and not {each.name, *(k for k, v in SAME.items() if v == each.name)} & set(
            names
        ):
            yield f"{each.name} is needed"


def test_every_name_and_call_of_the_newest_release_is_here() -> None:
    problems = []
    for module, name, signature in names_of(newest=True):
        key = f"{module}:{name}"
        if is_listed(key, ABSENT):
            continue
        try:
            found = find(module, name)
        except (ImportError, AttributeError) as error:
            problems.append(f"{key}: {error}")
            continue
        if signature not in ("value", "class") and not is_listed(key, CALLED_OTHERWISE):
            assert callable(found)
            broken = list_broken_calls(found, signature.removeprefix("class "))
            problems += [f"{key}({signature}): {each}" for each in broken]
    assert not problems, "\n".join(problems)


def test_calls_of_earlier_releases_work_unless_the_newest_one_refuses_them() -> None:
    broken: dict[str, list[str]] = {}
    absent = {**ABSENT, **ABSENT_SINCE_0_5, **CALLED_OTHERWISE}
    for module, names in LISTED.items():
        for name, signatures in names.items():
            key = f"{module}:{name}"
            if is_listed(key, absent) or not set(signatures).isdisjoint({"value", "class"}):
                continue
            found = find(module, name)
            assert callable(found)
            for signature in signatures:
                problems = list(list_broken_calls(found, signature.removeprefix("class ")))
                if problems:
                    broken.setdefault(key, []).append(f"({signature}): {problems}")
    assert {
        key: each for key, each in broken.items() if not is_listed(key, CALLED_BEFORE_0_5_4)
    } == {}
    assert [each for each in CALLED_BEFORE_0_5_4 if not any(fnmatch(k, each) for k in broken)] == []


def test_what_releases_before_0_5_had_is_here_or_is_missing_for_a_reason() -> None:
    missing = []
    for module, name, _ in names_of(newest=False):
        key = f"{module}:{name}"
        if is_listed(key, ABSENT) or is_listed(key, ABSENT_SINCE_0_5):
            continue
        try:
            find(module, name)
        except (ImportError, AttributeError) as error:
            missing.append(f"{key}: {error}")
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("patterns", [ABSENT, ABSENT_SINCE_0_5])
def test_nothing_is_called_absent_that_is_not_listed(patterns: dict[str, str]) -> None:
    keys = [f"{module}:{name}" for module, names in LISTED.items() for name in names]
    unused = [each for each in patterns if not any(fnmatch(key, each) for key in keys)]
    assert not unused
