"""What streams needs no client library, and whoever needs one is told its name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.core.helpers.streams import write_dataset
from tests.helpers.object_server import ObjectServer
from tests.hub.helpers.hugging_face_server import HuggingFaceServer

_STREAM = """
import sys
for name in ("obstore", "fsspec", "s3fs", "adlfs", "google.cloud.storage", "huggingface_hub"):
    sys.modules[name] = None
import minari
from minari_core.errors import DatasetNotFoundError, MissingDependencyError

for name in sys.argv[1:]:
    dataset = minari.load_dataset(name, stream=True, cache_nbytes=0)
    print(float(dataset[3].rewards.sum()))
for name in ("s3://bucket/x-v0", "az://container/x-v0"):
    try:
        minari.load_dataset(name, stream=True)
    except MissingDependencyError as error:
        print("minari-hub[stream]" in str(error))
try:
    minari.load_dataset("gs://bucket/y-v0", stream=True)
except DatasetNotFoundError as error:
    print("'y-v0'" in str(error))
"""


def test_folders_buckets_hubs_and_web_servers_stream_without_any_client_library(
    tmp_path: Path, hugging_face: HuggingFaceServer
) -> None:
    local = write_dataset(tmp_path / "some/x-v0/data")
    for path in (tmp_path / "some/x-v0/data").iterdir():
        hugging_face.put("farama/some", f"x-v0/data/{path.name}", path.read_bytes())
    with ObjectServer(tmp_path) as server:
        urls = [
            (tmp_path / "some/x-v0").as_uri(),
            "gs://bucket/some/x-v0",
            "hf://farama/some/x-v0",
            f"{server.url}/some/x-v0",
            "some/x-v0",  # on the remotes that are set, of which the first has nothing
        ]
        given = {
            "MINARI_REMOTE": f"gs://bucket/elsewhere {server.url}",
            "STORAGE_EMULATOR_HOST": server.url,
        }
        run = subprocess.run(
            [sys.executable, "-c", _STREAM, *urls],
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    expected = [str(float(local[3].rewards.sum()))] * len(urls) + ["True"] * 3
    assert (run.stdout.split(), run.stderr) == (expected, "")
