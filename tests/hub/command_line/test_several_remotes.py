"""Several remotes on the command line: where each dataset lies, and what is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

import minari
from minari_hub.command_line.app import app
from tests.helpers.command_line import CommandLine
from tests.hub.helpers.datasets import make_shards
from tests.hub.helpers.servers import free_port

pytestmark = pytest.mark.filterwarnings("ignore::minari.MinariWarning")


@pytest.fixture
def hub(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CommandLine(app, "minari-hub", capsys, monkeypatch)


@pytest.fixture
def remotes(tmp_path: Path) -> list[str]:
    """Two folders: both have a dataset of one id, and each has one of its own."""
    urls = [(tmp_path / name).as_uri() for name in ("one", "two")]
    for dataset_id, where in (("both-v0", urls), ("one-v0", urls[:1]), ("two-v0", urls[1:])):
        make_shards(dataset_id, 1, steps=20)
        for url in where:
            minari.upload_dataset(dataset_id, remote_path=url)
        minari.delete_dataset(dataset_id)
    return urls


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "0")
    return "hf://farama"


def test_a_list_says_where_each_dataset_lies(
    hub: CommandLine, remotes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_REMOTE", " ".join(remotes))

    done = hub("list", "remote")
    rows = {line.split()[0]: line.split()[1] for line in done.out.splitlines()[2:]}
    assert rows == {"both-v0": remotes[0], "one-v0": remotes[0], "two-v0": remotes[1]}
    assert done.err == f"2 datasets in {remotes[0]}, 1 dataset in {remotes[1]}\n"
    listed = hub("list", "--json").json
    assert {name: each["remote_path"] for name, each in listed.items()} == rows
    # On a narrow terminal, where a dataset lies is the last to go.
    assert remotes[1] in hub("list", width=len(remotes[1]) + 30).out


def test_remotes_that_are_given_take_the_place_of_those_of_the_environment(
    hub: CommandLine, remotes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_REMOTE", "file:///nowhere")
    given = ["--remote", remotes[1], "--remote", remotes[0]]

    listed = hub("list", "remote", *given, "--json").json
    assert {name: each["remote_path"] for name, each in listed.items()} == {
        "both-v0": remotes[1],
        "one-v0": remotes[0],
        "two-v0": remotes[1],
    }
    assert hub("download", "one-v0", "two-v0", *given).code == 0
    assert list(minari.list_local_datasets()) == ["one-v0", "two-v0"]
    assert "both-v0: ok" in hub("verify", "both-v0", *given).out
    done = hub("list", remotes[0], *given)
    assert (done.code, "--remote goes with remote alone" in " ".join(done.err.split())) == (2, True)


def test_one_remote_has_no_column_of_its_own(hub: CommandLine, remotes: list[str]) -> None:
    done = hub("list", remotes[0])

    assert "Remote" not in done.out
    assert done.err == f"2 datasets in {remotes[0]}\n"
    assert hub("list", remotes[0], "--prefix", "x").err == f"no dataset in {remotes[0]}\n"
    assert hub("list", "--remote", remotes[0], "--remote", remotes[1], "-p", "x").err == (
        f"no dataset in {remotes[0]}, {remotes[1]}\n"
    )


def test_what_is_out_of_reach_is_a_warning_in_one_line(
    hub: CommandLine, remotes: list[str], unreachable: str
) -> None:
    given = ["--remote", unreachable, "--remote", remotes[0]]

    for command in (["list"], ["download", "one-v0"]):
        done = hub(*command, *given)
        first, last = done.err.splitlines()
        assert first.startswith(f"warning: {unreachable} is passed over: could not ")
        assert done.code == 0
        assert last.startswith(("2 datasets in", "Dataset one-v0 downloaded to"))
    done = hub("download", "unlike-v0", *given)
    assert done.code == 1
    assert done.err.count(unreachable) > 1
    assert f"`minari-hub list {remotes[0]}` shows which there are" in done.err


def test_what_no_remote_has_exits_as_not_found(hub: CommandLine, remotes: list[str]) -> None:
    given = ["--remote", remotes[0], "--remote", remotes[1]]

    done = hub("download", "unlike-v0", *given)
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert all(f"`minari-hub list {url}` shows" in done.err for url in remotes)


def test_an_upload_without_one_remote_says_which_to_name(
    hub: CommandLine, remotes: list[str]
) -> None:
    make_shards("new-v0", 1, steps=20)

    done = hub("upload", "new-v0")
    assert done.code == 2
    assert "name it, as --remote hf://farama-minari or --remote gs://minari-remote" in done.err
    done = hub("upload", "new-v0", "--remote", remotes[0], "--remote", remotes[1])
    assert (done.code, f"--remote {remotes[1]}" in done.err) == (2, True)
    done = hub("upload", "new-v0", "--remote", remotes[1])
    assert (done.code, done.err) == (0, f"new-v0 is on {remotes[1]}\n")


def test_what_is_here_is_compared_with_the_first_remote_that_has_it(
    hub: CommandLine, remotes: list[str]
) -> None:
    given = ["--remote", remotes[0], "--remote", remotes[1]]
    assert hub("download", "two-v0", *given).code == 0

    done = hub("download", "two-v0", *given)
    assert (done.code, "two-v0 is in" in done.err) == (0, True)
    make_shards("one-v0", 1, steps=20)
    done = hub("download", "one-v0", *given)
    assert (done.code, f"another one than {remotes[0]}/one-v0" in done.err) == (1, True)
    assert hub("download", "one-v0", *given, "--force", "--yes").code == 0
    assert "one-v0 is in" in hub("download", "one-v0", *given).err
