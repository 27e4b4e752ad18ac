"""A run goes on only as what it was begun as."""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from minari_collect import CollectProgress, EpisodeMetadataCallback
from minari_collect import collect_dataset as collect
from minari_collect.workers.messages import INCOMPLETE_PREFIX
from minari_collect.workers.transport import put_in_place
from minari_core import MinariDataset
from minari_core.errors import DataError, RecordingError
from tests.collect.helpers.collect_work import Counting, NoisySum, OwnEnds, Troubled, by_sign

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is (set to )?None", "ignore:.*is recorded as it is"
)
HAS_MODES = hasattr(gymnasium.vector, "AutoresetMode")


class StopCollectingError(Exception):
    pass


def stop_after_some(progress: CollectProgress) -> None:
    if progress.episodes:
        raise StopCollectingError


def collected(**arguments: Any) -> MinariDataset:
    return collect(
        "tests/a-v0",
        **{
            "env": Counting,
            "total_episodes": 6,
            "episodes_per_task": 3,
            "workers": 1,
            "executor": ThreadPoolExecutor(1),
            "seed": 1,
            **arguments,
        },
    )


def begin(**arguments: Any) -> None:
    executor = ThreadPoolExecutor(1)
    with pytest.raises(StopCollectingError):
        collected(**arguments, executor=executor, progress=stop_after_some)
    # The task that was going on is not stopped; here nobody may write any more.
    executor.submit(int).result()


class Noisy:
    """A policy that holds something."""

    def __init__(self, noise: float) -> None:
        self.noise = noise

    def __call__(self, observation: Any) -> int:
        return int(self.noise)


class Graded(EpisodeMetadataCallback):
    def __init__(self, grade: int) -> None:
        self.grade = grade


def make_counting(**more: Any) -> Counting:
    return Counting()


class Costly:
    """A policy that computes something when it is first asked."""

    def __init__(self, noise: np.random.Generator | None = None) -> None:
        self.noise = noise

    @functools.cached_property
    def table(self) -> Any:
        return np.arange(9)

    def __call__(self, observation: Any) -> int:
        return int(self.table[3])


def returning(number: int) -> Callable[[Any], int]:
    return lambda observation: number


CONFLICTS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("policies", {"policy": None}, {"policy": by_sign}, "policy none, not .*:by_sign"),
    ("values of policies", {"policy": Noisy(1)}, {"policy": Noisy(2)}, "another policy"),
    ("lambdas", {"policy": lambda o: 1}, {"policy": lambda o: 2}, "another policy"),
    ("closures", {"policy": returning(1)}, {"policy": returning(2)}, "another policy"),
    ("lambdas for environments", {"env": lambda: Counting()}, {"env": lambda: make_counting()},
     "another env of the same name"),
    ("environments", {"env": Counting}, {"env": make_counting}, "env .*:Counting', not"),
    ("partial functions", {"env": functools.partial(make_counting, a=1)},
     {"env": functools.partial(make_counting, a=2)}, "another env of the same name"),
    ("arguments", {"env": make_counting, "env_kwargs": {"a": 1}},
     {"env": make_counting, "env_kwargs": {"a": 2}}, r"env_kwargs {'a': 1}, not {'a': 2}"),
    ("arguments that are no JSON", {"env": make_counting, "env_kwargs": {"a": Noisy(1)}},
     {"env": make_counting, "env_kwargs": {"a": Noisy(2)}}, "another env_kwargs"),
    ("options", {"reset_options": {"a": 1}}, {"reset_options": {"a": 2}}, "reset_options {'a': 1}"),
    ("options or none", {}, {"reset_options": {"a": 2}}, "reset_options none, not {'a': 2}"),
    ("limits or none", {}, {"max_episode_steps": 9}, "max_episode_steps none, not 9"),
    ("none or limits", {"max_episode_steps": 9}, {}, "max_episode_steps 9, not none"),
    ("infos", {"record_infos": True}, {}, "record_infos True, not False"),
    ("several", {"max_episode_steps": 9}, {"record_infos": True},
     "record_infos False, not True; max_episode_steps 9, not none; resume with the same"),
    ("seeds", {"seed": 1}, {"seed": 2}, "seed 1, not 2"),
    ("callbacks", {}, {"step_data_callback": OwnEnds},
     "step_data_callback .*:StepDataCallback', not .*:OwnEnds"),
    ("seeds of generators", {"policy": Costly(np.random.default_rng(1))},
     {"policy": Costly(np.random.default_rng(2))}, "another policy of the same name"),
    ("values of callbacks", {"episode_metadata_callback": Graded(1)},
     {"episode_metadata_callback": Graded(2)}, "another episode_metadata_callback"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("earlier", "later", "difference"),
    [case for _, *case in CONFLICTS],
    ids=[name for name, *_ in CONFLICTS],
)
def test_a_run_is_not_resumed_as_another_one(
    earlier: dict[str, Any], later: dict[str, Any], difference: str, datasets_root: Path
) -> None:
    pytest.importorskip("cloudpickle")
    begin(**earlier)
    (folder,) = (datasets_root / ".staging").glob("run-*")
    kept = sorted(path.name for path in folder.glob("episodes-*"))

    with pytest.raises(RecordingError, match=f"was collected with {difference}"):
        collected(**later, resume=True)

    assert sorted(path.name for path in folder.glob("episodes-*")) == kept
    assert len(collected(**earlier, resume=True)) == 6


