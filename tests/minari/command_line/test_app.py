"""The command line ``minari``: what it prints, what it changes, and what it tells a script."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

import minari
from minari.command_line.app import app
from minari.command_line.datasets import parse_sizes
from minari.command_line.show.histogram import compute_distribution, draw_bars
from minari.command_line.show.space_text import format_space
from minari.command_line.show.statistics import compute_statistics
from tests.helpers.command_line import CommandLine, Terminal, collect, in_process

pytestmark = pytest.mark.filterwarnings("ignore:the dataset has no:minari_core.MinariWarning")

on_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CommandLine(app, "minari", capsys, monkeypatch)


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "remote"
    folder.mkdir()
    monkeypatch.setenv("MINARI_REMOTE", folder.as_uri())
    return folder.as_uri()


def returns_of(dataset_id: str) -> list[float]:
    return [float(episode.rewards.sum()) for episode in minari.load_dataset(dataset_id)]


def test_the_versions_of_all_packages_are_shown() -> None:
    done = in_process("minari", "--version")

    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == [
        "minari",
        "minari-collect",
        "minari-hub",
        "minari-core",
    ]


def test_importing_minari_loads_no_command_line() -> None:
    program = "import sys, minari; print({'typer', 'rich', 'click'} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )

    assert done.stdout.strip() == "set()"


def test_the_shared_commands_are_those_of_minari_hub(cli: CommandLine) -> None:
    collect("cart/one-v0")

    assert "cart/one-v0" in cli("list").out
    assert list(cli("list", "local", "--json").json) == ["cart/one-v0"]
    assert "cart/one-v0: ok" in cli("verify", "cart/one-v0").out
    overview = cli("--help").out
    commands = ("list", "show", "download", "upload", "verify", "delete", "combine", "split")
    for command in (*commands, "recover"):
        assert f"\n  {command} " in overview
    assert "..." not in overview.partition("Commands:")[2]


def test_show_tells_what_a_dataset_is(cli: CommandLine) -> None:
    collect(
        "cart/one-v0",
        episodes=12,
        author=["Ada", "Alan"],
        author_email="ada@example.org",
        algorithm_name="random policy",
        code_permalink="https://example.org/code",
        description="Falls over soon.",
        ref_min_score=20.0,
        ref_max_score=500.0,
    )
    returns = returns_of("cart/one-v0")

    done = cli("show", "cart/one-v0", width=80)

    assert (done.code, done.err) == (0, "")
    for text in (
        "cart/one-v0\nFalls over soon.\n",
        "CartPole-v1, at most 500 steps",
        "Ada, Alan",
        "ada@example.org",
        "random policy",
        "https://example.org/code",
        "random 20.0, expert 500.0",
        "Discrete(2)",
        "Box(",
        f"min {min(returns):.0f}",
        f"max {max(returns):.0f}",
        "█",
    ):
        assert text in done.out, text
    assert done.out.index("Returns") < done.out.index("Lengths")


def test_show_gives_a_script_numbers(cli: CommandLine) -> None:
    collect("cart/one-v0", episodes=12)
    returns = returns_of("cart/one-v0")

    shown = cli("show", "cart/one-v0", "--json").json

    assert shown["dataset_id"] == "cart/one-v0"
    assert shown["metadata"]["total_episodes"] == 12
    assert shown["returns"]["count"] == 12
    assert shown["returns"]["mean"] == pytest.approx(np.mean(returns))
    assert shown["returns"]["median"] == np.median(returns)
    assert (shown["returns"]["min"], shown["returns"]["max"]) == (min(returns), max(returns))
    assert sum(shown["lengths"]["histogram"]["counts"]) == 12
    assert shown["nbytes"] > 0


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_what_is_shown_is_never_wider_than_the_terminal(cli: CommandLine, width: int) -> None:
    space = spaces.Dict(
        {
            "a-key-that-is-rather-long-for-a-narrow-terminal": spaces.Box(-1, 1, (64, 64, 3)),
            "inside": spaces.Dict({"deeper": spaces.Tuple([spaces.Text(5), spaces.Discrete(3)])}),
        }
    )
    buffer = minari.EpisodeBuffer(
        observations={
            key: [row[key] for row in (space.sample() for _ in range(9))] for key in space.spaces
        },
        actions=[0] * 8,
        rewards=np.linspace(-1e6, 1e6, 8).tolist(),
        terminations=[False] * 8,
        truncations=[False] * 7 + [True],
    )
    minari.create_dataset_from_buffers(
        "a-rather-long-namespace/with-a-rather-long-name-inside-v10",
        [buffer],
        observation_space=space,
        action_space=spaces.Discrete(2),
        description="word " * 60 + "x" * 300,
        author="someone with a very long name " * 5,
    )

    done = cli("show", "a-rather-long-namespace/with-a-rather-long-name-inside-v10", width=width)

    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= width


def test_show_makes_no_environment_and_runs_nothing(
    cli: CommandLine, datasets_root: Path, tmp_path: Path
) -> None:
    collect("cart/one-v0")
    manifest = datasets_root / "cart" / "one-v0" / "data" / "metadata.json"
    content = json.loads(manifest.read_text())
    spec = json.loads(content["env_spec"])
    spec["entry_point"] = "os:system"
    spec["id"] = "Evil-v0"
    spec["kwargs"] = {"command": f"touch {tmp_path / 'ran'}", "clear\x1b[2J": "\x1b[2J"}
    content["env_spec"] = json.dumps(spec)
    manifest.write_text(json.dumps(content))

    done = cli("show", "cart/one-v0")

    assert done.code == 0
    assert "Evil-v0(command='touch " in done.out
    assert r"clear\x1b[2J=" in done.out
    assert "\x1b" not in done.out
    assert not (tmp_path / "ran").exists()


def test_show_of_a_damaged_dataset_shows_what_can_be_shown(
    cli: CommandLine, datasets_root: Path
) -> None:
    collect("cart/one-v0", author="Ada")
    (shard,) = (datasets_root / "cart" / "one-v0" / "data").glob("*.h5")
    shard.write_bytes(shard.read_bytes()[:-5])

    done = cli("show", "cart/one-v0")

    assert done.code == 1
    assert "Ada" in done.out
    assert "damaged" in done.err
    assert cli("show", "cart/one-v0", "--json").json["returns"] is None


def test_show_looks_on_the_remote_for_what_is_not_local(cli: CommandLine, remote: str) -> None:
    collect("cart/one-v0", episodes=8)
    local = cli("show", "cart/one-v0", "--json").json
    cli("upload", "cart/one-v0")
    minari.delete_dataset("cart/one-v0")

    done = cli("show", "cart/one-v0", "--json")

    assert done.code == 0
    assert "asking" in done.err
    assert done.json["returns"] == local["returns"]
    assert done.json["lengths"] == local["lengths"]
    assert done.json["metadata"] == local["metadata"]
    assert list(minari.list_local_datasets()) == []
    at_url = cli("show", f"{remote}/cart/one-v0", "--json")
    assert (at_url.json, at_url.err) == (done.json, "")
    assert cli("show", "cart/two-v0").code == 3


def test_show_of_a_remote_dataset_in_a_public_format_says_what_is_left_out(
    cli: CommandLine, remote: str
) -> None:
    collect("cart/one-v0", episodes=3)
    cli("upload", "cart/one-v0", "--data-format", "hdf5")

    done = cli("show", "cart/one-v0", "--remote", remote)

    assert done.code == 0
    assert "returns and lengths are not shown" in done.err
    assert "hdf5" in done.err
    assert "minari_core" not in done.out


def test_show_into_a_pipe_ends_no_line_with_blanks(cli: CommandLine) -> None:
    collect("cart/one-v0", episodes=3)
    lines = cli("show", "cart/one-v0").out.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert "Lengths" in lines


def test_show_of_a_damaged_remote_dataset_shows_what_can_be_shown(
    cli: CommandLine, remote: str, tmp_path: Path
) -> None:
    collect("cart/one-v0")
    cli("upload", "cart/one-v0")
    (shard,) = (tmp_path / "remote").rglob("*.h5")
    shard.write_bytes(shard.read_bytes()[:100])

    done = cli("show", "cart/one-v0", "--remote", remote)

    assert done.code == 1
    assert "CartPole-v1" in done.out
    assert shard.name in done.err


def test_vector_rewards_are_shown_component_by_component(cli: CommandLine) -> None:
    rewards = np.arange(12.0).reshape(6, 2)
    buffers = [
        minari.EpisodeBuffer(
            observations=np.zeros((4, 2), np.float32),
            actions=[0, 1, 0],
            rewards=part,
            terminations=[False, False, True],
            truncations=[False] * 3,
        )
        for part in (rewards[:3], rewards[3:])
    ]
    minari.create_dataset_from_buffers(
        "vector-v0",
        buffers,
        observation_space=spaces.Box(-1, 1, (2,)),
        action_space=spaces.Discrete(2),
    )

    first, second = cli("show", "vector-v0", "--json").json["returns"]

    assert (first["min"], first["max"]) == (0 + 2 + 4, 6 + 8 + 10)
    assert (second["min"], second["max"]) == (1 + 3 + 5, 7 + 9 + 11)
    assert "Returns, component 1" in cli("show", "vector-v0").out


def test_returns_add_up_across_shards_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    env = minari.DataCollectorV0(gym.make("CartPole-v1"), max_buffer_steps=10)
    for seed in range(10):
        env.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
    dataset = minari.create_dataset_from_collector_env("cart/blocks-v0", env)
    env.close()
    expected = [float(episode.rewards.sum()) for episode in dataset]
    seen: list[tuple[int, int]] = []
    for steps in (1, 7, 1000):
        monkeypatch.setattr("minari.command_line.show.statistics._STEPS_AT_ONCE", steps)

        statistics = compute_statistics(dataset, lambda *counts: seen.append(counts))

        assert statistics.returns is not None
        assert statistics.returns.tolist() == expected
        assert statistics.lengths.tolist() == expected
        assert seen[-1] == (dataset.total_steps, dataset.total_steps)


@pytest.mark.parametrize("metadata", [None, {"rewards_sum": 3.5}])
def test_returns_of_a_public_format_are_told_to_the_end(metadata: dict[str, float] | None) -> None:
    buffer = minari.EpisodeBuffer(
        observations=np.zeros((3, 2), np.float32),
        actions=[0, 1],
        rewards=[1.0, 2.5],
        terminations=[False, True],
        truncations=[False, False],
        metadata=metadata,
    )
    dataset = minari.create_dataset_from_buffers(
        "public-v0",
        [buffer],
        observation_space=spaces.Box(-1, 1, (2,)),
        action_space=spaces.Discrete(2),
        data_format="hdf5",
    )
    seen: list[tuple[int, int]] = []

    statistics = compute_statistics(dataset, lambda *counts: seen.append(counts))

    assert statistics.returns is not None
    assert statistics.returns.tolist() == [3.5]
    assert seen[-1] == (2, 2)


def test_delete_asks_and_does_nothing_without_an_answer(cli: CommandLine) -> None:
    collect("cart/one-v0")

    done = cli("delete", "cart/one-v0")

    assert done.code == 2
    assert "--yes" in done.err
    assert list(minari.list_local_datasets()) == ["cart/one-v0"]


def test_delete_with_yes_deletes_all_or_nothing(cli: CommandLine) -> None:
    for dataset_id in ("cart/one-v0", "cart/two-v0", "cart/three-v0"):
        collect(dataset_id, episodes=1)

    assert cli("delete", "cart/one-v0", "cart/none-v0", "--yes").code == 3
    assert len(minari.list_local_datasets()) == 3
    assert cli("delete", "cart/one-v0", "cart/two-v0", "cart/one-v0", "-y").code == 0
    assert list(minari.list_local_datasets()) == ["cart/three-v0"]


@on_posix
@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1)])
def test_delete_takes_the_answer_of_a_terminal(datasets_root: Path, answer: str, code: int) -> None:
    collect("cart/one-v0")

    terminal = Terminal("-m", "minari", "delete", "cart/one-v0")
    terminal.wait_for("[y/N]")
    terminal.type(answer)

    assert terminal.code() == code, terminal.text
    assert ("cart/one-v0" in minari.list_local_datasets()) == (code != 0)


@on_posix
@pytest.mark.usefixtures("_heeded_interrupts")
def test_control_c_ends_with_130_and_changes_nothing(datasets_root: Path) -> None:
    collect("cart/one-v0")

    terminal = Terminal("-m", "minari", "delete", "cart/one-v0")
    terminal.wait_for("[y/N]")
    terminal.send(signal.SIGINT)

    assert terminal.code() == 130, terminal.text
    assert "Traceback" not in terminal.text
    assert list(minari.list_local_datasets()) == ["cart/one-v0"]


@on_posix
def test_colours_are_for_terminals_that_want_them(datasets_root: Path) -> None:
    collect("cart/one-v0")

    coloured = Terminal("-m", "minari", "verify", "cart/one-v0")
    plain = Terminal("-m", "minari", "verify", "cart/one-v0", environment={"NO_COLOR": "1"})
    assert (coloured.code(), plain.code()) == (0, 0)
    piped = in_process("minari", "verify", "cart/one-v0")

    assert "\x1b[32mcart/one-v0: ok" in coloured.text
    assert "\x1b[32m" not in plain.text
    assert "\x1b" not in piped.out + piped.err


def test_a_long_work_shows_its_progress_on_terminals_only(datasets_root: Path) -> None:
    collect("cart/one-v0")

    done = in_process("minari", "verify", "cart/one-v0", "--json")

    assert done.code == 0
    assert done.json[0]["ok"] is True
    assert done.err == ""


def test_combine_makes_one_dataset_of_several(cli: CommandLine) -> None:
    collect("cart/one-v0", episodes=3)
    collect("cart/two-v0", episodes=2)

    done = cli("combine", "cart/one-v0", "cart/two-v0", "--name", "cart/both-v0")

    assert done.code == 0
    assert "cart/both-v0 has 5 episodes" in done.err
    assert returns_of("cart/both-v0") == returns_of("cart/one-v0") + returns_of("cart/two-v0")
    again = cli("combine", "cart/one-v0", "--name", "cart/both-v0")
    assert again.code == 1
    assert again.err.startswith("error: ")
    assert again.err.count("\n") == 1
    assert cli("combine", "cart/one-v0").code == 2


def test_split_deals_every_episode_into_one_part(cli: CommandLine) -> None:
    collect("cart/one-v3", episodes=9)

    done = cli("split", "cart/one-v3", "0.8", "0.2", "--seed", "4")

    assert done.code == 0
    first, second = returns_of("cart/one-part1-v3"), returns_of("cart/one-part2-v3")
    assert (len(first), len(second)) == (7, 2)
    assert sorted(first + second) == sorted(returns_of("cart/one-v3"))
    names = ("--name", "train-v0", "--name", "test-v0")
    assert cli("split", "cart/one-v3", "7", "2", "--seed", "4", *names).code == 0
    assert (returns_of("train-v0"), returns_of("test-v0")) == (first, second)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["0.8", "0.3"], 2),
        (["0.8", "2"], 2),
        (["-1"], 2),
        (["many"], 2),
        (["0"], 2),
        (["1", "2", "--name", "x-v0"], 2),
        (["1", "2", "--name", "x-v0", "--name", "x-v0"], 2),
        (["1", "2", "--name", "x-v0", "--name", "y"], 2),
        (["3", "3"], 2),
        (["1.0e99999999", "0.1"], 2),
        (["9" * 5000, "1"], 2),
        (["1", "--seed", "-5"], 2),
        (["1", "1", "--name", "x-v0", "--name", "cart/one-v0"], 1),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_split_that_makes_no_sense_makes_nothing(
    cli: CommandLine, arguments: list[str], code: int
) -> None:
    collect("cart/one-v0", episodes=5)

    done = cli("split", "cart/one-v0", *arguments)

    assert done.code == code, done
    assert list(minari.list_local_datasets()) == ["cart/one-v0"]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=5), st.integers(100, 400))
def test_fractions_are_rounded_by_less_than_an_episode(weights: list[int], total: int) -> None:
    percents = [max(1, 100 * weight // sum(weights)) for weight in weights]
    percents[percents.index(max(percents))] -= max(0, sum(percents) - 100)

    counts = parse_sizes([f"{percent}%" for percent in percents], total)

    assert sum(counts) == total * sum(percents) // 100
    for percent, count in zip(percents, counts, strict=True):
        assert abs(count - total * percent / 100) < 1


def leave_a_recording(tmp_path: Path) -> None:
    """Kill a process that records."""
    program = """
