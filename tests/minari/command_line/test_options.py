"""What an option changes, and what is so without it: what the functions behind commands get."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest

import minari
import minari_collect
import minari_core
from minari.command_line import view as view_module
from minari.rendering.rendering import EpisodeVideo
from minari.replay.replaying import Trust
from minari.viewer.server import serve
from tests.helpers.command_line import CommandLine, collect

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
TRUST = ("--trust-entry-point", "--trust-paths", "--skip-wrapper", "a", "--skip-wrapper", "b")


class Spy:
    """Notes how a function is called, and calls it, or returns something in its place."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.given: dict[str, Any] = {}
        self.positional: tuple[Any, ...] = ()

    def __call__(self, *positional: Any, **given: Any) -> Any:
        self.positional, self.given = positional, given
        return self._function(*positional, **given)


def test_all_options_of_collect_arrive(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = collect("cart/a-v0", episodes=2)
    spy = Spy(lambda *positional, **given: made)
    monkeypatch.setattr(minari_collect, "collect_dataset", spy)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine.py").write_text("def act(observation):\n    return 1\n")

    plain = cli("collect", "CartPole-v1", "x-v0", "--steps", "7")
    assert plain.code == 0
    assert plain.err == f"cart/a-v0 is made: 2 episodes, {made.total_steps} steps\n"
    assert spy.positional == ("x-v0", "CartPole-v1", None)
    assert spy.given == {
        "total_episodes": None,
        "total_steps": 7,
        "workers": None,
        "num_envs": 1,
        "seed": None,
        "max_episode_steps": None,
        "episode_timeout": None,
        "record_infos": False,
        "resume": False,
        "skip_failed": False,
        "data_format": None,
        "author": None,
        "algorithm_name": None,
        "description": None,
    }
    assert sys.path[0] == os.getcwd()
    before = list(sys.path)
    options = (
        *("--episodes", "1", "--workers", "1", "--num-envs", "1", "--seed", "0", "--record-infos"),
        *("--max-episode-steps", "1", "--episode-timeout", "2.5", "--resume", "--skip-failed"),
        *("--data-format", "hdf5", "--author", "Ada", "--author", "Alan"),
        *("--algorithm-name", "mine", "--description", "Falls.", "--policy", "mine:act"),
    )
    assert cli("collect", "CartPole-v1", "x-v0", *options).code == 0
    assert sys.path == before
    policy: Any = spy.positional[2]
    assert policy(None) == 1
    assert spy.given == {
        "total_episodes": 1,
        "total_steps": None,
        "workers": 1,
        "num_envs": 1,
        "seed": 0,
        "max_episode_steps": 1,
        "episode_timeout": 2.5,
        "record_infos": True,
        "resume": True,
        "skip_failed": True,
        "data_format": "hdf5",
        "author": ["Ada", "Alan"],
        "algorithm_name": "mine",
        "description": "Falls.",
    }
    assert cli("collect", "CartPole-v1", "x-v0", "--steps", "1", "--same", "env").code == 0
    assert spy.given["resume"] == ["env"]
    for option, least in (
        ("--episodes", 1), ("--steps", 1), ("--workers", 1), ("--num-envs", 1),
        ("--seed", 0), ("--max-episode-steps", 1),
    ):  # fmt: skip
        arguments = ("collect", "CartPole-v1", "x-v0", option, str(least - 1))
        assert cli(*arguments).code == 2, option
    assert cli("collect", "CartPole-v1", "x-v0", "--steps", "1", "--episodes", "1").code == 2


def test_what_is_not_complete_is_said_not_to_be_kept(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*positional: Any, **given: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(minari_collect, "collect_dataset", interrupt)
    done = cli("collect", "CartPole-v1", "x-v0", "--steps", "7")
    assert done.code == 130
    assert "stopped; no episodes were complete yet, and nothing is kept\n" in done.err


def test_all_options_of_page_arrive(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("cart/a-v0", episodes=1)
    spy = Spy(lambda dataset, **given: f"<p>{dataset.id} é")
    monkeypatch.setattr("minari.viewer.page_file.dataset_page", spy)
    path = tmp_path / "page.html"

    done = cli("page", "cart/a-v0", "-o", str(path))
    assert (done.code, done.out, done.err) == (0, "", f"wrote {path}\n")
    assert path.read_bytes() == "<p>cart/a-v0 é".encode()
    assert spy.given.pop("progress")(1, 2) is None
    assert spy.given == {
        "episodes": (),
        "check": False,
        "replay": False,
        "trust_entry_point": False,
        "trust_paths": False,
        "skip_wrappers": (),
    }
    options = ("--episode", "0", "--episode", "7", "--check", "--replay", *TRUST)
    assert cli("page", "cart/a-v0", "--output", str(path), *options).code == 0
    del spy.given["progress"]
    assert spy.given == {
        "episodes": [0, 7],
        "check": True,
        "replay": True,
        "trust_entry_point": True,
        "trust_paths": True,
        "skip_wrappers": ["a", "b"],
    }
    assert cli("page", "cart/a-v0", "-o", str(path), "--episode", "-1").code == 2


@pytest.mark.parametrize("is_whole", [True, False])
def test_all_options_of_render_arrive_and_all_is_told(
    is_whole: bool, cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("cart/a-v0", episodes=1)
    path = tmp_path / "a.webp"
    video = EpisodeVideo(
        path=path, frames=1, fps=12.5, source="replay", is_whole=is_whole, description="as it was"
    )
    spy = Spy(lambda *positional, **given: video)
    monkeypatch.setattr("minari.rendering.rendering.render_episode", spy)

    done = cli("render", "cart/a-v0", "0", "-o", str(path))
    assert done.code == (0 if is_whole else 1)
    faithful = "; as it was" if is_whole else ""
    assert (done.out, done.err) == (
        "",
        f"wrote {path}: 1 frame of replay, 12.5 a second{faithful}\n",
    )
    assert spy.positional[1:] == (0, path)
    assert spy.given.pop("progress")(1, 2) is None
    plain = {"column": None, "fps": None, "overwrite": False, "trust_entry_point": False}
    assert spy.given == {**plain, "trust_paths": False, "skip_wrappers": ()}
    path.touch()
    options = ("--column", "x", "--fps", "3.5", "--yes", "--json", *TRUST)
    done = cli("render", "cart/a-v0", "3", "--output", str(path), *options)
    assert done.json == {
        "path": str(path),
        "frames": 1,
        "fps": 12.5,
        "source": "replay",
        "is_whole": is_whole,
        "description": "as it was",
    }
    del spy.given["progress"]
    trusted = {"column": "x", "fps": 3.5, "overwrite": True, "trust_entry_point": True}
    assert spy.given == {**trusted, "trust_paths": True, "skip_wrappers": ["a", "b"]}
    assert spy.positional[1] == 3
    assert cli("render", "cart/a-v0", "-1", "-o", str(path)).code == 2


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_page_is_opened_unless_it_is_not_to_be(
    is_remote: bool, cli: CommandLine, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(collect("cart/a-v0", episodes=1).id)
    if is_remote:
        assert cli("upload", name).code == 0
        minari.delete_dataset(name)
        name = f"{remote}/{name}"
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    spy = Spy(serve)
    monkeypatch.setattr("minari.viewer.server.serve", spy)

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    class Threading:
        Event = Interrupted

    monkeypatch.setattr(view_module, "threading", Threading)

    done = cli("view", name)

    assert done.code == 0
    address = done.out.strip()
    assert address.startswith("http://127.0.0.1:")
    assert opened == [address]
    assert done.err == "Ctrl-C ends it\nended\n"
    dataset, port, trust, words = spy.positional
    assert (dataset.id, port, trust) == ("cart/a-v0", 0, Trust())
    assert words("pass trust_paths=True") == "pass --trust-paths"
    done = cli("view", name, "--no-browser", "--token", "x", *TRUST)
    assert done.code == 0
    assert opened == [address]
    port = int(done.out.strip().partition("/?")[0].rpartition(":")[2])
    assert done.err.splitlines() == [
        f"from another machine: ssh -L {port}:127.0.0.1:{port} HOST, with this machine for HOST, "
        "and open the address there",
        "Ctrl-C ends it",
        "ended",
    ]
    assert spy.positional[2] == Trust(True, True, ["a", "b"])


def test_all_options_of_edit_are_what_is_said_then(cli: CommandLine) -> None:
    dataset = collect("cart/a-v0", episodes=4)
    said = {
        "license": "MIT",
        "citation": "Ada 2026",
        "doi": "10.5281/zenodo.1234567",
        "tags": ["pole"],
        "author": ["Ada", "Alan"],
        "author_email": ["ada@farm.example"],
        "algorithm_name": "by hand",
        "code_permalink": "https://farm.example/code",
        "description": "Falls.",
    }
    options = (
        *("--license", "MIT", "--citation", "Ada 2026", "--doi", "10.5281/zenodo.1234567"),
        *("--tag", "pole", "--author", "Ada", "--author", "Alan"),
        *("--author-email", "ada@farm.example", "--algorithm-name", "by hand"),
        *("--code-permalink", "https://farm.example/code", "--description", "Falls."),
    )
    done = cli("edit", "cart/a-v0", *options, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == said
    found = minari.load_dataset("cart/a-v0").metadata
    assert {key: found[key] for key in said} == said

    done = cli("edit", "cart/a-v0", "--remove", "license", "--split", "a=1", "--split", "b=0:1,3")
    assert done.out == ""
    assert done.err.splitlines() == [
        "splits: {'a': [[1, 2]], 'b': [[0, 1], [3, 4]]}",
        "license: removed",
    ]
    assert minari.load_dataset("cart/a-v0").metadata["description"] == "Falls."
    for text in ("a", "a=", "a=x", "a=1:", "a=1:x", "a=:2", "=", "a=1,"):
        refused = cli("edit", "cart/a-v0", "--split", text)
        assert refused.code == 2, text
        assert "is not like train=0:80 or test=80:90,95" in " ".join(refused.err.split())
    removable = ("citation", "doi", "tags", "splits", "description", "algorithm_name")
    removed = cli("edit", "cart/a-v0", *(each for key in removable for each in ("--remove", key)))
    assert removed.code == 0
    left = minari.load_dataset(dataset.id).metadata
    assert not any(left.get(key) for key in (*removable, "license"))


def test_delete_tells_what_and_how_much(cli: CommandLine, datasets_root: Path) -> None:
    for name in ("cart/a-v0", "cart/b-v0"):
        collect(name, episodes=1)

    asked = cli("delete", "cart/a-v0", "cart/b-v0", "cart/a-v0")
    assert asked.code == 2
    lines = asked.err.splitlines()
    assert lines[:2] == ["cart/a-v0", "cart/b-v0"]
    assert lines[2].startswith("Delete 2 datasets (")
    assert f"B) from {datasets_root}? [y/N]" in lines[2]
    one = cli("delete", "cart/a-v0")
    assert one.err.startswith("Delete cart/a-v0 (")
    size = one.err.partition("(")[2].partition(" ")[0]
    both = lines[2].partition("(")[2].partition(" ")[0]
    assert float(both) == pytest.approx(2 * float(size), rel=0.1)
    done = cli("delete", "cart/a-v0", "cart/b-v0", "--yes")
    assert done.err == "Dataset cart/a-v0 deleted!\nDataset cart/b-v0 deleted!\n"


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [
        (["80%", "20%"], [4, 1]),
        (["60%", " 40% "], [3, 2]),
        (["1.0"], [5]),
        (["1."], [5]),
        (["100%"], [5]),
        (["5"], [5]),
        (["0.4", "40.%", ".2"], [2, 2, 1]),
    ],
)
def test_a_split_has_the_sizes_that_are_said(
    sizes: list[str], lengths: list[int], cli: CommandLine
) -> None:
    dataset = collect("cart/a-v3", episodes=5)

    done = cli("split", "cart/a-v3", *sizes, "--seed", "0")

    assert done.code == 0, done
    names = [f"cart/a-part{number}-v3" for number in range(1, len(lengths) + 1)]
    parts = [minari.load_dataset(name) for name in names]
    assert [len(part) for part in parts] == lengths
    assert sum(part.total_steps for part in parts) == dataset.total_steps
    assert done.err.splitlines() == [
        f"{name} has {len(part)} episode{'s' * (len(part) > 1)}, {part.total_steps} steps"
        for name, part in zip(names, parts, strict=True)
    ]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (["101%"], "'101%' is no fraction"),
        (["0.0", "1.0"], "'0.0' is no fraction"),
        (["1.5"], "'1.5' is no fraction"),
        (["0." + "1" * 48, "0.5"], "'0." + "1" * 48),
        (["0." + "1" * 49], "is no fraction"),
        (["0.5x"], "is no fraction"),
        (["5", "5%"], "is no fraction"),
        (["0.01", "0.99"], "of 5 episodes, the parts would get 0, 5; each needs one"),
        (["1", "2", "--name", "x-v0"], "2 sizes need as many ids, not 1"),
    ],
)
def test_a_size_that_is_none_is_named(sizes: list[str], message: str, cli: CommandLine) -> None:
    collect("cart/a-v0", episodes=5)
    done = cli("split", "cart/a-v0", *sizes)
    assert done.code == 2 or "1" * 48 in sizes[0]
    if done.code == 2:
        assert message.partition("1" * 48)[0] in " ".join(done.err.split())


def test_no_part_is_left_where_one_cannot_be_made(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("cart/a-v0", episodes=4)
    combine = minari_core.combine_datasets

    def fail_at_second(datasets: Any, name: str, **how: Any) -> Any:
        if name.endswith("part2-v0"):
            raise minari.DatasetWriteError("the disk is full")
        return combine(datasets, name, **how)

    monkeypatch.setattr(minari_core, "combine_datasets", fail_at_second)
    done = cli("split", "cart/a-v0", "2", "2")
    assert done.code == 1
    assert "the disk is full" in done.err
    assert list(minari.list_local_datasets()) == ["cart/a-v0"]
    monkeypatch.undo()


def test_a_format_is_taken_by_whatever_makes_a_dataset(cli: CommandLine, tmp_path: Path) -> None:
    collect("cart/a-v0", episodes=2)
    assert cli("combine", "cart/a-v0", "--name", "cart/b-v0", "--data-format", "hdf5").code == 0
    assert cli("split", "cart/a-v0", "2", "--name", "c-v0", "--data-format", "hdf5").code == 0
    path = str(tmp_path / "out")
    assert cli("export", "cart/a-v0", path, "--as", "parquet").err == f"{path} is written\n"
    done = cli("import", path, "d-v0", "--data-format", "hdf5", "--description", "Falls.")
    assert done.err.splitlines()[-1] == "d-v0 is made: 2 episodes, hdf5"
    for name in ("cart/b-v0", "c-v0", "d-v0"):
        assert minari.load_dataset(name).spec.data_format == "hdf5"
    assert minari.load_dataset("d-v0").metadata["description"] == "Falls."
    done = cli("import", path, "e-v0", "--env", "CartPole-v1", "--as", "parquet")
    assert done.code == 0
    assert minari.load_dataset("e-v0").env_spec is not None
    for option in (("--max-episode-steps", "3"), ("--step-info", "x"), ("--no-step-infos",)):
        refused = cli("import", path, "f-v0", *option)
        assert refused.code == 2
        assert "are of flat HDF5 files; this is layout parquet" in " ".join(refused.err.split())


def test_what_a_layout_does_not_carry_is_said_or_listed(cli: CommandLine, tmp_path: Path) -> None:
    dataset = collect("cart/a-v0", episodes=2)
    path = tmp_path / "cart.npz"
    columns = {"observations": np.zeros((3, 1)), "actions": np.zeros((3, 1))}
    np.savez(path, terminals=[0, 0, 1], **columns)  # type: ignore[arg-type]  # of its own options
    told = cli("import", str(path), "maze-v0")
    assert told.err.splitlines()[-3:] == [
        "maze-v0 is made: 1 episode, columnar",
        "left out: rewards: the layout has none, and the dataset has zeros",
        "left out: actions: the last of each episode, which nothing followed",
    ]
    listed = cli("import", str(path), "maze-v1", "--json", "-o", "ends=terminated")
    assert listed.json["losses"][0]["what"] == "rewards"
    assert minari.load_dataset("maze-v1")[0].terminations.tolist() == [False, True]
    flat = tmp_path / "cart.hdf5"
    written = cli("export", "cart/a-v0", str(flat), "--as", "d4rl", "--json").json
    assert written["path"] == str(flat)
    assert "seed" in {each["what"] for each in written["losses"]}
    told = cli("export", "cart/a-v0", str(flat), "--as", "d4rl", "--yes")
    assert told.err.splitlines()[0] == f"{flat} is written"
    assert any(
        line.startswith("left out: seed: d4rl has no place") for line in told.err.splitlines()
    )
    refused = cli("import", str(flat), "b-v0", "--no-step-infos")
    assert refused.code == 2
    assert f"{flat} says itself what --max-episode-steps" in " ".join(refused.err.split())
    assert cli("import", str(flat), "b-v0", "--as", "d4rl").code == 0
    assert minari.load_dataset("b-v0").total_steps == dataset.total_steps
    assert cli("import", str(flat), "c-v0", "-o", "colour=red").code == 1


def test_flat_files_take_no_options_and_say_what_they_become(
    cli: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "flat.hdf5"
    with h5py.File(path, "w") as file:
        for name, column in (
            ("observations", np.zeros((4, 3), np.float32)),
            ("actions", np.zeros((4, 1), np.float32)),
            ("rewards", np.ones(4)),
            ("terminals", np.zeros(4, bool)),
        ):
            file[name] = column
    refused = cli("import", str(path), "a-v0", "--option", "colour=red")
    assert refused.code == 2
    assert "flat HDF5 files have no option colour" in " ".join(refused.err.split())
    limits = ("--max-episode-steps", "2", "--data-format", "hdf5", "--description", "Flat.")
    done = cli("import", str(path), "a-v0", "--json", "--env", "Pendulum-v1", *limits)
    assert done.json == {"id": "a-v0", "total_episodes": 2, "total_steps": 4, "losses": []}
    assert "is made" not in done.err
    made = minari.load_dataset("a-v0")
    assert (made.metadata["description"], made.spec.data_format) == ("Flat.", "hdf5")
    assert made.env_spec is not None
    assert cli("import", str(path), "b-v0", "--as", "d4rl", "--max-episode-steps", "0").code == 2
    assert cli("import", str(path), "b-v0", "--as", "d4rl", "--max-episode-steps", "1").code == 0
    assert len(minari.load_dataset("b-v0")) == 4
    for text in ("=x", "x"):
        assert cli("import", str(path), "c-v0", "-o", text).code == 2


def test_check_says_what_was_not_checked_and_in_which_words(
    cli: CommandLine, datasets_root: Path
) -> None:
    buffer = minari.EpisodeBuffer(
        observations=[0] * 121,
        actions=[0] * 120,
        rewards=[0.0] * 120,
        terminations=[False] * 119 + [True],
        truncations=[False] * 120,
    )
    space = gymnasium.spaces.Discrete(3)
    minari.create_dataset_from_buffers(
        "still-v0", [buffer], observation_space=space, action_space=space
    )

    done = cli("check", "still-v0")

    assert done.code == 0
    assert done.out.splitlines() == [
        "note: constant: observations[0] is 0 in all 121 rows",
        "note: constant: actions[0] is 0 in all 120 rows",
        "still-v0: 0 warnings, 2 notes",
    ]
    assert done.err.startswith("still-v0: nothing was replayed: ")
    quick = cli("check", "still-v0", "--replay-seconds", "0", "--json")
    assert (quick.code, quick.err) == (0, "")
    assert quick.json["ok"] is True
    assert quick.json["total_episodes"] == 1


def test_convert_tells_of_jpeg_what_it_takes(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("cart/a-v0", episodes=1)
    spy = Spy(lambda dataset, name, **given: dataset)
    monkeypatch.setattr(minari_core, "convert_dataset", spy)
    assert cli("convert", "cart/a-v0", "b-v0").code == 0
    assert (spy.given["jpeg_encoding"], spy.given["widen"], spy.given["data_format"]) == (
        False,
        False,
        None,
    )
    options = ("--jpeg", "--widen", "--data-format", "arrow")
    assert cli("convert", "cart/a-v0", "c-v0", *options).code == 0
    assert (spy.given["jpeg_encoding"], spy.given["widen"], spy.given["data_format"]) == (
        True,
        True,
        "arrow",
    )
