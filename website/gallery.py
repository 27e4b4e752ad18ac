"""The gallery of the site: ten small datasets, collected anew by each build, and their pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from PIL import Image

import minari

Env = gym.Env[Any, Any]
Policy = Callable[[Any, Env], Any]
EPISODES = 12
MOST_STEPS = 200

INTRODUCTION = """# Gallery

Ten small datasets, collected by a short program each time this site is built. Each has the page
that `minari view` shows of any dataset, written to one file by `minari page`: episodes to sort and
filter, every column over time, distributions, and what `minari check` finds; four of them play
the episodes in their environment, compared step by step with what was recorded.

"""


def act_at_random(observation: Any, env: Env) -> Any:
    return env.action_space.sample()


def follow_the_pole(observation: Any, env: Env) -> Any:
    return int(observation[2] + observation[3] > 0)


def swing_with_the_link(observation: Any, env: Env) -> Any:
    return 2 if observation[5] > 0 else 0


def push_as_it_rolls(observation: Any, env: Env) -> Any:
    return 2 if observation[1] > 0 else 0


def accelerate_as_it_rolls(observation: Any, env: Env) -> Any:
    return np.sign(observation["observation"][1:]).astype(np.float32)


def hit_below_seventeen(observation: Any, env: Env) -> Any:
    return int(observation[0] < 17)


class GoalObservation(gym.ObservationWrapper[Any, Any, Any]):
    """The position that is reached and the one that shall be, beside the observation."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        position = spaces.Box(-1.2, 0.6, (1,), np.float32)
        self.observation_space = spaces.Dict(
            {
                "observation": env.observation_space,
                "achieved_goal": position,
                "desired_goal": position,
            }
        )

    def observation(self, observation: Any) -> Any:
        goal = np.array([0.45], np.float32)
        return {
            "observation": observation,
            "achieved_goal": observation[:1],
            "desired_goal": goal,
        }


class PixelObservation(gym.ObservationWrapper[Any, Any, Any]):
    """A small picture of a cart and its pole, in place of the numbers."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self.observation_space = spaces.Box(0, 255, (48, 64, 3), np.uint8)

    def observation(self, observation: Any) -> Any:
        position, _, angle, _ = observation
        picture = np.full((48, 64, 3), 245, np.uint8)
        picture[41:43] = 190
        cart = 32 + 12 * position
        left, right = np.clip([int(cart) - 5, int(cart) + 5], 0, 64)
        picture[36:41, left:right] = (40, 60, 90)
        along = np.linspace(0, 28, 57)
        rows = np.rint(36 - along * np.cos(angle)).astype(int)
        columns = np.rint(cart + along * np.sin(angle)).astype(int)
        inside = (rows >= 0) & (rows < 48) & (columns >= 1) & (columns < 63)
        for shift in (-1, 0):
            picture[rows[inside], columns[inside] + shift] = (200, 110, 40)
        return picture


@dataclass(frozen=True, slots=True)
class Entry:
    """A dataset of the gallery."""

    name: str
    """The last part of its id, without the version."""
    env_id: str
    """The environment."""
    policy: Policy
    """What acts in it."""
    sentence: str
    """What there is to see."""
    wrapper: Callable[[Env], Env] = lambda env: env
    """What goes around the environment."""
    replay: bool = False
    """Whether its page plays replays, which take the build some seconds."""

    def make(self, **options: Any) -> Env:
        """Make the environment, with an end where it may have none."""
        return self.wrapper(gym.make(self.env_id, max_episode_steps=MOST_STEPS, **options))


ENTRIES = (
    Entry(
        "cartpole",
        "CartPole-v1",
        follow_the_pole,
        "A pole that is balanced by one line of code.",
        replay=True,
    ),
    Entry(
        "acrobot",
        "Acrobot-v1",
        swing_with_the_link,
        "Two links that swing themselves up.",
        replay=True,
    ),
    Entry(
        "mountain-car",
        "MountainCar-v0",
        push_as_it_rolls,
        "A car that gathers speed to get out.",
        replay=True,
    ),
    Entry("pendulum", "Pendulum-v1", act_at_random, "Actions of continuous values, at random."),
    Entry(
        "frozen-lake",
        "FrozenLake-v1",
        act_at_random,
        "Observations that are one whole number.",
        replay=True,
    ),
    Entry("taxi", "Taxi-v4", act_at_random, "Infos with a mask of the actions that do something."),
    Entry("blackjack", "Blackjack-v1", hit_below_seventeen, "Observations that are a Tuple."),
    Entry("cliff-walking", "CliffWalking-v1", act_at_random, "Rewards that differ by two decades."),
    Entry(
        "mountain-car-goal",
        "MountainCarContinuous-v0",
        accelerate_as_it_rolls,
        "Observations that are a Dict, with the goal in them.",
        GoalObservation,
    ),
    Entry(
        "cartpole-pixels",
        "CartPole-v1",
        act_at_random,
        "Observations that are pictures, which the page plays.",
        PixelObservation,
    ),
)


def write_gallery(folder: Path) -> None:
    """Collect the datasets, and write their pages, their pictures and the page of all of them.

    Args:
        folder: Where to write; it is made.
    """
    folder.mkdir(parents=True)
    cards = []
    for entry in ENTRIES:
        dataset = collect(entry)
        page = minari.dataset_page(dataset, check=True, replay=entry.replay)
        (folder / f"{entry.name}.html").write_text(page, encoding="utf-8")
        write_picture(entry, folder / f"{entry.name}.png")
        returns = [float(episode.rewards.sum()) for episode in dataset]
        cards.append(
            f"-   [![{entry.env_id}]({entry.name}.png)]({entry.name}.html)\n\n"
            f"    **[{dataset.id}]({entry.name}.html)**\n\n"
            f"    {entry.sentence} `{entry.env_id}`, {dataset.total_episodes} episodes, "
            f"{dataset.total_steps:,} steps, mean return {np.mean(returns):.4g}.\n"
        )
    grid = "\n".join(cards)
    text = f'{INTRODUCTION}<div class="grid cards gallery" markdown>\n\n{grid}\n</div>\n'
    (folder / "index.md").write_text(text, encoding="utf-8")


def collect(entry: Entry) -> minari.MinariDataset:
    env = minari.DataCollectorV0(entry.make(), record_infos=True)
    env.action_space.seed(0)
    for seed in range(EPISODES):
        observation, _ = env.reset(seed=seed)
        over = False
        while not over:
            action = entry.policy(observation, env)
            observation, _, terminated, truncated, _ = env.step(action)
            over = terminated or truncated
    dataset = minari.create_dataset_from_collector_env(
        f"gallery/{entry.name}-v0",
        env,
        algorithm_name=entry.policy.__name__.replace("_", " "),
        author="Minari contributors",
        author_email="gallery@minari.example",
        code_permalink="https://minari.example/blob/main/website/gallery.py",
        description=entry.sentence,
    )
    env.close()
    return dataset


def write_picture(entry: Entry, file: Path) -> None:
    """Draw the environment some steps after its beginning."""
    env = entry.make(render_mode="rgb_array")
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(10):
        observation, _, terminated, truncated, _ = env.step(entry.policy(observation, env))
        if terminated or truncated:
            break
    frame = observation if isinstance(env, PixelObservation) else env.render()
    env.close()
    picture = Image.fromarray(np.asarray(frame, np.uint8))
    resample = Image.Resampling.NEAREST if picture.width < 100 else Image.Resampling.LANCZOS
    picture.resize((360, round(360 * picture.height / picture.width)), resample).save(
        file, optimize=True
    )
