"""What is imported when: nothing that talks to remotes before a remote is talked to."""

from __future__ import annotations

import subprocess
import sys

import pytest

import minari

TALKS_TO_REMOTES = {"google.auth", "google.cloud", "requests", "urllib3", "huggingface_hub"}


def loaded_by(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


def test_importing_the_hub_imports_no_library_of_a_remote() -> None:
    assert not loaded_by("import minari_hub") & (TALKS_TO_REMOTES | {"fsspec"})


@pytest.mark.parametrize(
    "statement",
    [
        "import minari",
        "from minari import *",
        "import minari.cli, minari.namespace, minari.storage.local, minari.storage.hosting",
    ],
)
def test_importing_minari_imports_no_library_of_a_remote_though_it_depends_on_them(
    statement: str,
) -> None:
    assert not loaded_by(statement) & (TALKS_TO_REMOTES | {"fsspec"})


def test_minari_imports_the_hub_when_it_is_first_used() -> None:
    assert "minari_hub" not in loaded_by("import minari")
    assert "minari_hub" in loaded_by("import minari; minari.list_remote_datasets")
    assert "minari_hub" in loaded_by("from minari import upload_dataset")


def test_names_that_are_imported_late_are_shown_like_the_others() -> None:
    assert {"download_dataset", "list_remote_datasets", "upload_dataset"} <= set(dir(minari))
    assert set(minari.__all__) <= set(dir(minari))
    assert minari.download_dataset is minari.download_dataset
    assert not hasattr(minari, "no_such_name")
