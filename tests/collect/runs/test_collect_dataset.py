"""Many workers make the dataset that one makes, whatever becomes of them."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from minari_collect import CollectProgress, DataCollectorV0, collect_dataset
from minari_collect.workers.messages import derive_seeds
from minari_collect.workers.policies import load_policy
from minari_core.datasets.local import load_dataset
from minari_core.errors import (
    DataError,
    DatasetExistsError,
    DatasetIdError,
    DatasetWriteError,
    RecordingError,
)
from minari_core.local.verifying import verify_dataset
from minari_core.messages import format_value
from tests.collect.helpers.collect_work import (
    Counting,
    Slow,
    SumPolicy,
    Troubled,
    by_sign,
    by_signs,
    dict_spaces,
    fill_the_disk_of_a_worker,
    open_shelf,
)
from tests.collect.helpers.one_by_one import fingerprint, one_by_one
from tests.collect.helpers.vector_twin import assert_same_episodes

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is (set to )?None", "ignore:.*is recorded as it is", "ignore:.*obs returned by"
)
HAS_MODES = hasattr(gymnasium.vector, "AutoresetMode")
LANDER = "LunarLander-v3" if "LunarLander-v3" in gymnasium.registry else "LunarLander-v2"


def leftovers(root: Path) -> list[str]:
    return [path.name for path in (root / ".staging").glob("*")]


@pytest.mark.parametrize(
    ("env", "policy"),
    [
        ("CartPole-v1", by_sign),
        (LANDER, None),
        ("FrozenLake-v1", None),
        (dict_spaces, None),
        (Counting, SumPolicy()),
    ],
    ids=["CartPole", "LunarLander", "FrozenLake", "DictSpaces", "Counting"],
)
def test_two_workers_make_the_dataset_that_a_collector_makes(
    env: Any, policy: Any, datasets_root: Path
) -> None:
    make = (lambda: gymnasium.make(env)) if isinstance(env, str) else env
    dataset = collect_dataset(
        "tests/many-v0", env, policy, total_episodes=12, workers=2, seed=4, episodes_per_task=3
    )
    wanted = one_by_one(make, policy, 12, 4)

    assert_same_episodes(dataset, list(wanted))
    assert dataset.env_spec == wanted.env_spec
    assert leftovers(datasets_root) == []
    assert not verify_dataset("tests/many-v0").problems


@pytest.mark.skipif(not HAS_MODES, reason="resets by mask are newer")
def test_how_many_workers_and_environments_there_are_changes_nothing() -> None:
    executor = ThreadPoolExecutor(3)
    ways: list[dict[str, Any]] = [
        {"workers": 1},
        {"workers": 2, "episodes_per_task": 1},
        {"executor": executor, "episodes_per_task": 4},
        {"executor": executor, "num_envs": 3},
        {"executor": executor, "num_envs": 4, "work_dir_is_shared": False},
    ]
    datasets = [
        collect_dataset(f"tests/a{place}-v0", "CartPole-v1", total_episodes=10, seed=1, **way)
        for place, way in enumerate(ways)
    ]

    assert len({fingerprint(dataset) for dataset in datasets}) == 1


@pytest.mark.skipif(not HAS_MODES, reason="resets by mask are newer")
def test_a_policy_of_batches_gives_the_same_as_one_of_single_observations() -> None:
    executor = ThreadPoolExecutor(2)
    single = collect_dataset(
        "tests/single-v0", "CartPole-v1", by_sign, total_episodes=9, seed=2, executor=executor
    )
    batched = collect_dataset(
        "tests/batched-v0",
        "CartPole-v1",
        by_signs,
        total_episodes=9,
        seed=2,
        executor=executor,
        num_envs=4,
    )

    assert fingerprint(single) == fingerprint(batched)


@pytest.mark.parametrize(
    ("size", "data_format"), [(None, "columnar"), (50, "columnar"), (50, "hdf5")]
)
def test_steps_are_collected_in_the_first_whole_episodes_that_have_them(
    size: int | None, data_format: str
) -> None:
    """Also where a task is cut, of which the last episodes are beyond them."""
    executor = ThreadPoolExecutor(3)
    many = collect_dataset("tests/many-v0", Counting, total_episodes=60, seed=3, executor=executor)
    lengths = np.cumsum([len(episode) for episode in many])
    wanted = int(np.searchsorted(lengths, 400)) + 1

    dataset = collect_dataset(
        "tests/steps-v0", Counting, total_steps=400, seed=3, executor=executor,
        episodes_per_task=size, data_format=data_format,
    )  # fmt: skip

    assert len(dataset) == wanted
    assert fingerprint(dataset) == fingerprint(many[:wanted])


@pytest.mark.parametrize("workers", [1, 4])
def test_a_run_of_steps_goes_on_from_tasks_of_any_size(workers: int, tmp_path: Path) -> None:
    """As earlier releases left them, which shrank, with a gap where one was not done."""
    executor = ThreadPoolExecutor(2)
    work = tmp_path / "work"

    class StoppedError(Exception):
        pass

    def stop(progress: CollectProgress) -> None:
        if progress.episodes >= 20:
            raise StoppedError

    for size in (7, 2, 1):
        with contextlib.suppress(StoppedError):
            collect_dataset(
                "tests/steps-v0", Counting, total_steps=900, seed=3, executor=executor,
                work_dir=work, resume=True, episodes_per_task=size, workers=1, progress=stop,
            )  # fmt: skip
    left = sorted(work.glob("episodes-*"))
    shutil.rmtree(left[1])
    resumed = collect_dataset(
        "tests/steps-v0", Counting, total_steps=900, seed=3, executor=executor,
        work_dir=work, resume=True, workers=workers,
    )  # fmt: skip
    wanted = collect_dataset(
        "tests/wanted-v0", Counting, total_steps=900, seed=3, executor=executor, workers=3
    )
    assert fingerprint(resumed) == fingerprint(wanted)


@pytest.mark.parametrize("kind", ["raise", "exit", "kill", "hang", "freeze"])
def test_an_episode_that_fails_is_collected_again(kind: str, tmp_path: Path) -> None:
    seeds = [derive_seeds(6, episode)[0] for episode in (2, 7)]
    wanted = collect_dataset(
        "tests/wanted-v0", Counting, total_episodes=10, seed=6, executor=ThreadPoolExecutor(1)
    )

    dataset = collect_dataset(
        "tests/troubled-v0",
        Troubled,
        env_kwargs={"kind": kind, "times": 1, "seeds": seeds, "marks": str(tmp_path)},
        total_episodes=10,
        seed=6,
        workers=2,
        episodes_per_task=5,
        episode_timeout=1.0 if kind in ("hang", "freeze") else None,
    )

    assert fingerprint(dataset) == fingerprint(wanted)


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_collected_nothing_does_not_block_its_name(
    datasets_root: Path, tmp_path: Path, resume: bool
) -> None:
    seeds = [derive_seeds(1, k)[0] for k in range(2)]
    fails = {"kind": "raise", "times": 1000, "seeds": seeds, "marks": str(tmp_path)}
    with pytest.raises(RecordingError):
        collect_dataset(
            "tests/a-v0", Troubled, env_kwargs=fails, total_episodes=2, workers=1, seed=1
        )
    assert leftovers(datasets_root) != []

    made = collect_dataset(
        "tests/a-v0", "CartPole-v1", total_episodes=2, workers=1, seed=2, resume=resume
    )

    assert [episode.seed for episode in made] == [derive_seeds(2, k)[0] for k in range(2)]
    assert leftovers(datasets_root) == []


def test_a_named_environment_that_cannot_be_made_leaves_nothing(datasets_root: Path) -> None:
    with pytest.raises(RecordingError, match=r"'Nope-v1' cannot be made"):
        collect_dataset("tests/a-v0", "Nope-v1", total_episodes=2, workers=1)
    assert leftovers(datasets_root) == []


@pytest.mark.skipif(not HAS_MODES, reason="resets by mask are newer")
@pytest.mark.parametrize("num_envs", [2, 3])
def test_an_episode_that_always_fails_takes_no_neighbour_along(
    num_envs: int, tmp_path: Path
) -> None:
    bad = derive_seeds(1, 5)[0]
    wanted = collect_dataset(
        "tests/wanted-v0", Counting, total_episodes=12, seed=1, executor=ThreadPoolExecutor(1)
    )

    with pytest.warns(UserWarning, match="^1 episode failed and is not in the dataset"):
        dataset = collect_dataset(
            "tests/without-v0",
            Troubled,
            env_kwargs={"kind": "raise", "times": 99, "seeds": [bad], "marks": str(tmp_path)},
            total_episodes=12,
            seed=1,
            num_envs=num_envs,
            skip_failed=True,
            executor=ThreadPoolExecutor(1),
        )

    assert fingerprint(dataset) == fingerprint(wanted[[0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]])


def test_an_episode_that_always_fails_is_reported_by_its_seed_and_the_others_wait(
    datasets_root: Path, tmp_path: Path
) -> None:
    seed = derive_seeds(6, 4)[0]
    arguments: dict[str, Any] = {
        "env_kwargs": {"kind": "raise", "times": 1000, "seeds": [seed], "marks": str(tmp_path)},
        "total_episodes": 8,
        "seed": 6,
        "executor": ThreadPoolExecutor(2),
    }

    with pytest.raises(RecordingError, match=rf"(?s)seed {seed}.*the environment broke"):
        collect_dataset("tests/failing-v0", Troubled, **arguments)
    with pytest.raises(DatasetExistsError, match="resume=True"):
        collect_dataset("tests/failing-v0", Troubled, **arguments)
    with pytest.warns(UserWarning, match=rf"(?s)1 episode failed.*seed {seed}"):
        skipped = collect_dataset(
            "tests/failing-v0", Troubled, **arguments, resume=True, skip_failed=True
        )

    assert [e.seed for e in skipped] == [derive_seeds(6, k)[0] for k in (0, 1, 2, 3, 5, 6, 7)]
    assert leftovers(datasets_root) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX")
def test_a_full_disk_at_one_worker_loses_nothing(tmp_path: Path) -> None:
    wanted = collect_dataset(
        "tests/wanted-v0", Counting, total_episodes=8, seed=6, executor=ThreadPoolExecutor(1)
    )

    dataset = collect_dataset(
        "tests/full-v0",
        fill_the_disk_of_a_worker,
        env_kwargs={"marks": str(tmp_path)},
        total_episodes=8,
        seed=6,
        workers=2,
        episodes_per_task=2,
    )

    assert fingerprint(dataset) == fingerprint(wanted)


PROGRAM = """
import sys
from minari_collect import collect_dataset
from tests.collect.helpers.collect_work import Slow
if __name__ == "__main__":
    collect_dataset("tests/killed-v0", Slow, total_episodes=60, seed=9, workers=2,
                    episodes_per_task=2, resume=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"], ids=["killed", "interrupted"])
def test_a_run_that_was_stopped_goes_on_where_it_was(
    how: str, datasets_root: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, str(program)], env=environment, stderr=subprocess.DEVNULL
    )
    folder = datasets_root / ".staging" / "run-tests%killed-v0"
    deadline = time.monotonic() + 60
    while len(list(folder.glob("episodes-*"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.Signals[how])
    assert process.wait(60) != 0
    kept = {path.name for path in folder.glob("episodes-*")}

    told: list[CollectProgress] = []
    dataset = collect_dataset(
        "tests/killed-v0", Slow, total_episodes=60, workers=2, resume=True, progress=told.append
    )
    wanted = collect_dataset(
        "tests/wanted-v0", Counting, total_episodes=60, seed=9, executor=ThreadPoolExecutor(1)
    )

    assert len(kept) >= 4
    assert told[0].episodes >= 8
    assert told[-1].episodes == 60
    assert fingerprint(dataset) == fingerprint(wanted)


ASLEEP = """
import sys
from minari_collect import collect_dataset
from tests.collect.helpers.collect_work import Asleep
if __name__ == "__main__":
    collect_dataset("tests/asleep-v0", Asleep, env_kwargs={"marks": sys.argv[1]},
                    total_episodes=4, workers=2, episodes_per_task=2)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_workers_end_with_a_run_that_was_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(ASLEEP)
    process = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
    process.kill()

    try:
        # The workers have the same pipe for their errors, which ends with the last of them.
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        raise
    assert len(workers) == 2


class Unreliable(Executor):
    """A thousand workers in this process: calls end in any order, fail, or end unheard."""

    _max_workers = 1000

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.calls = 0
        self.thread = ThreadPoolExecutor(1)
        self.waiting: list[tuple[Future[Any], Callable[..., Any], Any]] = []

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, function, args))
        self.thread.submit(self.run_any)
        return future

    def run_any(self) -> None:
        place = self.random.randrange(len(self.waiting))
        future, function, args = self.waiting.pop(place)
        self.calls += 1
        luck = self.random.random()
        if luck < 0.1:
            future.set_exception(ConnectionError("the node is gone"))
            return
        result = function(*args)
        if luck < 0.2:
            future.set_exception(ConnectionError("the node is gone after its work"))
        else:
            future.set_result(result)


@pytest.fixture
def root_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A datasets root that flushes thousands of files in no time, where the system has one."""
    shared_memory = Path("/dev/shm")
    parent = shared_memory if os.access(shared_memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(prefix="minari-", dir=parent) as folder:
        monkeypatch.setenv("MINARI_DATASETS_PATH", folder)
        yield


@pytest.mark.usefixtures("root_in_memory")
def test_a_thousand_unreliable_workers_lose_and_double_nothing() -> None:
    unreliable = Unreliable(1)
    dataset = collect_dataset(
        "tests/thousand-v0",
        Counting,
        total_episodes=1000,
        seed=8,
        executor=unreliable,
        episodes_per_task=1,
        max_attempts=20,
    )

    assert [episode.seed for episode in dataset] == [derive_seeds(8, k)[0] for k in range(1000)]
    assert unreliable.calls > 1000
    assert not verify_dataset("tests/thousand-v0").problems
    # The small shards of the workers are joined.
    assert len(list(Path(str(dataset.spec.data_path)).glob("shard-*.h5"))) == 1


def test_parts_of_an_earlier_run_that_overlap_are_counted_once(
    datasets_root: Path, tmp_path: Path
) -> None:
    """As after a worker that was given up, and completed its task all the same."""
    executor = ThreadPoolExecutor(1)
    arguments: dict[str, Any] = {"seed": 5, "executor": executor}
    work = tmp_path / "work"
    for size in (4, 1):
        with pytest.raises(StopCollectingError):
            collect_dataset(
                "tests/a-v0",
                Counting,
                total_episodes=8,
                work_dir=work,
                episodes_per_task=size,
                progress=stop_after(4),
                resume=True,
                **arguments,
            )
        # The task that was going on is not stopped; here nobody may write any more.
        executor.submit(int).result()
        shutil.move(work, tmp_path / str(size))
    shutil.copytree(tmp_path / "4", work)
    first, *others = sorted((tmp_path / "1").glob("episodes-*"))
    shutil.rmtree(first)
    for folder in others:
        shutil.copytree(folder, work / folder.name)

    dataset = collect_dataset(
        "tests/a-v0", Counting, total_episodes=8, work_dir=work, resume=True, **arguments
    )

    wanted = collect_dataset("tests/wanted-v0", Counting, total_episodes=8, **arguments)
    assert fingerprint(dataset) == fingerprint(wanted)


def test_what_else_is_in_a_work_folder_stays_there(tmp_path: Path) -> None:
    work = tmp_path / "mine"
    for path in (work / "thesis.txt", work / "episodes" / "notes.txt", work / ".hidden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
    before = sorted(work.rglob("*"))
    executor = ThreadPoolExecutor(1)

    for number in range(2):
        dataset = collect_dataset(
            f"tests/{number}-v0", Counting, total_episodes=3, work_dir=work, executor=executor
        )
        assert len(dataset) == 3
        assert sorted(work.rglob("*")) == before
    collect_dataset(
        "tests/own-v0", Counting, total_episodes=3, work_dir=tmp_path / "own", executor=executor
    )
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("work_dir", [5, b"work", "", "a\0b", object()])
def test_a_work_folder_that_is_no_path_is_refused(work_dir: Any, datasets_root: Path) -> None:
    with pytest.raises(DataError, match=r"work_dir is .*; give the path of a folder, or None"):
        collect_dataset("tests/a-v0", Counting, total_episodes=1, work_dir=work_dir)
    assert not list(datasets_root.rglob("*"))


@pytest.mark.parametrize("below", ["", "folder"])
@pytest.mark.parametrize("is_root", [False, True])
def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_collected(
    is_root: bool, below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / below
    options: dict[str, Any] = {"work_dir": place}
    if is_root:
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(place))
        options = {}
    with pytest.raises(
        DatasetWriteError, match=r"the run cannot work in .*file.*make that a folder"
    ):
        collect_dataset(
            "tests/a-v0", Counting, total_episodes=1, executor=ThreadPoolExecutor(1), **options
        )
    assert [path.name for path in tmp_path.iterdir() if path.name != "datasets"] == ["file"]


class StopCollectingError(Exception):
    pass


def stop_after(episodes: int) -> Callable[[CollectProgress], None]:
    def stop(progress: CollectProgress) -> None:
        if progress.episodes >= episodes:
            raise StopCollectingError

    return stop


def test_shards_travel_through_whatever_keeps_bytes_under_names(datasets_root: Path) -> None:
    arguments: dict[str, Any] = {"seed": 5, "total_episodes": 9}
    wanted = collect_dataset(
        "tests/wanted-v0", Counting, executor=ThreadPoolExecutor(1), **arguments
    )
    dataset = collect_dataset(
        "tests/remote-v0",
        Counting,
        executor=ThreadPoolExecutor(2),
        remote=open_shelf,
        **arguments,
    )

    assert fingerprint(dataset) == fingerprint(wanted)
    assert any(name.endswith("/metadata.json") for name in open_shelf().objects)
    assert leftovers(datasets_root) == []


def test_a_run_in_which_nothing_succeeds_stops_soon(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"(?s)none succeeded.*NameNotFound"):
        collect_dataset(
            "tests/a-v0", "NoSuchEnvironment-v0", total_episodes=100_000, workers=1,
            executor=ThreadPoolExecutor(1), episodes_per_task=10,
        )  # fmt: skip


def test_workers_that_do_not_see_the_work_folder_say_so(tmp_path: Path) -> None:
    class Elsewhere(ThreadPoolExecutor):
        """Its workers have other disks."""

        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            moved = replace(args[0], folder=str(tmp_path / "elsewhere"))
            return super().submit(function, moved, **kwargs)

    with pytest.raises(RecordingError, match="does not see the work folder"):
        collect_dataset(
            "tests/a-v0", Counting, total_episodes=1, executor=Elsewhere(4), max_attempts=1
        )


def test_what_cannot_be_collected_is_refused_at_once() -> None:
    with pytest.raises(DataError, match="one of total_episodes and total_steps"):
        collect_dataset("tests/a-v0", "CartPole-v1")
    with pytest.raises(DataError, match="at least 1"):
        collect_dataset("tests/a-v0", "CartPole-v1", total_episodes=0)
    with pytest.raises(DataError, match="give env"):
        collect_dataset("tests/a-v0", total_episodes=1)
    with pytest.raises(RecordingError, match="module:callable"):
        load_policy("nothing")
    assert load_policy("tests.collect.helpers.collect_work:by_sign") is by_sign


@pytest.mark.parametrize(
    "wrong",
    [
        {"total_episodes": "3"},
        {"total_episodes": 2.5},
        {"total_episodes": True},
        {"total_episodes": None, "total_steps": 0},
        {"workers": 0},
        {"workers": 1.5},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": "a"},
        {"seed": True},
        {"num_envs": 0},
        {"num_envs": 1.5},
        {"max_episode_steps": 0},
        {"max_buffer_steps": 0},
        {"episodes_per_task": 0},
        {"episodes_per_task": -1},
        {"episodes_per_task": 2.5},
        {"max_attempts": 0},
        {"episode_timeout": 0},
        {"episode_timeout": float("nan")},
        {"episode_timeout": "3"},
        {"env": 3},
        {"env": Counting()},
        {"policy": 3},
        {"env_kwargs": 3},
        {"reset_options": 3},
        {"step_data_callback": 3},
        {"episode_metadata_callback": None},
        {"executor": 3},
        {"executor": ThreadPoolExecutor},
        {"remote": "x"},
        {"progress": 3},
    ],
    ids=lambda wrong: list(wrong)[-1],
)
def test_a_wrong_argument_is_named_before_anything_begins(
    wrong: dict[str, Any], datasets_root: Path
) -> None:
    name, value = list(wrong.items())[-1]
    arguments: dict[str, Any] = {"env": Counting, "total_episodes": 3, **wrong}

    with pytest.raises(DataError, match=rf"^{name} is {re.escape(format_value(value))}.* give "):
        collect_dataset("tests/wrong-v0", **arguments)

    assert leftovers(datasets_root) == []


def test_an_id_that_the_format_does_not_take_is_refused_before_anything_begins(
    datasets_root: Path,
) -> None:
    with pytest.raises(DatasetIdError, match=r"a single character.* none is made as hdf5"):
        collect_dataset("t/a-v0", Counting, total_episodes=1, workers=1, data_format="hdf5")

    assert leftovers(datasets_root) == []


def test_numbers_of_numpy_are_taken_as_numbers() -> None:
    own: dict[str, Any] = {"total_episodes": 3, "seed": 1, "max_episode_steps": 9}
    of_numpy: dict[str, Any] = {name: np.int64(number) for name, number in own.items()}
    executor = ThreadPoolExecutor(1)
    wanted = collect_dataset("tests/own-v0", Counting, executor=executor, **own)

    dataset = collect_dataset("tests/numpy-v0", Counting, executor=executor, **of_numpy)

    assert fingerprint(dataset) == fingerprint(wanted)


def test_a_dataset_can_be_loaded_and_added_to() -> None:
    collect_dataset(
        "tests/loaded-v0", Counting, total_episodes=3, seed=8, executor=ThreadPoolExecutor(1)
    )
    dataset = load_dataset("tests/loaded-v0")
    env = DataCollectorV0(Counting())
    env.reset(seed=1)
    env.step(1)
    dataset.update_dataset_from_collector_env(env)
    env.close()

    assert len(load_dataset("tests/loaded-v0")) == 4
