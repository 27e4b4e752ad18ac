"""What it costs to record many environments at once, and to collect with many workers.

``scaling.py coordinator EPISODES`` prints the peak memory of a process that coordinates such a run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces
from measure import LIMIT, MINARI, in_fresh_process, in_turns, median, memory_of, ratio, timed

import minari

if TYPE_CHECKING:
    from report import Figure
    from setting import Setting

CHEETAH = "HalfCheetah-v5"
_MOST_OVER_CARTPOLES, _MOST_OVER_WITH_INFOS, _MOST_OVER_CHEETAHS = 0.15, 0.25, 0.03
_MOST_OVER_GAMES = 0.05
_FEWEST_OF_BARE = 0.97
_MOST_SECONDS_TO_PUBLISH = 2.0
_PARTS = 1000
_SEED = 1


def measure(setting: Setting) -> list[Figure]:
    """Vector environments, two workers beside one, a thousand shards, and the coordinator."""
    figures = [
        _vector(setting, "CartPole-v1", 64, _MOST_OVER_CARTPOLES),
        _vector(setting, "CartPole-v1", 64, _MOST_OVER_WITH_INFOS, record_infos=True),
    ]
    try:
        gymnasium.make(CHEETAH).close()
    except gymnasium.error.DependencyNotInstalled:
        setting.complaints.append(f"{CHEETAH} needs gymnasium[mujoco]; it was left out")
    else:
        figures.append(_vector(setting, CHEETAH, 8, _MOST_OVER_CHEETAHS))
        figures.append(_workers(setting))
    return [*figures, *_games(setting), _publishing(setting), _coordinator(setting)]


def _vector(
    setting: Setting, env_id: str, num_envs: int, most_over: float, *, record_infos: bool = False
) -> Figure:
    """A loop over sampled actions; whatever a full buffer costs is in it."""
    from report import Figure, microseconds

    is_native = env_id == "CartPole-v1"
    steps = (8192 if is_native else 1000) // (40 if setting.quick else 1)

    def made() -> Any:
        mode = "vector_entry_point" if is_native else "sync"
        return gymnasium.make_vec(env_id, num_envs=num_envs, vectorization_mode=mode)

    def run(envs: Any) -> Callable[[], None]:
        envs.action_space.seed(_SEED)
        actions = [envs.action_space.sample() for _ in range(256)]

        def loop() -> None:
            envs.reset(seed=_SEED)
            for step in range(steps):
                envs.step(actions[step % 256])

        return loop

    with setting.datasets():
        bare, envs = made(), minari.VectorDataCollector(made(), record_infos=record_infos)
        bare_loop, loop = run(bare), run(envs)

        def recorded() -> float:
            seconds = timed(loop)
            envs.discard()
            return seconds / steps

        times = in_turns(
            {LIMIT: lambda: timed(bare_loop) / steps, MINARI: recorded},
            setting.rounds(15 if is_native else 25),
        )
        bare.close()
        envs.close()
    over = ratio(times) - 1
    return Figure(
        work=f"recorded step of {num_envs} {env_id}, "
        + ("natively vectorised" if is_native else "SyncVectorEnv")
        + (", record_infos" if record_infos else ""),
        minari=microseconds(median(times, MINARI)),
        limit=f"{microseconds(median(times, LIMIT))} (bare vector environment)",
        compared=f"+ {over:.1%}",
        target=f"+ {most_over:.0%}",
        reached=over <= most_over,
        obstacle="Half of it is what numpy takes to copy five arrays at each step, and half is "
        "putting the steps of full buffers into the order of episodes, checking and writing them."
        if is_native
        else "",
        values={name: median(times, name) for name in times} | {"over": over},
    )


def _games(setting: Setting) -> list[Figure]:
    """Games whose frames are compressed, until the dataset of them is durable."""
    from report import Figure, microseconds

    try:
        from ale_py.vector_env import AtariVectorEnv
    except ImportError:
        setting.complaints.append("AtariVectorEnv needs ale-py; it was left out")
        return []
    steps = 50 if setting.quick else 2000
    count = 8

    def run(envs: Any) -> None:
        envs.action_space.seed(_SEED)
        envs.reset(seed=_SEED)
        for _ in range(steps):
            envs.step(envs.action_space.sample())

    with setting.datasets():
        bare = AtariVectorEnv("pong", num_envs=count)
        envs = minari.VectorDataCollector(AtariVectorEnv("pong", num_envs=count))

        def recorded() -> None:
            run(envs)
            minari.create_dataset_from_collector_env("bench/games-v0", envs)

        def work() -> float:
            seconds = timed(recorded)
            minari.delete_dataset("bench/games-v0")
            return seconds / steps

        times = in_turns(
            {LIMIT: lambda: timed(lambda: run(bare)) / steps, MINARI: work}, setting.rounds(7)
        )
        bare.close()
        envs.close()
    over = ratio(times) - 1
    return [
        Figure(
            work=f"recorded step of {count} games of AtariVectorEnv, compressed and durable",
            minari=microseconds(median(times, MINARI)),
            limit=f"{microseconds(median(times, LIMIT))} (bare vector environment)",
            compared=f"+ {over:.1%}",
            target=f"+ {_MOST_OVER_GAMES:.0%}",
            reached=over <= _MOST_OVER_GAMES,
            obstacle="The games are stepped in threads of their own, so that frames are compressed "
            "for nothing only where these leave a processor idle.",
            values={name: median(times, name) for name in times} | {"over": over},
        )
    ]


def _workers(setting: Setting) -> Figure:
    """From the call until the dataset is there, the start of the processes included; beside as many
    processes that only step the environment."""
    from report import Figure

    episodes = 4 if setting.quick else 200
    with setting.datasets():

        def collected(workers: int) -> Callable[[], float]:
            def work() -> float:
                dataset_id = f"bench/workers{workers}-v0"
                seconds = timed(
                    lambda: minari.collect_dataset(
                        dataset_id, CHEETAH, total_episodes=episodes, workers=workers, seed=_SEED
                    )
                )
                minari.delete_dataset(dataset_id)
                return seconds

            return work

        times = in_turns(
            {
                "one": collected(1),
                MINARI: collected(2),
                "bare one": lambda: timed(lambda: _step_bare(1, episodes)),
                LIMIT: lambda: timed(lambda: _step_bare(2, episodes)),
            },
            setting.rounds(3),
        )
    faster, bare = ratio(times, "one", to=MINARI), ratio(times, "bare one", to=LIMIT)
    return Figure(
        work=f"{episodes} {CHEETAH} episodes of 1000 steps by two workers, all overheads counted",
        minari=f"{median(times, MINARI) or 0:.2f} s, {faster:.2f} × one worker",
        limit=f"{median(times, LIMIT) or 0:.2f} s, {bare:.2f} × one (processes that only step)",
        compared=f"{faster / bare:.2f} ×",
        target=f"{_FEWEST_OF_BARE} ×",
        reached=faster / bare >= _FEWEST_OF_BARE,
        obstacle="Two processes must have two idle processors for this.",
        values={name: median(times, name) for name in times} | {"faster": faster, "bare": bare},
    )


_BARE = """
import sys, gymnasium
env = gymnasium.make(sys.argv[1])
env.action_space.seed(int(sys.argv[3]))
for episode in range(int(sys.argv[2])):
    env.reset(seed=episode)
    over = False
    while not over:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        over = terminated or truncated
