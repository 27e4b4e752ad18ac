"""File names from a remote: what is refused, and that nothing else leads out of the folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core.errors import UntrustedNameError
from minari_hub.untrusted.names import check_name, check_names

_PIECES = [
    "..",
    ".",
    "a",
    "A",
    "/",
    "\\",
    ":",
    "C:",
    "\0",
    " ",
    "con",
    "nul.txt",
    "é",
    "~",
    "\ud800",
]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../evil", "leads out"),
        ("a/../../evil", "leads out"),
        ("..", "leads out"),
        ("/etc/passwd", "absolute"),
        ("//host/share", "absolute"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("", "empty part"),
        ("..\\evil", "hidden"),
        ("a\\..\\evil", "character"),
        ("C:\\evil", "character"),
        ("C:evil", "character"),
        ("a\0b", "character"),
        ("a\nb", "character"),
        ("file.h5:stream", "character"),
        (".bashrc", "hidden"),
        ("a/.ssh/authorized_keys", "hidden"),
        (".", "hidden"),
        ("con", "device"),
        ("COM1.h5", "device"),
        ("a/nul.tar.gz", "device"),
        ("file.", "ends in a dot"),
        ("file ", "ends in a dot or a space"),
        ("\ud800", "not valid text"),
        ("x" * 300, "300 bytes"),
        ("/".join("a" * 40), "40 parts"),
    ],
)
def test_a_hostile_name_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(UntrustedNameError, match=why):
        check_name(name)


@pytest.mark.parametrize(
    "name", ["main_data.hdf5", "shard-00.h5", "0/part 1.arrow", "a/b/c.parquet", "é~-_+,=@!"]
)
def test_a_plain_name_passes_as_it_is(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "names",
    [["A.h5", "a.h5"], ["é", "e\u0301"], ["a", "a/b"], ["A/x", "a"], ["d/X/1", "d/x"]],
)
def test_names_that_are_one_file_on_some_systems_are_refused(names: list[str]) -> None:
    with pytest.raises(UntrustedNameError):
        check_names(names)


@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=3), max_size=6).map("".join))
def test_no_name_that_passes_leads_out_of_a_folder_on_any_system(name: str) -> None:
    try:
        check_name(name)
    except UntrustedNameError:
        return
    assert not PurePosixPath(name).is_absolute()
    windows = PureWindowsPath(name)
    assert not windows.is_absolute()
    assert not windows.drive
    assert ".." not in windows.parts
    assert windows.parts == tuple(name.split("/"))
    folder = Path("/folder")
    assert (folder / name).resolve().is_relative_to(folder)
