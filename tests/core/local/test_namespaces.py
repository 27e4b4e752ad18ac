"""Namespaces are folders with a description."""

from __future__ import annotations

from pathlib import Path

import pytest

from minari_core import (
    DatasetIdError,
    MinariWarning,
    NamespaceError,
    create_namespace,
    delete_namespace,
    get_namespace_metadata,
    list_local_namespaces,
    update_namespace_metadata,
)


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def test_a_nested_namespace_makes_those_that_it_lies_in() -> None:
    assert list_local_namespaces() == []
    create_namespace("D4RL/door/hard", "difficult", url="x")
    assert list_local_namespaces() == ["D4RL", "D4RL/door", "D4RL/door/hard"]
    assert get_namespace_metadata("D4RL/door") == {}
    assert get_namespace_metadata("D4RL/door/hard") == {"description": "difficult", "url": "x"}
    update_namespace_metadata("D4RL/door/hard", "easy")
    assert get_namespace_metadata("D4RL/door/hard") == {"description": "easy"}


def test_only_an_empty_namespace_is_deleted(tmp_path: Path) -> None:
    create_namespace("one/two")
    with pytest.raises(NamespaceError, match=r"not empty.*: two"):
        delete_namespace("one")
    delete_namespace("one/two")
    delete_namespace("one")
    assert not list(tmp_path.iterdir())
    with pytest.warns(MinariWarning, match="Namespace 'one' does not exist"):
        delete_namespace("one")


def test_what_is_not_there_what_is_there_and_what_is_no_name_are_refused(tmp_path: Path) -> None:
    create_namespace("one")
    with pytest.raises(NamespaceError, match="Namespace 'one' already exists"):
        create_namespace("one")
    with pytest.raises(NamespaceError, match="Namespace two does not exist locally"):
        get_namespace_metadata("two")
    with pytest.raises(NamespaceError, match="Namespace two does not exist locally"):
        update_namespace_metadata("two")
    for name in ("../two", "", "/two", "a//b", ".hidden"):
        with pytest.raises(DatasetIdError):
            create_namespace(name)
    (tmp_path / "set-v0" / "data").mkdir(parents=True)
    with pytest.raises(NamespaceError, match="is a dataset"):
        create_namespace("set-v0")
