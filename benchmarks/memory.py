"""The peak memory of recording an endless episode of images.

``memory.py bare STEPS`` and ``memory.py recorded STEPS`` print it for a process that does nothing
else; the bare one does not even import this project.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from measure import LIMIT, MINARI, PUBLIC, in_fresh_process, memory_of
from workloads import ABOUT, MovingPictures

if TYPE_CHECKING:
    from report import Figure
    from setting import Setting

_BUFFER_STEPS = 1000
_MOST_OVER = 300e6


def measure(setting: Setting) -> list[Figure]:
    """Collect the episode and create a dataset of it, each in a fresh process."""
    from report import NOTHING, Figure, megabytes

    steps = 3000 if setting.quick else 200_000
    public_steps = 500 if setting.quick else 10_000
    with setting.datasets():
        bare = in_fresh_process([__file__, "bare", str(steps)])
        recorded = in_fresh_process([__file__, "recorded", str(steps)])
    over = recorded["peak"] - bare["peak"]
    peer, public = setting.peer, None
    if peer is not None:
        public = setting.attempt(lambda: peer.alone("memory", str(public_steps)))
    public_over = None if public is None else public["peak"] - bare["peak"]
    return [
        Figure(
            work=f"peak memory of an episode of {steps:,} images of 84×84×4, "
            f"max_buffer_steps={_BUFFER_STEPS}",
            minari=megabytes(recorded["peak"]),
            limit=f"{megabytes(bare['peak'])} (bare environment)",
            compared=f"+ {megabytes(over)}",
            target=f"+ {megabytes(_MOST_OVER)}",
            reached=over <= _MOST_OVER,
            public=NOTHING
            if public_over is None
            else f"+ {megabytes(public_over)} for {public_steps:,} images",
            values={MINARI: recorded["peak"], LIMIT: bare["peak"], PUBLIC: public_over},
        ),
        Figure(
            work="one of its steps, until the dataset is durable",
            minari=f"{recorded['seconds'] / steps * 1e6:.0f} µs",
            limit=f"{bare['seconds'] / steps * 1e6:.0f} µs (bare environment)",
            values={MINARI: recorded["seconds"] / steps, LIMIT: bare["seconds"] / steps},
        ),
    ]


def _bare(steps: int) -> dict[str, float]:
    env = MovingPictures()
    env.reset()
    start = time.perf_counter()
    for _ in range(steps):
        env.step(0)
    return {"peak": memory_of("VmHWM"), "seconds": time.perf_counter() - start}


def _recorded(steps: int) -> dict[str, float]:
    import minari

    env = minari.DataCollectorV0(MovingPictures(), max_buffer_steps=_BUFFER_STEPS)
    env.reset()
    start = time.perf_counter()
    for _ in range(steps):
        env.step(0)
    minari.create_dataset_from_collector_env(
        "bench/pictures-v0", env, eval_env="CartPole-v1", **ABOUT
    )
    seconds = time.perf_counter() - start
    env.close()
    return {"peak": memory_of("VmHWM"), "seconds": seconds}


if __name__ == "__main__":
    work = {"bare": _bare, "recorded": _recorded}[sys.argv[1]]
    print(json.dumps(work(int(sys.argv[2]))))
