"""The command line ``minari-hub``: what it prints, and what it tells a script."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minari
from minari_core.local.locations import datasets_root as root
from minari_hub.command_line.app import app
from minari_hub.command_line.dataset_table import fold_id
from minari_hub.command_line.terminal import escape_unprintable
from tests.helpers.command_line import CommandLine, collect, in_process
from tests.hub.helpers.fault_proxy import FaultProxy
from tests.hub.helpers.servers import Bucket

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")

LONG_ID = "a-rather-long-namespace/with-another-inside/CartPole-medium-replay-v12"


@pytest.fixture
def hub(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CommandLine(app, "minari-hub", capsys, monkeypatch)


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "remote"
    folder.mkdir()
    monkeypatch.setenv("MINARI_REMOTE", folder.as_uri())
    return folder.as_uri()


def shard_of(dataset_id: str) -> Path:
    return next((root() / dataset_id / "data").glob("*.h5"))


def test_it_works_without_the_packages_that_only_minari_needs(datasets_root: Path) -> None:
    collect("cart/one-v0")
    program = (
        "import sys\n"
        "sys.modules['minari'] = sys.modules['minari_collect'] = None\n"
        "sys.argv = ['minari-hub', 'list', 'local']\n"
        "from minari_hub.command_line.app import main\n"
        "main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
    assert "cart/one-v0" in done.stdout


def test_it_runs_as_a_module(datasets_root: Path) -> None:
    done = in_process("minari_hub", "--version")

    assert done.code == 0
    assert re.fullmatch(r"minari-hub \d+\.\d+\.\d+\nminari-core \d+\.\d+\.\d+\n", done.out)


def test_the_whole_way_of_a_dataset_to_a_remote_and_back(hub: CommandLine, remote: str) -> None:
    collect("cart/one-v0", author="Ada")
    before = [episode.rewards.tolist() for episode in minari.load_dataset("cart/one-v0")]

    assert hub("upload", "cart/one-v0").code == 0
    listed = hub("list", "--json")
    assert list(listed.json) == ["cart/one-v0"]
    assert listed.json["cart/one-v0"]["author"] == ["Ada"]
    minari.delete_dataset("cart/one-v0")
    done = hub("download", "cart/one-v0")

    assert (done.code, done.out) == (0, "")
    assert "cart/one-v0 downloaded to" in " ".join(done.err.split())
    assert hub("verify", "cart/one-v0").code == 0
    after = [episode.rewards.tolist() for episode in minari.load_dataset("cart/one-v0")]
    assert after == before


@pytest.mark.parametrize("option", [True, False])
def test_a_download_of_what_is_here_says_so_and_of_another_dataset_fails(
    option: bool, hub: CommandLine, remote: str
) -> None:
    collect("cart/one-v0")
    assert hub("upload", "cart/one-v0").code == 0
    arguments = ["cart/one-v0", *(["--remote", remote] if option else [])]

    done = hub("download", *arguments)
    assert (done.code, done.out) == (0, "")
    assert "downloaded to" not in done.err
    assert "already; --force downloads it again" in " ".join(done.err.split())
    minari.delete_dataset("cart/one-v0")
    collect("cart/one-v0")
    for wanted in (arguments, [f"{remote}/cart/one-v0"]):
        done = hub("download", *wanted)
        assert done.code == 1
        said = " ".join(done.err.split())
        assert "downloaded to" not in said
        assert "is another one than" in said
        assert "--force replaces it" in said
    assert hub("download", *arguments, "--force", "--yes").code == 0
    assert hub("download", *arguments).code == 0
    collect("cart/other-v0")
    done = hub("download", "cart/other-v0", "--remote", remote)
    assert done.code == 3
    assert "doesn't exist" in done.err or "Couldn't find" in done.err


def test_a_url_stands_for_an_id_and_its_remote(
    hub: CommandLine, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("cart/one-v0")
    monkeypatch.delenv("MINARI_REMOTE")

    assert hub("upload", "cart/one-v0", "--remote", remote).code == 0
    minari.delete_dataset("cart/one-v0")

    assert hub("download", f"{remote}/cart/one-v0").code == 0
    assert list(minari.list_local_datasets()) == ["cart/one-v0"]
    assert "cart/one-v0" in hub("list", remote).out


def test_a_url_stands_for_the_local_dataset_too_where_only_that_can_be_meant(
    hub: CommandLine, remote: str
) -> None:
    collect("cart/one-v0")

    uploaded = hub("upload", f"{remote}/elsewhere/cart/one-v0")
    assert (uploaded.code, uploaded.err) == (0, f"{remote}/elsewhere/cart/one-v0 is there\n")


def test_verify_looks_at_the_remote_where_a_url_or_a_remote_says_so(
    hub: CommandLine, remote: str, tmp_path: Path
) -> None:
    collect("cart/one-v0")
    url = f"{remote}/elsewhere/cart/one-v0"
    hub("upload", url)

    assert f"{url}: ok (5 episodes" in hub("verify", url).out
    assert "cart/one-v0: ok" in hub("verify", "cart/one-v0", "--remote", f"{remote}/elsewhere").out
    assert hub("verify", "cart/one-v0", "--remote", remote).code == 3
    assert hub("verify", f"{remote}/cart/one-v0").code == 3
    assert hub("verify", url, "--remote", remote).code == 2

    next((tmp_path / "remote" / "elsewhere").rglob("*.h5")).unlink()
    damaged = hub("verify", url, "--json")
    assert (damaged.code, damaged.json[0]["ok"]) == (1, False)
    assert damaged.json[0]["data_path"] == url
    assert "it is missing" in damaged.json[0]["problems"][0]["message"]
    assert hub("verify", "cart/one-v0").code == 0


def test_an_upload_converts_where_that_is_asked_for(hub: CommandLine, remote: str) -> None:
    collect("cart/one-v0")

    assert hub("upload", "cart/one-v0", "--data-format", "none").code == 2
    assert hub("list", "--json").json == {}
    assert hub("upload", "cart/one-v0", "--data-format", "hdf5").code == 0

    assert hub("list", "--json").json["cart/one-v0"]["data_format"] == "hdf5"
    assert minari.load_dataset("cart/one-v0").storage.data_format == "columnar"


def test_an_upload_takes_a_picture_of_one_dataset(
    hub: CommandLine, remote: str, tmp_path: Path
) -> None:
    collect("cart/one-v0")
    picture, other = tmp_path / "a.gif", tmp_path / "a.txt"
    picture.write_bytes(b"GIF89a and more")
    other.write_text("words")

    assert hub("upload", "cart/one-v0", "cart/two-v0", "--preview", str(picture)).code == 2
    refused = hub("upload", "cart/one-v0", "--preview", str(other))
    assert (refused.code, "is no picture" in refused.err) == (1, True)
    assert hub("upload", "cart/one-v0", "--preview", str(picture)).code == 0


def test_a_local_dataset_is_replaced_only_when_that_is_confirmed(
    hub: CommandLine, remote: str
) -> None:
    collect("cart/one-v0", episodes=1)
    hub("upload", "cart/one-v0")
    minari.delete_dataset("cart/one-v0")
    # There is nothing to lose yet.
    assert hub("download", "cart/one-v0", "--force").code == 0
    minari.delete_dataset("cart/one-v0")
    collect("cart/one-v0", episodes=2)

    for name in ("cart/one-v0", f"{remote}/cart/one-v0"):
        refused = hub("download", name, "--force")
        assert refused.code == 2
        assert "--yes" in refused.err
        assert len(minari.load_dataset("cart/one-v0")) == 2

    assert hub("download", "cart/one-v0", "--force", "--yes").code == 0
    assert len(minari.load_dataset("cart/one-v0")) == 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_json_has_no_number_for_is_null(
    hub: CommandLine, remote: str, tmp_path: Path, number: str
) -> None:
    data = tmp_path / "remote" / "x-v0" / "data"
    data.mkdir(parents=True)
    (data / "metadata.json").write_text(f'{{"dataset_id": "x-v0", "score": [{number}, 1]}}')

    assert hub("list", "--json").json["x-v0"]["score"] == [None, 1]


def test_listing_takes_a_prefix_and_the_latest_versions(hub: CommandLine) -> None:
    for dataset_id in ("a/x-v0", "a/x-v1", "b/x-v0"):
        collect(dataset_id, episodes=1)

    assert list(hub("list", "local", "--json").json) == ["a/x-v0", "a/x-v1", "b/x-v0"]
    assert list(hub("list", "local", "--json", "--latest").json) == ["a/x-v1", "b/x-v0"]
    assert list(hub("list", "local", "--json", "--prefix", "a/").json) == ["a/x-v0", "a/x-v1"]


@pytest.mark.parametrize("width", [40, 41, 60, 80, 120, 200])
def test_a_table_is_never_wider_than_the_terminal(hub: CommandLine, width: int) -> None:
    collect(LONG_ID, author=["Ada Lovelace", "Alan Turing"], algorithm_name="random " * 20)
    collect("cart/one-v0", episodes=2)

    out = hub("list", "local", width=width).out

    assert max(map(len, out.splitlines())) <= width
    # However narrow it is, the whole id, the episodes and the steps are there.
    assert "Episodes" in out
    assert "Steps" in out
    first_column = [re.split(r"\s{2,}|\s*$", line)[0] for line in out.splitlines()]
    assert LONG_ID in "".join(first_column)


@pytest.mark.parametrize("width", [8, 20, 30])
def test_a_very_narrow_table_keeps_the_ids(hub: CommandLine, width: int) -> None:
    collect(LONG_ID)

    out = hub("list", "local", width=width).out

    assert max(map(len, out.splitlines())) <= width
    assert LONG_ID in re.sub(r"\s", "", out)


def test_in_a_pipe_every_dataset_is_one_line_and_has_every_column(hub: CommandLine) -> None:
    collect(LONG_ID, author="Ada", algorithm_name="random policy")

    lines = hub("list", "local").out.splitlines()

    (line,) = [line for line in lines if LONG_ID in line]
    assert "CartPole-v1" in line
    assert "random policy" in line
    assert "Ada" in line


def test_what_a_dataset_says_cannot_steer_the_terminal(hub: CommandLine) -> None:
    collect("cart/one-v0", author="\x1b[31mred\x07", algorithm_name="[bold]x[/bold]\nnext \u202e")

    out = hub("list", "local").out

    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\u202e" not in out
    assert r"\x1b[31mred\x07" in out
    assert r"[bold]x[/bold] next \u202e" in out


def test_a_terminal_that_knows_ascii_only_is_not_the_end(datasets_root: Path) -> None:
    collect("cart/one-v0", author="Łódź")

    done = in_process("minari_hub", "list", "local", environment={"PYTHONIOENCODING": "ascii"})

    assert done.code == 0
    assert r"\u0141\xf3d\u017a" in done.out


def test_an_empty_root_is_listed_as_such(hub: CommandLine) -> None:
    done = hub("list", "local")

    assert (done.code, done.out) == (0, "")
    assert "no dataset in" in done.err
    assert hub("list", "local", "--json").json == {}


def test_a_damaged_dataset_is_a_warning_and_not_the_end_of_the_list(
    hub: CommandLine, datasets_root: Path
) -> None:
    collect("cart/one-v0")
    collect("cart/two-v0")
    (datasets_root / "cart" / "one-v0" / "data" / "metadata.json").write_text("{")

    done = hub("list", "local", "--json")

    assert done.code == 0
    assert list(done.json) == ["cart/two-v0"]
    assert done.err.startswith("warning: ")
    assert done.err.count("\n") == 1


def test_verify_says_what_is_wrong_with_each_dataset(hub: CommandLine) -> None:
    for dataset_id in ("cart/one-v0", "cart/two-v0"):
        collect(dataset_id)
    shard = shard_of("cart/one-v0")
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)

    done = hub("verify", "cart/one-v0", "cart/two-v0")

    assert done.code == 1
    assert f"cart/one-v0: {shard.name}: its CRC-32 is" in done.out
    assert "cart/one-v0: 1 problem\n" in done.out
    assert "cart/two-v0: ok (5 episodes" in done.out
    first, second = hub("verify", "cart/one-v0", "cart/two-v0", "--json").json
    assert (first["ok"], second["ok"]) == (False, True)
    assert first["problems"][0]["file"] == shard.name


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["verify", "there-is-none-v0"], 3),
        (["verify", "no version"], 2),
        (["verify", "../up-v0"], 2),
        (["verify"], 2),
        (["verify", "--no-such-option"], 2),
        (["list", "nowhere"], 2),
        (["list", "gs://"], 2),
        (["download", "there-is-none-v0"], 3),
        (["upload", "there-is-none-v0"], 3),
        (["upload", "there-is-none-v0", "--data-format", "cards"], 2),
        (["upload", "gs://bucket/there-is-none-v0", "--remote", "gs://other"], 2),
        (["download", "gs://bucket/there-is-none-v0", "--remote", "gs://other"], 2),
        (["no-such-command"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_exit_codes_tell_what_went_wrong(
    hub: CommandLine, remote: str, arguments: list[str], code: int
) -> None:
    done = hub(*arguments)

    assert done.code == code, done
    assert done.out == ""
    assert done.err
    assert "Traceback" not in done.err


def test_a_format_that_is_unknown_here_is_no_sound_dataset_and_no_compatible_one(
    hub: CommandLine,
) -> None:
    for dataset_id in ("cart/one-v0", "cart/one-v1", "cart/one-v2"):
        collect(dataset_id)
    path = root() / "cart/one-v2/data/metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "data_format": "cards"}))

    done = hub("verify", "cart/one-v2", "cart/one-v1", "--json")

    assert done.code == 1
    assert [(report["dataset_id"], report["ok"]) for report in done.json] == [
        ("cart/one-v2", False),
        ("cart/one-v1", True),
    ]
    assert "cards" in done.json[0]["problems"][0]["message"]
    assert len(hub("list", "local", "--json").json) == 3
    compatible = hub("list", "local", "--compatible", "--json").json
    assert list(compatible) == ["cart/one-v0", "cart/one-v1"]
    latest = hub("list", "local", "--compatible", "--latest", "--json").json
    assert list(latest) == ["cart/one-v1"]


@pytest.mark.skipif(os.name != "posix", reason="the shell of Windows closes no stream")
@pytest.mark.parametrize("option", ["", "--json"])
def test_a_closed_stdout_is_no_traceback(datasets_root: Path, option: str) -> None:
    collect("cart/one-v0")
    command = f"'{sys.executable}' -m minari_hub list local {option} >&-"

    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_one_dataset_that_is_missing_does_not_keep_the_others_from_being_checked(
    hub: CommandLine,
) -> None:
    collect("cart/one-v0")

    done = hub("verify", "there-is-none-v0", "cart/one-v0")

    assert done.code == 3
    assert "error: Dataset there-is-none-v0 can't be found locally at" in done.err
    assert "cart/one-v0: ok" in done.out


def test_a_dataset_that_is_there_already_is_never_replaced(hub: CommandLine, remote: str) -> None:
    collect("cart/one-v0")
    assert hub("upload", "cart/one-v0").code == 0

    done = hub("upload", "cart/one-v0")

    assert done.code == 1
    assert done.err.startswith("error: ")


def test_a_listing_that_nobody_reads_to_its_end_ends_quietly(datasets_root: Path) -> None:
    collect("cart/one-v0")
    program = [sys.executable, "-m", "minari_hub", "list", "local"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()

    assert "Traceback" not in said


def test_a_remote_out_of_reach_is_one_line_and_no_traceback(datasets_root: Path) -> None:
    # Nothing listens on this port.
    unreachable = {
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
        "MINARI_REMOTE_GIVE_UP_AFTER": "1",
    }

    done = in_process("minari_hub", "list", "gs://bucket", environment=unreachable)

    assert done.code == 1
    first, last = done.err.splitlines()
    assert first == "127.0.0.1: Connection refused; trying again, for 0 s so far"
    assert re.fullmatch(
        r"error: could not list gs://bucket: 127\.0\.0\.1: Connection refused \(tried \d+ times "
        r"in \d+ s; the environment variable MINARI_REMOTE_GIVE_UP_AFTER says for how long\)",
        last,
    )


def test_without_a_network_a_command_ends_soon_with_a_sentence_that_fits(
    datasets_root: Path,
) -> None:
    # As it is when nobody has set how long to try, which would be 90 seconds.
    nowhere = {"STORAGE_EMULATOR_HOST": "http://nowhere.invalid", "MINARI_REMOTE_GIVE_UP_AFTER": ""}

    done = in_process("minari_hub", "list", "gs://bucket", environment=nowhere)

    assert done.code == 1
    assert "trying again" in done.err.splitlines()[0]
    last = done.err.splitlines()[-1]
    assert last.startswith("error: could not list gs://bucket: the name 'nowhere.invalid' cannot")
    assert "is there a network?" in last


def test_every_command_has_help_that_names_its_options(hub: CommandLine) -> None:
    overview = hub("--help")
    assert overview.code == 0

    for command in ("list", "download", "upload", "verify"):
        assert command in overview.out
        done = hub(command, "-h")
        assert done.code == 0
        assert "Usage: minari-hub " + command in done.out
    # No summary is cut short.
    assert "..." not in overview.out.partition("Commands:")[2]


def test_a_shell_completes_the_ids_of_local_datasets(datasets_root: Path) -> None:
    collect("cart/one-v0")
    collect("door/one-v0")

    done = in_process(
        "minari_hub",
        environment={
            "_MINARI_HUB_COMPLETE": "complete_bash",
            "COMP_WORDS": "minari-hub verify car",
            "COMP_CWORD": "2",
        },
    )

    assert done.out.split() == ["cart/one-v0"]


def test_importing_the_hub_loads_no_command_line() -> None:
    program = "import sys, minari_hub; print({'typer', 'rich', 'click'} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )

    assert done.stdout.strip() == "set()"


def test_folding_keeps_every_character_and_breaks_behind_separators() -> None:
    for width in range(5, 80):
        lines = fold_id(LONG_ID, width).split("\n")
        assert "".join(lines) == LONG_ID
        assert max(map(len, lines)) <= width
    assert fold_id(LONG_ID, 30).startswith("a-rather-long-namespace/with-\n")


def test_printable_text_stays_as_it_is() -> None:
    assert escape_unprintable("Łódź 東京 é") == "Łódź 東京 é"
    assert escape_unprintable("\ud800") == r"\ud800"
    assert os.linesep not in escape_unprintable("a\nb")


def test_a_private_bucket_asks_for_a_token_as_it_is_given_here(
    hub: CommandLine, bucket: Bucket, proxy: FaultProxy
) -> None:
    proxy.required_token = "secret-token"

    done = hub("list", bucket.url)

    assert done.code == 1
    assert "give --token, or set MINARI_REMOTE_TOKEN" in done.err
    assert hub("list", bucket.url, "--token", "secret-token").code == 0
