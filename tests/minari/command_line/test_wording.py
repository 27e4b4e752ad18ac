"""What a command says of an error can be typed: commands and options, no functions or arguments."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest

import minari
import minari_hub.command_line.app
from minari.command_line.app import app
from minari_hub.command_line.wording import translate_advice
from tests.helpers.command_line import CommandLine, Done, collect

pytestmark = pytest.mark.filterwarnings("ignore::minari.MinariWarning")

PACKAGES = Path(__file__).parents[3] / "packages"

# A call, a keyword argument, a module, a constant of Python, or an argument's name.
OF_PYTHON = re.compile(
    r"\w\(|\b[a-z_]+=(?!=)|\bminari(?:_\w+)?\.[a-z_]|\b(?:None|True|False)\b|(?<![\w/'-])[a-z]+(?:_[a-z]+)+(?![\w/.'])"
)

Prepare = Callable[[Path, pytest.MonkeyPatch], None]


def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pass


def a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collect("x-v0", episodes=2)


def fsspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec", reason="it opens the remote")


def a_dataset_here_and_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collect("x-v0", episodes=2)
    minari.upload_dataset("x-v0")


def a_stopped_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_policy(tmp_path, monkeypatch, fails="seed % 2 == 0")
    with pytest.raises(minari.RecordingError, match="resume=True"):
        minari.collect_dataset(
            "y-v0",
            "CartPole-v1",
            import_module("failing").policy,
            total_episodes=6,
            workers=1,
            seed=1,
            max_episode_steps=9,
        )


def a_stopped_run_of_a_policy_that_was_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_stopped_run(tmp_path, monkeypatch)
    write_policy(tmp_path, monkeypatch, fails="seed < 0")


def a_policy_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_policy(tmp_path, monkeypatch, fails="True")


def a_policy_of_two_dtypes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_policy(tmp_path, monkeypatch, fails="False", action="numpy.zeros(1, '?l'[self.seed % 2])")


def write_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: str, action: str = "0"
) -> None:
    """Write the module ``failing``, whose policy fails in some episodes."""
    (tmp_path / "failing.py").write_text(
        "import numpy\n"
        "class Policy:\n"
        "    def reset(self, seed):\n"
        f"        self.seed, self.fails = seed, {fails}\n"
        "    def __call__(self, observation):\n"
        "        if self.fails: raise ValueError('this policy fails')\n"
        f"        return {action}\n"
        "policy = Policy()\n"
    )
    monkeypatch.delitem(sys.modules, "failing", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)


def a_flat_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "flat.hdf5", "w") as file:
        file["observations"] = np.zeros((4, 3), dtype=np.float32)
        file["actions"] = np.zeros((4, 2), dtype=np.float32)
        file["rewards"] = np.ones(4, dtype=np.float32)
        file["terminals"] = np.array([False, True, False, True])
    monkeypatch.chdir(tmp_path)


def several_remotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [(tmp_path / name).as_uri() for name in "12"]
    monkeypatch.setenv("MINARI_REMOTE", " ".join(urls))
    for name in "12":
        (tmp_path / name).mkdir()
    collect("x-v0", episodes=2)


# What is prepared, what is typed, and what the message must advise.
ERRORS_OF_BOTH: list[tuple[Prepare, str, str]] = [
    (nothing, "verify x-v0", "`{program} list local`"),
    (nothing, "upload x-v0", "`{program} list local`"),
    (nothing, "upload gs://bucket/x-v0", "`{program} download`"),
    (nothing, "upload gs://bucket/a/x-v0", "`{program} download`"),
    (a_dataset_here_and_there, "download y-v0", "`{program} list file:///"),
    (a_dataset_here_and_there, "download x-v0", "--force"),
    (a_dataset_here_and_there, "download x-v7", "of its versions there are x-v0"),
    (a_dataset_here_and_there, "verify x-v7", "of its versions there are x-v0"),
    (a_dataset_here_and_there, "upload x-v0", "the next version"),
    (nothing, "download x-v0 --remote hf://a/b", "--prefix"),
    (fsspec, "download x-v0 --remote s3://bucket --token abc", "--token application-default"),
    (nothing, "download x-v0 --remote nowhere", "gs://bucket/prefix"),
    (nothing, "list elsewhere", "gs://bucket"),
    (nothing, "download x-v0 --remote gs://bucket --token none.json", "no credentials file"),
    (nothing, "download nothing", "-v0"),
    (several_remotes, "download y-v0", "`{program} list file:///"),
    (several_remotes, "upload x-v0", "name it, as --remote file:///"),
    (nothing, "list remote --remote gs://2 --remote hf://o --token abc", "write gs://2=TOKEN"),
    (nothing, "list gs://bucket --token hf_secret", "another kind of remote than gs://bucket"),
    (a_dataset, "upload x-v0 --data-format csv", "columnar, hdf5"),
    (a_dataset, "download gs://bucket/x-v0 --remote gs://other", "leave --remote out"),
]
ERRORS_OF_MINARI: list[tuple[Prepare, str, str]] = [
    (nothing, "show x-v0", "list file:///"),
    (nothing, "show x-v0 --remote file:///nowhere", "`minari list file:///nowhere`"),
    (nothing, "combine x-v0 y-v0 --name z-v0", "`minari list local`"),
    (nothing, "split x-v0 0.5 0.5", "`minari list local`"),
    (nothing, "convert x-v0 y-v0", "`minari list local`"),
    (nothing, "delete x-v0 --yes", "`minari list local`"),
    (nothing, "delete gs://b/c/x-v0 --yes", "write for example 'c/x-v0'"),
    (nothing, "combine gs://b/x-v0 y-v0 --name z-v0", "`minari download` makes a remote one"),
    (nothing, "convert gs://b/x-v0 y-v0", "is the URL of a remote dataset"),
    (a_dataset, "delete x-v7 --yes", "of its versions there are x-v0"),
    (a_dataset, "show a/x-v0", "did you mean x-v0?"),
    (a_dataset, "convert ./x-v0 y-v0", "is no folder"),
    (a_dataset, "show ./x-v0", "is no folder"),
    (a_dataset, "delete x-v0", "--yes"),
    (a_dataset, "convert x-v0 x-v0", "different dataset name or version"),
    (a_dataset, "convert x-v0 y-v0 --jpeg", "give --data-format as one of hdf5"),
    (a_dataset, "split x-v0 3", "dataset (2)"),
    (nothing, "recover nothing --name x-v0", "`minari recover`"),
    (nothing, "recover nothing --discard", "`minari recover`"),
    (a_flat_file, "import flat.hdf5 x-v0 --env Nowhere-v0", "give another --env"),
    (a_flat_file, "import none.hdf5 x-v0", "none.hdf5"),
    (a_flat_file, "import flat.hdf5 x-v0 --step-info speed", "--step-info names 'speed'"),
    (nothing, "collect CartPole-v1 y-v0", "--episodes and --steps"),
    (nothing, "collect Nowhere-v0 y-v0 --episodes 1", "Nowhere"),
    (nothing, "collect CartPole-v1 y-v0 --episodes 1 --episode-timeout -1", "--episode-timeout is"),
    (nothing, "collect CartPole-v1 y-v0 --episodes 1 --policy nowhere", "module:callable"),
    (a_stopped_run, "collect CartPole-v1 y-v0 --episodes 6", "pass --resume"),
    (
        a_stopped_run,
        "collect CartPole-v1 y-v0 --episodes 6 --max-episode-steps 8 --resume --seed 1",
        "--max-episode-steps 9",
    ),
    (
        a_stopped_run,
        "collect CartPole-v1 y-v0 --episodes 6 --resume --policy failing:policy --workers 1 "
        "--max-episode-steps 9",
        "wait in",
    ),
    (
        a_stopped_run_of_a_policy_that_was_edited,
        "collect CartPole-v1 y-v0 --episodes 6 --resume --policy failing:policy --workers 1 "
        "--max-episode-steps 9",
        "add --same policy",
    ),
    (
        a_policy_of_two_dtypes,
        "collect Pendulum-v1 y-v0 --episodes 4 --policy failing:policy --workers 1 --seed 1",
        "--resume; with --episodes 2, it makes",
    ),
    (
        a_policy_of_two_dtypes,
        "collect Pendulum-v1 y-v0 --episodes 4 --policy failing:policy --workers 1 --seed 1",
        "`minari show` opens each",
    ),
    (
        a_policy_that_fails,
        "collect CartPole-v1 y-v0 --episodes 2 --policy failing:policy --workers 1",
        "--resume",
    ),
]


@pytest.fixture(autouse=True)
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "remote").mkdir()
    monkeypatch.setenv("MINARI_REMOTE", (tmp_path / "remote").as_uri())
    monkeypatch.delenv("MINARI_REMOTE_TOKEN", raising=False)


def check(done: Done, advice: str) -> None:
    message = done.err.partition("Traceback")[0]
    assert advice in " ".join(message.split())
    found = OF_PYTHON.findall(message)
    assert not found, f"{found} in: {message}"


@pytest.mark.parametrize(("prepare", "line", "advice"), ERRORS_OF_MINARI + ERRORS_OF_BOTH)
def test_minari_names_what_can_be_typed(
    prepare: Prepare,
    line: str,
    advice: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(tmp_path, monkeypatch)
    command = CommandLine(app, "minari", capsys, monkeypatch)
    check(command(*line.split()), advice.format(program="minari"))


@pytest.mark.parametrize(("prepare", "line", "advice"), ERRORS_OF_BOTH)
def test_minari_hub_names_itself(
    prepare: Prepare,
    line: str,
    advice: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(tmp_path, monkeypatch)
    command = CommandLine(minari_hub.command_line.app.app, "minari-hub", capsys, monkeypatch)
    check(command(*line.split()), advice.format(program="minari-hub"))


# What only a program can be told: no command reaches these.
FOR_PROGRAMS = (
    "super().__call__",
    "env.reset()",
    "envs.reset()",
    "gymnasium.make({})",
    "gymnasium.register_envs({})",
    "overwrite=True",
    "give download=True to download it",
    "trust_entry_point=True",
    "trust_paths=True",
    "skip_wrappers={}",
    "give its .numpy()",
    "give its .detach().numpy()",
    "its .item()",
    "give its .isoformat()",
    "give its .total_seconds()",
    "give str() of it",
    "work_dir_is_shared=False",
    "list_local_namespaces()",
    "collate_fn=",
    "observation=",
    "shuffle=False",
    "goals='future'",
    "dataset_name={}",
    "dataset_id={}",
    "data_format={}",
    "ref_min_score={}",
    "ref_max_score={}",
    "total_episodes={}",
    "total_steps={}",
    "metadata={}",
    'load_dataset("{url}", download=True)',
)


def messages_of(path: Path) -> Iterator[str]:
    """The texts of a module that may be sentences, with ``{}`` for what is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    within = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr | ast.Expr)
        for inner in ([node.value] if isinstance(node, ast.Expr) else node.values)
    }
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                str(piece.value) if isinstance(piece, ast.Constant) else "{}"
                for piece in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = "" if id(node) in within else node.value
        if " " in text.strip():
            yield text


@pytest.mark.parametrize("package", ["core", "collect", "hub"])
def test_every_function_or_argument_that_a_message_advises_has_its_words(package: str) -> None:
    advice = re.compile(r"\b\w+\((?:'x')?\)|\b[a-z_]+=(?:True|False|'|$|,)")
    wordless = []
    for path in (PACKAGES / f"minari-{package}" / "src").rglob("*.py"):
        if "testing" in path.parts or path.stem == "testing":
            continue
        for message in messages_of(path):
            for known in FOR_PROGRAMS:
                message = message.replace(known, "")
            # A value that is filled in stands in quotes.
            spoken = translate_advice(message.replace("={}", "='x'").replace("({})", "('x')"))
            if advice.search(spoken):
                wordless.append(f"{path.name}: {spoken}")
    assert not wordless, "\n".join(wordless)
