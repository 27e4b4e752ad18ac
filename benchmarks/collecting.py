"""What the collector costs on top of the environment."""

from __future__ import annotations

from typing import Any

import gymnasium
from measure import LIMIT, MINARI, PUBLIC, Work, difference, in_turns, median, ratio, timed
from report import NOTHING, Figure, microseconds
from setting import Setting
from workloads import ABOUT, actions_for, run

import minari

_MOST_OVER_CARTPOLE = 2.5e-6
_MOST_OVER_CHEETAH = 0.05


def measure(setting: Setting) -> list[Figure]:
    """CartPole-v1 and HalfCheetah-v5 with random actions, resets included."""
    steps = 1000 if setting.quick else 20_000
    figures = [
        _cartpole(setting, steps, infos=False),
        _cartpole(setting, steps, infos=True),
        _durable(setting, steps),
    ]
    try:
        gymnasium.make("HalfCheetah-v5").close()
    except gymnasium.error.DependencyNotInstalled:
        setting.complaints.append("HalfCheetah-v5 needs gymnasium[mujoco]; it was left out")
        return figures
    steps = 200 if setting.quick else 2000
    return [
        *figures,
        _cheetah(setting, steps, infos=False),
        _cheetah(setting, steps, infos=True),
    ]


def _cartpole(setting: Setting, steps: int, *, infos: bool) -> Figure:
    times = _steps(setting, "CartPole-v1", steps, infos=infos, rounds=25)
    over = difference(times)
    return Figure(
        work="collected CartPole-v1 step" + (", record_infos" if infos else ""),
        minari=microseconds(median(times, MINARI)),
        limit=f"{microseconds(median(times, LIMIT))} (bare environment)",
        compared=f"+ {microseconds(over)}",
        target=f"+ {microseconds(_MOST_OVER_CARTPOLE)}",
        reached=over <= _MOST_OVER_CARTPOLE,
        public=microseconds(median(times, PUBLIC)),
        values={name: median(times, name) for name in times} | {"over": over},
    )


def _cheetah(setting: Setting, steps: int, *, infos: bool) -> Figure:
    times = _steps(setting, "HalfCheetah-v5", steps, infos=infos, rounds=40)
    over = ratio(times) - 1
    return Figure(
        work="collected HalfCheetah-v5 step" + (", record_infos" if infos else ""),
        minari=microseconds(median(times, MINARI)),
        limit=f"{microseconds(median(times, LIMIT))} (bare environment)",
        compared=f"+ {over:.1%}",
        target=NOTHING if infos else f"under + {_MOST_OVER_CHEETAH:.0%}",
        reached=None if infos else over < _MOST_OVER_CHEETAH,
        public=microseconds(median(times, PUBLIC)),
        values={name: median(times, name) for name in times} | {"over": over},
    )


def _steps(
    setting: Setting, env_id: str, steps: int, *, infos: bool, rounds: int
) -> dict[str, list[float]]:
    """Seconds a step."""
    bare = gymnasium.make(env_id)
    actions = actions_for(bare, steps)
    public_steps = max(steps // 10, 100)
    public = setting.public("collect", env=env_id, steps=public_steps, infos=infos)
    with setting.datasets():
        collector = minari.DataCollectorV0(gymnasium.make(env_id), record_infos=infos)

        def collected() -> float:
            seconds = timed(lambda: run(collector, actions))
            collector.discard()
            return seconds / steps

        works: dict[str, Work] = {
            LIMIT: lambda: timed(lambda: run(bare, actions)) / steps,
            MINARI: collected,
            **{name: _per_step(work, public_steps) for name, work in public.items()},
        }
        times = in_turns(works, setting.rounds(rounds), at_most={PUBLIC: 3})
        collector.close()
    bare.close()
    return times


def _durable(setting: Setting, steps: int) -> Figure:
    """Steps and the creation of the dataset, until it is safe on disk."""
    env_id = "CartPole-v1"
    bare: gymnasium.Env[Any, Any] = gymnasium.make(env_id)
    actions = actions_for(bare, steps)
    public_steps = max(steps // 10, 100)
    public = setting.public("create", env=env_id, steps=public_steps)
    with setting.datasets():
        collector = minari.DataCollectorV0(gymnasium.make(env_id))

        def created() -> float:
            def work() -> None:
                run(collector, actions)
                minari.create_dataset_from_collector_env(
                    "bench/collected-v0", collector, eval_env=env_id, **ABOUT
                )

            seconds = timed(work)
            minari.delete_dataset("bench/collected-v0")
            return seconds / steps

        works: dict[str, Work] = {
            LIMIT: lambda: timed(lambda: run(bare, actions)) / steps,
            MINARI: created,
            **{name: _per_step(work, public_steps) for name, work in public.items()},
        }
        times = in_turns(works, setting.rounds(7), at_most={PUBLIC: 3})
        collector.close()
    bare.close()
    over = difference(times)
    return Figure(
        work=f"the same until the dataset of {steps:,} steps is durable",
        minari=microseconds(median(times, MINARI)),
        limit=f"{microseconds(median(times, LIMIT))} (bare environment)",
        compared=f"+ {microseconds(over)}",
        public=microseconds(median(times, PUBLIC)),
        values={name: median(times, name) for name in times} | {"over": over},
    )


def _per_step(work: Work, steps: int) -> Work:
    return lambda: work() / steps