"""


def _step_bare(processes: int, episodes: int) -> None:
    """Step the environment in processes of their own, which share the episodes and keep nothing."""
    share = str(episodes // processes)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _BARE, CHEETAH, share, str(number)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(processes)
    ]
    for process in running:
        if process.wait():
            raise RuntimeError(f"stepping {CHEETAH} failed")


class Blobs(gymnasium.Env[Any, Any]):
    """Episodes of ten steps with 8 kB each."""

    observation_space = spaces.Box(0, 1, (1000,), np.float64)
    action_space = spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return self.np_random.random(1000), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return self.np_random.random(1000), 1.0, self.count == 10, False, {}


class StoppedError(Exception):
    """Ends a run before it is published."""


def _publishing(setting: Setting) -> Figure:
    """Going on with a run in which everything is collected already: reading, joining, linking."""
    from report import Figure

    parts = 20 if setting.quick else _PARTS
    arguments: dict[str, Any] = {"total_episodes": parts, "episodes_per_task": 1, "seed": _SEED}

    def stop(progress: minari.CollectProgress) -> None:
        if progress.episodes == parts:
            raise StoppedError

    times: list[float] = []
    cleared: list[float] = []
    written: list[int] = []
    with setting.datasets() as root, ThreadPoolExecutor(2) as executor:
        kept, work = root / "kept", root / "work"
        with contextlib.suppress(StoppedError):
            minari.collect_dataset(
                "bench/parts-v0", Blobs, executor=executor, work_dir=kept, progress=stop,
                **arguments,
            )  # fmt: skip
        nbytes = sum(file.stat().st_size for file in kept.glob("episodes-*/*.h5"))
        for _ in range(setting.rounds(5)):
            shutil.copytree(kept, work)
            os.sync()
            before = _bytes_written()
            start = time.time()
            minari.collect_dataset(
                "bench/parts-v0", Blobs, executor=executor, work_dir=work, resume=True, **arguments
            )
            cleared.append(time.time() - start)
            # It is renamed when others can load it; what follows is the removal of the work folder.
            times.append((root / "bench" / "parts-v0").stat().st_ctime - start)
            written.append(_bytes_written() - before)
            minari.delete_dataset("bench/parts-v0")
    seconds = statistics.median(times)
    return Figure(
        work=f"publishing {parts} shards of {parts} workers",
        minari=f"{seconds:.2f} s",
        compared=f"{seconds:.2f} s (and {statistics.median(cleared) - seconds:.2f} s to remove the "
        f"work folder), {statistics.median(written) / 1e6:.1f} MB written of "
        f"{nbytes / 1e6:.1f} MB collected",
        target=f"{_MOST_SECONDS_TO_PUBLISH:.0f} s",
        reached=seconds <= _MOST_SECONDS_TO_PUBLISH,
        values={
            MINARI: seconds,
            "cleared": statistics.median(cleared),
            "written": statistics.median(written),
            "collected": nbytes,
        },
    )


def _bytes_written() -> int:
    """What this process has given to the file system so far, where the system tells."""
    counters = Path("/proc/self/io")
    if not counters.exists():
        return 0
    lines = dict(line.split(": ") for line in counters.read_text().splitlines())
    return int(lines["wchar"])


def _coordinator(setting: Setting) -> Figure:
    """The peak memory of a process whose workers collect four times as much."""
    from report import Figure, megabytes

    episodes = 100 if setting.quick else 2000
    peaks: list[dict[str, float]] = []
    for count in (episodes, 4 * episodes):
        with setting.datasets():
            peaks.append(in_fresh_process([__file__, "coordinator", str(count)]))
    small, large = (each["peak"] for each in peaks)
    return Figure(
        work=f"peak memory of the coordinator of {megabytes(peaks[1]['nbytes'])}",
        minari=megabytes(large),
        limit=f"{megabytes(small)} (of {megabytes(peaks[0]['nbytes'])})",
        compared=f"+ {megabytes(large - small)}",
        values={MINARI: large, LIMIT: small},
    )


def _coordinate(episodes: int) -> Iterator[tuple[str, float]]:
    dataset = minari.collect_dataset("bench/blobs-v0", Blobs, total_episodes=episodes, workers=1)
    yield "peak", memory_of("VmHWM")
    yield (
        "nbytes",
        sum(file.stat().st_size for file in Path(dataset.spec.data_path or "").glob("*.h5")),
    )


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    print(json.dumps(dict(_coordinate(int(sys.argv[2])))))