@pytest.mark.skipif(not HAS_MODES, reason="resets by mask are newer")
def test_a_run_is_not_resumed_with_another_number_of_environments() -> None:
    begin()
    with pytest.raises(RecordingError, match="num_envs 1, not 3"):
        collected(num_envs=3, resume=True)


@pytest.mark.parametrize(
    "later",
    [
        {"total_episodes": 9},
        {"seed": None},
        {"workers": 3, "episodes_per_task": 2},
        {"max_buffer_steps": 50},
        {"episode_timeout": 99.0, "max_attempts": 5},
        {"policy": NoisySum()},
        {"env_kwargs": {}},
    ],
    ids=lambda later: next(iter(later)),
)
def test_what_changes_no_episode_may_change(later: dict[str, Any]) -> None:
    earlier: dict[str, Any] = {"policy": NoisySum()}
    begin(**earlier)

    assert len(collected(**{**earlier, **later}, resume=True)) == later.get("total_episodes", 6)


def change_arguments(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    (path,) = root.glob(".staging/run-*/run.json")
    known = json.loads(path.read_text())
    change(known)
    path.write_text(json.dumps(known))


def test_what_an_earlier_release_did_not_note_is_not_compared(datasets_root: Path) -> None:
    begin(policy=Noisy(1))
    noted = ("dataset_id", "seed", "env", "record_infos", "max_episode_steps")

    def forget(known: dict[str, Any]) -> None:
        for key in set(known) - set(noted):
            del known[key]

    change_arguments(datasets_root, forget)
    with pytest.raises(RecordingError, match="record_infos"):
        collected(policy=Noisy(2), resume=True, record_infos=True)

    assert len(collected(policy=Noisy(2), resume=True)) == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda known: known.pop("digests"),
        lambda known: known["digests"].update(python="cpython-27"),
        lambda known: known["digests"].update(policy=None),
    ],
    ids=["removed", "of another Python", "not known"],
)
def test_digests_that_say_nothing_are_not_compared(
    change: Callable[[dict[str, Any]], object], datasets_root: Path
) -> None:
    begin(policy=Noisy(1))
    with pytest.raises(RecordingError, match="another policy "):
        collected(policy=Noisy(2), resume=True)

    change_arguments(datasets_root, change)

    assert len(collected(policy=Noisy(2), resume=True)) == 6


def test_what_is_the_same_though_it_looks_different_can_be_named() -> None:
    begin(policy=Noisy(1), env=make_counting)
    refusal = r"another policy .*; if that makes .* pass resume=\['policy'\]$"
    with pytest.raises(RecordingError, match=refusal):
        collected(policy=Noisy(2), env=make_counting, resume=True)
    both = r"env .*:make_counting', not .*; if that makes .* pass resume=\['env', 'policy'\]$"
    with pytest.raises(RecordingError, match=both):
        collected(policy=by_sign, resume=True)
    with pytest.raises(RecordingError, match=r"policy .*:Noisy', not"):
        collected(policy=by_sign, resume=["env"])
    with pytest.raises(RecordingError, match=r"max_episode_steps none, not 3; .* the folder$"):
        collected(policy=Noisy(2), env=make_counting, max_episode_steps=3, resume=["policy"])

    begun = collected(policy=by_sign, resume=["policy", "env"], executor=ThreadPoolExecutor(1))

    assert len(begun) == 6


def test_what_was_named_once_is_what_the_run_has_from_then_on() -> None:
    begin(policy=Noisy(1), total_episodes=9)
    with pytest.raises(StopCollectingError):
        collected(policy=Noisy(2), total_episodes=9, resume=["policy"], progress=stop_after_some)
    with pytest.raises(RecordingError, match="another policy"):
        collected(policy=Noisy(1), total_episodes=9, resume=True)

    assert len(collected(policy=Noisy(2), total_episodes=9, resume=True)) == 9


@pytest.mark.parametrize("resume", ["no", "policy", 1, None, ["seed"], [["policy"]]])
def test_only_arguments_that_may_be_the_same_can_be_named(resume: Any, datasets_root: Path) -> None:
    with pytest.raises(DataError, match=r"resume is .*; give True, False, or a list"):
        collected(resume=resume)
    assert not list(datasets_root.rglob("run-*"))


def test_a_policy_that_has_computed_something_is_still_the_same() -> None:
    begin(policy=Costly())
    policy = Costly()
    assert policy(None) == 3

    assert len(collected(policy=policy, resume=True)) == 6


