"""Which addresses a setting names, in which order, and whose a token is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import minari
from minari_hub import DEFAULT_REMOTES, open_remote
from minari_hub.remotes.setting import RemoteSetting

HUB, BUCKET = "hf://farama", "gs://bucket"


def tokens_of(token: str, *urls: str) -> list[str | None]:
    setting = RemoteSetting.parse(urls, token)
    return [setting._tokens[url] for url in setting.urls]


def test_the_call_goes_before_the_environment_and_that_before_the_public_remotes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert RemoteSetting.parse().urls == DEFAULT_REMOTES
    assert DEFAULT_REMOTES == ("hf://farama-minari", "gs://minari-remote")
    monkeypatch.setenv("MINARI_REMOTE", " \n")
    assert RemoteSetting.parse("").urls == DEFAULT_REMOTES
    monkeypatch.setenv("MINARI_REMOTE", "gs://mine/prefix")
    assert RemoteSetting.parse().urls == ("gs://mine/prefix",)
    assert open_remote().url == "gs://mine/prefix"
    assert open_remote("gs://other").url == "gs://other"
    monkeypatch.setenv("MINARI_REMOTE", " gs://mine\n\thf://farama  gs://mine ")
    assert RemoteSetting.parse().urls == ("gs://mine", "hf://farama")
    assert RemoteSetting.parse(["gs://b", "gs://a"]).urls == ("gs://b", "gs://a")


def test_a_text_is_one_url_whose_folder_may_have_spaces(tmp_path: Path) -> None:
    url = f"file://{tmp_path.as_posix()}/a b"

    assert RemoteSetting.parse(url).urls == (url,)
    open_remote(url).create("x", b"content", {})
    assert (tmp_path / "a b" / "x").read_bytes() == b"content"


@pytest.mark.parametrize(
    ("remote_path", "why"),
    [
        ([], "names no remote"),
        ([BUCKET, "bucket"], "is no URL"),
        ([BUCKET, ""], "is no URL"),
        ([BUCKET, "hf://farama/D4RL"], "more than an organization"),
    ],
)
def test_a_list_with_a_url_that_names_no_remote_is_refused_before_any_is_asked(
    remote_path: Sequence[str], why: str
) -> None:
    with pytest.raises(minari.RemoteUrlError, match=why):
        minari.list_remote_datasets(remote_path)
    with pytest.raises(minari.RemoteUrlError, match=why):
        minari.download_dataset("x-v0", remote_path=remote_path)


def test_a_space_within_a_url_of_the_environment_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINARI_REMOTE", "file:///my folder")

    with pytest.raises(minari.RemoteUrlError, match=r"has 'folder', .* written as %20"):
        minari.list_remote_datasets()


def test_one_remote_is_opened_only_where_one_is_set() -> None:
    with pytest.raises(
        minari.RemoteUrlError, match="remote_path='hf://farama-minari' or remote_path='gs://minari-"
    ):
        open_remote()


def test_a_token_that_names_its_remote_goes_there_and_below(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = f"{HUB}=a  gs://bucket/=b=\n gs://bucket/in/side=c"

    assert tokens_of(pairs, HUB, BUCKET) == ["a", "b="]
    assert tokens_of(pairs, "gcp://bucket/in/side/x", "gs://bucket/in") == ["c", "b="]
    assert tokens_of(pairs, "hf://farama-minari", "gs://bucket-2") == [None, None]
    assert tokens_of(pairs, "gs://other") == [None]
    monkeypatch.setenv("MINARI_REMOTE_TOKEN", pairs)
    assert RemoteSetting.parse(BUCKET)._tokens == {BUCKET: "b="}


def test_of_several_remotes_those_get_a_token_that_it_looks_like() -> None:
    assert tokens_of("anything", BUCKET) == ["anything"]
    assert tokens_of("hf_abc", BUCKET, HUB, "s3://x") == [None, "hf_abc", None]
    assert tokens_of("keys/robot.json", HUB, BUCKET) == [None, "keys/robot.json"]
    assert tokens_of("ya29.abc", HUB, "gcp://bucket") == [None, "ya29.abc"]
    # A folder takes none.
    assert tokens_of("anything", "file:///x", HUB) == [None, "anything"]
    assert tokens_of("hf_abc", "file:///x") == [None]
    # That is no secret, and each kind of remote has its own.
    assert tokens_of("application-default", HUB, BUCKET) == ["application-default"] * 2


def test_a_token_for_another_kind_of_remote_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for url, token in [(BUCKET, "hf_secret"), (HUB, "ya29.secret"), ("s3://x", "secret.json")]:
        with pytest.raises(minari.RemoteUrlError, match="another kind of remote") as refused:
            minari.list_remote_datasets(url, token=token)
        assert "secret" not in str(refused.value)
        # In the environment it may be for the remote of another call.
        monkeypatch.setenv("MINARI_REMOTE_TOKEN", token)
        assert RemoteSetting.parse(url)._tokens == {url: None}


@pytest.mark.parametrize(
    "token", ["secret", "gs://bucket=a secret", "gs://bucket/secret", "x://secret="]
)
def test_a_token_of_nobody_in_particular_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(minari.RemoteUrlError, match="=TOKEN") as refused:
        minari.list_remote_datasets([BUCKET, "s3://other"], token=token)

    assert "secret" not in str(refused.value)
    assert "secret" not in repr(RemoteSetting.parse(BUCKET, "secret"))


def test_what_all_addresses_say_is_one_error_of_the_kind_that_can_be_mended() -> None:
    setting = RemoteSetting.parse(["gs://a", "gs://b", "gs://c"])
    errors: dict[str, minari.MinariError] = {
        "gs://a": minari.RemoteAccessError("gs://a refuses"),
        "gs://b": minari.RemoteError("out of reach"),
    }

    def ask(url: str) -> None:
        if url in errors:
            raise errors[url]

    def explain(url: str) -> minari.MinariError:
        return minari.DatasetNotFoundError(f"not in {url}")

    with (
        pytest.warns(minari.MinariWarning, match="passed over"),
        pytest.raises(
            minari.RemoteError, match=r"^gs://a refuses; gs://b: out of reach; not in gs://c$"
        ),
    ):
        setting.ask_first(ask, explain)
    del errors["gs://b"]
    with pytest.warns(minari.MinariWarning), pytest.raises(minari.DatasetNotFoundError):
        setting.ask_first(ask, explain)
