"""``minari show``: what a dataset is, in a terminal and for a script."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from rich.console import Console

import minari
import minari_core
from minari.command_line.show.space_text import format_space
from minari.command_line.show.summary import Summary, print_summary
from minari.distributions.returns import EpisodeStatistics
from minari.serialization import serialize_space
from minari.storage import get_dataset_path
from minari_core.json_values import JsonValue
from tests.helpers.command_line import CommandLine, collect

LAID_OUT = """\
door/human-v2
Opens doors, sometimes.

Episodes    25
Steps       6,729
Stored      7.1 MB, hdf5
In          /datasets/of/a/long/name/on/some/disk/door/human
            -v2
Needs       mujoco
Author      Ada, Alan
Splits      train (20), test (5)
Made of     door/human-v1, filter; door.hdf5, import
Reference   random -56.5, expert 2880.6
Written by  Minari 0.5.3
seed        7

Observations
  Dict
    hand: Box(-1.0, 1.0, (3,), float32)
    held: Discrete(2)

Actions
  Discrete(3)

Returns, component 0
mean 196, std 179.2, min 0, median 144, max 576
  0  ████████████████████████████████████████████████  10
100  ████████████████████████                           5
200  ██████████████▍                                    3
300  █████████▋                                         2
400  ██████████████▍                                    3
500  █████████▋                                         2

Returns, component 1
mean -1, std 0, min -1, median -1, max -1,
15 of 25 not finite
-1  ████████████████████████████████████████████████  10

Returns, component 2
mean 0, std 0, min 0, median 0, max 0
0  ████████████████████████████████████████████████  25

Returns, component 3
mean 0, std 0, min 0, median 0, max 0
0  ████████████████████████████████████████████████  25
… and 2 components more

Lengths
mean 248, std 28.84, min 200, median 248, max 296
200  ████████████████████████████████████████████████  5
220  ████████████████████████████████████████████████  5
240  ████████████████████████████████████████████████  5
260  ████████████████████████████████████████████████  5
280  ████████████████████████████████████████████████  5"""

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")


def returns_of(dataset_id: str) -> list[float]:
    return [float(episode.rewards.sum()) for episode in minari.load_dataset(dataset_id)]


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


def test_all_of_a_summary_is_laid_out_like_this() -> None:
    squares = np.arange(25.0) ** 2
    statistics = EpisodeStatistics(
        lengths=np.arange(200, 300, 4),
        returns=np.stack([squares, np.where(squares > 99, np.nan, -1), *np.zeros((4, 25))], 1),
    )
    metadata: dict[str, JsonValue] = {
        "description": "Opens doors,\nsometimes.",
        "total_episodes": 25,
        "total_steps": 6729,
        "data_format": "hdf5",
        "minari_version": "0.5.3",
        "author": ["Ada", "Alan"],
        "requirements": ["mujoco"],
        "observation_space": serialize_space(
            spaces.Dict(hand=spaces.Box(-1, 1, (3,)), held=spaces.Discrete(2))
        ),
        "action_space": serialize_space(spaces.Discrete(3)),
        "ref_min_score": -56.5,
        "ref_max_score": 2880.6,
        "splits": {"train": [[0, 20]], "test": [[20, 25]]},
        "parents": [
            {"id": "door/human-v1", "operation": "filter"},
            {"file": "door.hdf5", "operation": "import"},
        ],
        "seed": 7,
    }
    summary = Summary(
        dataset_id="door/human-v2",
        location="/datasets/of/a/long/name/on/some/disk/door/human-v2",
        metadata=metadata,
        nbytes=7_100_000,
        statistics=statistics,
    )
    shown = io.StringIO()

    print_summary(summary, Console(file=shown, width=60, color_system=None))

    assert "\n".join(line.rstrip() for line in shown.getvalue().splitlines()) == LAID_OUT


def test_the_version_that_is_shown_is_that_of_what_wrote_the_dataset(cli: CommandLine) -> None:
    collect("cart/one-v0", episodes=1)
    original = minari.load_dataset("cart/one-v0")
    minari.convert_dataset(original, "cart/copy-v0", data_format="hdf5")
    copy = minari.load_dataset("cart/copy-v0")

    assert original.minari_version == original.spec.minari_version == minari_core.__version__
    assert f"minari-core {minari_core.__version__}\n" in cli("show", "cart/one-v0", width=80).out
    assert copy.minari_version == "0.5.0"
    assert "Minari 0.5.0\n" in cli("show", "cart/copy-v0", width=80).out
    manifest = json.loads((get_dataset_path("cart/copy-v0") / "data/metadata.json").read_bytes())
    assert manifest["minari_core"]["written_by"] == minari_core.__version__


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


def test_show_takes_the_path_of_a_dataset(cli: CommandLine, datasets_root: Path) -> None:
    collect("a/x-v0")
    by_id = json.loads(cli("show", "a/x-v0", "--json").out)
    for path in (datasets_root / "a" / "x-v0", datasets_root / "a" / "x-v0" / "data"):
        assert json.loads(cli("show", str(path), "--json").out) == by_id


def test_show_says_which_local_ids_are_like_an_unknown_one(cli: CommandLine, remote: str) -> None:
    collect("a/x-v0")
    assert "(of its versions there are a/x-v0)" in " ".join(cli("show", "a/x-v7").err.split())


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