import os, warnings
import gymnasium as gym, minari
env = minari.DataCollectorV0(gym.make("CartPole-v1"), max_buffer_steps=5)
env.action_space.seed(0)
for seed in range(4):
    env.reset(seed=seed)
    over = False
    while not over:
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        over = terminated or truncated
os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 9


def test_recover_lists_recovers_and_discards(cli: CommandLine, tmp_path: Path) -> None:
    assert cli("recover").err == "there is nothing to recover\n"
    leave_a_recording(tmp_path)
    leave_a_recording(tmp_path)

    first, second = cli("recover", "--json").json
    table = cli("recover", width=80)

    assert first["env_id"] == "CartPole-v1"
    assert first["total_steps"] > 0
    names = "".join(line.split("  ")[0] for line in table.out.splitlines())
    assert first["id"] in names
    assert second["id"] in names
    assert cli("recover", first["id"]).code == 2
    assert cli("recover", "--name", "x-v0").code == 2
    assert cli("recover", "no-such-recording", "--name", "x-v0").code == 3
    done = cli("recover", first["id"], "--name", "cart/found-v0", "--author", "Ada", "--json")
    found = minari.load_dataset("cart/found-v0")
    assert done.json == {
        "dataset_id": "cart/found-v0",
        "total_episodes": found.total_episodes,
        "total_steps": found.total_steps,
    }
    assert done.code == 0
    assert minari.load_dataset("cart/found-v0").metadata["author"] == ["Ada"]
    assert minari.load_dataset("cart/found-v0").total_steps == first["total_steps"]
    assert cli("recover", second["id"], "--discard").code == 2
    assert len(cli("recover", "--json").json) == 1
    dropped = cli("recover", second["id"], "--discard", "--yes", "--json")
    assert (dropped.code, dropped.json) == (0, {"dropped": second["id"]})
    assert cli("recover", "--json").json == []