def test_a_policy_whose_module_was_edited_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(action: int) -> Any:
        (tmp_path / "my_policy.py").write_text(
            f"def act(observation):\n    return {action}\n" * action
        )
        monkeypatch.delitem(sys.modules, "my_policy", raising=False)
        return importlib.import_module("my_policy").act

    begin(policy=write(1))
    with pytest.raises(RecordingError, match="another policy of the same name"):
        collected(policy=write(2), resume=True)

    assert len(collected(policy=write(1), resume=True)) == 6


def test_an_environment_whose_module_was_edited_is_another_one_where_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_counting", raising=False)
    source = (
        "from tests.collect.helpers.collect_work import Counting\n"
        "class Mine(Counting):\n    number = {}\n"
    )

    def write(number: int) -> Any:
        (tmp_path / "my_counting.py").write_text(source.format(number) + "\n" * number)
        monkeypatch.delitem(sys.modules, "my_counting", raising=False)

    gymnasium.register("Resumed-v0", "my_counting:Mine")
    try:
        write(1)
        importlib.import_module("my_counting")
        begin(env="Resumed-v0")
        write(2)
        importlib.import_module("my_counting")
        with pytest.raises(RecordingError, match="another env of the same name"):
            collected(env="Resumed-v0", resume=True)
        # What is not imported here is for the workers alone to know.
        monkeypatch.delitem(sys.modules, "my_counting", raising=False)
        assert len(collected(env="Resumed-v0", resume=True)) == 6
    finally:
        gymnasium.registry.pop("Resumed-v0", None)


def test_an_id_that_was_registered_anew_is_another_environment() -> None:
    def register(**changes: Any) -> None:
        gymnasium.registry.pop("Resumed-v0", None)
        gymnasium.register("Resumed-v0", **{"entry_point": Counting, "kwargs": {}, **changes})

    register()
    try:
        begin(env="Resumed-v0")
        kwargs = r"an env registered with {'kwargs': {}}, not {'kwargs': {'length': 3}}"
        for changes, difference in (
            ({"kwargs": {"length": 3}}, kwargs),
            ({"entry_point": make_counting}, r"{'entry_point': '.*:Counting'}, not {'entry_point'"),
            (
                {"max_episode_steps": 2},
                r"{'max_episode_steps': None}, not {'max_episode_steps': 2}",
            ),
            ({"entry_point": lambda: Counting()}, "an env registered with"),
        ):
            register(**changes)
            with pytest.raises(RecordingError, match=f"{difference}.* pass resume=.'env'"):
                collected(env="Resumed-v0", resume=True)
        register()
        assert len(collected(env="Resumed-v0", resume=True)) == 6
    finally:
        gymnasium.registry.pop("Resumed-v0", None)


def test_a_run_that_collected_nothing_is_begun_anew_as_another(tmp_path: Path) -> None:
    with pytest.raises(RecordingError):
        collected(
            env=Troubled,
            env_kwargs={"kind": "raise", "times": 99, "seeds": [], "marks": 3},
            policy=lambda observation: 1 / 0,
        )

    assert len(collected(policy=by_sign, resume=True)) == 6


def test_a_worker_of_the_earlier_run_puts_nothing_in_place_that_is_being_removed(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(policy=by_sign)
    (folder,) = (datasets_root / ".staging").glob("run-*")
    whole = folder / "episodes-000000000003-000000000006"
    part = folder / f"{INCOMPLETE_PREFIX}of-a-worker"
    whole.rename(part)
    remove = shutil.rmtree

    def remove_while_the_worker_ends(path: Path, **options: Any) -> None:
        (Path(path) / "metadata.json").unlink(missing_ok=True)
        if not whole.exists():
            with pytest.raises(FileNotFoundError):
                put_in_place(part, whole)
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", remove_while_the_worker_ends)

    assert len(collected(policy=by_sign, resume=True)) == 6
    assert not folder.exists()


SCRIPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from minari_collect import collect_dataset, StepDataCallback
from tests.collect.helpers.collect_work import Counting

class Policy:
    words = {"left", "right", "up", "down"}
    def __call__(self, observation):
        return len(self.words)

class Callback(StepDataCallback):
    pass

def stop(progress):
    if progress.episodes == 3 and "resume" not in sys.argv:
        raise SystemExit(9)

collect_dataset("tests/script-v0", lambda: Counting(), Policy(), total_episodes=6, workers=1,
                executor=ThreadPoolExecutor(1), episodes_per_task=3, step_data_callback=Callback,
                progress=stop, resume=True)
"""


@pytest.mark.slow
def test_a_script_resumes_its_own_run_though_lines_were_added(tmp_path: Path) -> None:
    pytest.importorskip("cloudpickle")
    script = tmp_path / "script.py"
    for arguments, code in (([], 9), (["resume"], 0)):
        script.write_text("\n" * len(arguments) + SCRIPT)
        done = subprocess.run(
            [sys.executable, str(script), *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
