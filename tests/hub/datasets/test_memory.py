"""A transfer takes no more memory than a few blocks, however large the files are."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("resource", reason="measures the memory of a process")

import minari
from minari_hub import open_remote, upload_dataset
from tests.hub.helpers.datasets import make_shards
from tests.hub.helpers.hugging_face_server import HuggingFaceServer
from tests.hub.helpers.memory import measure_growth
from tests.hub.helpers.servers import Bucket

pytestmark = pytest.mark.slow

IMPORTS = (
    "import minari\n"
    "import minari_hub.datasets.download, minari_hub.datasets.uploading.upload\n"
    "import minari_hub.remotes.gcs, minari_hub.remotes.folder, minari_hub.remotes.fsspec\n"
    "import minari_hub.remotes.huggingface, minari_core.formats.public.hdf5.placeholder"
)


@pytest.mark.parametrize("kind", ["bucket", "folder", "local", "hub"])
def test_a_file_of_64_megabytes_goes_up_and_down_in_a_fraction_of_that(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "bucket":
        bucket: Bucket = request.getfixturevalue("bucket")
        url = bucket.url
    elif kind == "hub":
        hub: HuggingFaceServer = request.getfixturevalue("hugging_face")
        assert hub.url
        url = "hf://farama"
    else:
        scheme = "file" if kind == "folder" else "local"
        url = f"{scheme}://{tmp_path.as_posix()}/shared"
    make_shards("n/x-v0", shards=1, steps=130_000)

    if kind == "hub":
        # What huggingface_hub holds of an upload is its own affair.
        upload_dataset("n/x-v0", remote_path=url, token="secret")
    else:
        grown = measure_growth(IMPORTS, f"minari.upload_dataset('n/x-v0', remote_path={url!r})")
        assert grown < 48, f"the upload took {grown} MB"
    minari.delete_dataset("n/x-v0")
    assert any(found.size > 64_000_000 for found in open_remote(url).find("n/"))
    grown = measure_growth(IMPORTS, f"minari.download_dataset('n/x-v0', remote_path={url!r})")
    assert grown < 48, f"the download took {grown} MB"