@pytest.mark.parametrize("width", [40, 80])
def test_recordings_fit_the_terminal(cli: CommandLine, tmp_path: Path, width: int) -> None:
    leave_a_recording(tmp_path)

    out = cli("recover", width=width).out

    assert max(map(len, out.splitlines())) <= width
    assert "Episodes" in out


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(numbers, max_size=60))
def test_every_finite_number_is_in_the_bin_that_its_borders_say(values: list[float]) -> None:
    finite = sorted(value for value in values if math.isfinite(value))

    distribution = compute_distribution(values)

    if distribution is None:
        assert finite == []
        return
    assert distribution.count == len(values)
    assert distribution.not_finite == len(values) - len(finite)
    assert (distribution.minimum, distribution.maximum) == (finite[0], finite[-1])
    assert finite[0] <= distribution.mean <= finite[-1]
    edges, counts = distribution.edges, distribution.counts
    assert sum(counts) == len(finite)
    assert 1 <= len(counts) == len(edges) - 1 <= 12
    assert edges[0] <= finite[0]
    assert finite[-1] <= edges[-1]
    for index, count in enumerate(counts):
        is_last = index == len(counts) - 1
        inside = [
            value
            for value in finite
            if edges[index] <= value and (is_last or value < edges[index + 1])
        ]
        assert len(inside) == count
    json.dumps(distribution.to_json(), allow_nan=False)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(20, 100))
