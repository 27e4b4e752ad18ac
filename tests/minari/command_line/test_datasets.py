"""``minari delete``, ``combine`` and ``split``."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest

import minari
from tests.helpers.command_line import CommandLine, Terminal, collect

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")


on_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")


def returns_of(dataset_id: str) -> list[float]:
    return [float(episode.rewards.sum()) for episode in minari.load_dataset(dataset_id)]


def test_delete_asks_and_does_nothing_without_an_answer(cli: CommandLine) -> None:
    collect("cart/one-v0")

    done = cli("delete", "cart/one-v0")

    assert done.code == 2
    assert "--yes" in done.err
    assert list(minari.list_local_datasets()) == ["cart/one-v0"]


def test_delete_with_yes_deletes_all_or_nothing(cli: CommandLine) -> None:
    for dataset_id in ("cart/one-v0", "cart/two-v0", "cart/three-v0"):
        collect(dataset_id, episodes=1)

    done = cli("delete", "cart/one-v0", "cart/none-v0", "--yes")
    assert done.code == 3
    assert "cart/none-v0 can't be found locally at" in done.err
    assert len(minari.list_local_datasets()) == 3
    assert cli("delete", "cart/one-v0", "cart/two-v0", "cart/one-v0", "-y").code == 0
    assert list(minari.list_local_datasets()) == ["cart/three-v0"]


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("yes", 0), ("n\n", 1), ("\n", 1)])
def test_delete_takes_the_answer_of_a_pipe(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    collect("cart/one-v0")
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))

    done = cli("delete", "cart/one-v0")
    assert done.code == code
    assert ("Aborted" in done.err) == (code != 0)
    assert ("cart/one-v0" in minari.list_local_datasets()) == (code != 0)


def test_an_answer_that_is_neither_yes_nor_no_is_asked_for_again(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("cart/one-v0")
    monkeypatch.setattr(sys, "stdin", io.StringIO("perhaps\ny\n"))

    done = cli("delete", "cart/one-v0")

    assert done.code == 0
    assert "Error: invalid input" in done.err
    assert done.err.count("[y/N]") == 2
    assert not minari.list_local_datasets()


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
def test_control_c_ends_with_130_and_changes_nothing(datasets_root: Path) -> None:
    collect("cart/one-v0")

    terminal = Terminal("-m", "minari", "delete", "cart/one-v0")
    terminal.wait_for("[y/N]")
    terminal.send(signal.SIGINT)

    assert terminal.code() == 130, terminal.text
    assert "Traceback" not in terminal.text
    assert list(minari.list_local_datasets()) == ["cart/one-v0"]


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


def test_options_have_the_names_that_they_had(cli: CommandLine, tmp_path: Path) -> None:
    for name in ("cart/one-v0", "cart/one-v1", "other/two-v0"):
        collect(name)
    remote = (tmp_path / "remote").as_uri()

    assert cli("list", "local", "--all", "-p", "cart/", "--json").out == (
        cli("list", "local", "-a", "--prefix", "cart/", "--json").out
    )
    assert set(json.loads(cli("list", "-ap", "cart/", "--json").out)) == {
        "cart/one-v0",
        "cart/one-v1",
    }
    assert cli("list", "--all", "--latest").code == 2
    done = cli("combine", "cart/one-v0", "cart/one-v1", "--dataset-id", "cart/both-v0")
    assert done.code == 0
    assert minari.load_dataset("cart/both-v0").combined_datasets == ["cart/one-v0", "cart/one-v1"]
    assert cli("upload", "cart/one-v0", "--remote", remote, "--key-path", "key").code == 0
    assert cli("upload", "cart/one-v1", "--token", "a", "--key-path", "b").code == 2
    assert cli("list", "local").out.split()[0] == "Name"
    done = cli("download", "cart/one-v0", "--remote", remote, "-f", "--yes")
    assert "Dataset cart/one-v0 downloaded to" in done.err
    assert "Dataset cart/one-v0 deleted!" in cli("delete", "cart/one-v0", "--yes").err