def test_bars_fit_the_width_and_show_whatever_is_counted(values: list[int], width: int) -> None:
    distribution = compute_distribution(values)
    assert distribution is not None
    for ascii_only in (True, False):
        lines = draw_bars(distribution, width, ascii_only=ascii_only)
        for (label, bar, count), number in zip(lines, distribution.counts, strict=True):
            assert len(f"{label}  {bar}  {count}") <= width
            assert bool(bar.strip()) == (number > 0)
            assert bar.isascii() or not ascii_only
        assert len({len(label) for label, _, _ in lines}) == 1


def test_a_single_value_has_a_single_bar() -> None:
    for value in (0.0, 1.0, -0.25, 1e300, 1e-300, 1.7976931348623157e308):
        distribution = compute_distribution([value] * 3)
        assert distribution is not None
        assert distribution.counts == (3,)


def test_spaces_are_shown_as_trees() -> None:
    space: spaces.Space[Any] = spaces.Dict(
        {
            "camera": spaces.Box(0, 255, (64, 64, 3), np.uint8),
            "where": spaces.Tuple([spaces.Text(5), spaces.Discrete(3)]),
        }
    )

    assert format_space(space) == [
        "Dict",
        "  camera: Box(0, 255, (64, 64, 3), uint8)",
        "  where: Tuple",
        "    0: Text(1 to 5 of 62 characters)",
        "    1: Discrete(3)",
    ]
    many = spaces.Dict({str(number): spaces.Discrete(2) for number in range(1000)})
    assert len(format_space(many)) == 41
    uneven = spaces.Box(np.arange(-99.0, 1.0), np.arange(1.0, 101.0), dtype=np.float64)
    assert format_space(uneven) == ["Box(bounds that differ, -99 to 100 in all, (100,), float64)"]
