"""What an upload leaves on a remote, and what it refuses."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari_core.formats.columnar.manifest import Manifest, read_manifest
from minari_core.local.locations import dataset_folder
from minari_hub import open_remote, upload_dataset
from minari_hub.remotes.folder import FolderRemote
from tests.hub.helpers.datasets import collect, files_of, leftovers, make_shards
from tests.hub.helpers.fault_proxy import Answer, Fault, FaultProxy, cut, status
from tests.hub.helpers.servers import Bucket

DATA_SENT = r"^(POST|PUT) /upload"


@pytest.fixture(params=["bucket", "folder", "memory"])
def remote_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return (tmp_path / "shared").as_uri()
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    bucket: Bucket = request.getfixturevalue("bucket")
    return bucket.url


def remote_files(bucket: Bucket, dataset_id: str) -> dict[str, bytes]:
    prefix = f"{dataset_id}/data/"
    return {
        name[len(prefix) :]: bucket.itself.blob(name).download_as_bytes()
        for name in bucket.names()
        if name.startswith(prefix)
    }


def test_an_upload_sends_what_the_manifest_names_and_nothing_else(bucket: Bucket) -> None:
    make_shards("a/x-v0")
    folder = dataset_folder("a/x-v0") / "data"
    (folder / "notes.txt").write_text("of the user's own")
    (folder / ".lock").touch()
    (folder / "shard-left-over.h5").write_bytes(b"by a process that was killed")

    upload_dataset("a/x-v0", remote_path=bucket.url)

    local = files_of("a/x-v0")
    del local["notes.txt"], local["shard-left-over.h5"]
    assert remote_files(bucket, "a/x-v0") == local
    assert len(local) == 5


@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
def test_an_upload_of_a_public_layout_sends_what_belongs_to_it_and_nothing_else(
    tmp_path: Path, data_format: str
) -> None:
    minari.convert_dataset(collect("first-v0"), "x-v0", data_format=data_format)
    files = files_of("x-v0")
    folder = dataset_folder("x-v0") / "data"
    (tmp_path / "secret").write_text("of the user's own")
    (folder / "leak.txt").symlink_to(tmp_path / "secret")
    (folder / "notes.txt").write_text("of the user's own")
    (folder / "7").mkdir()
    (folder / "7" / "metadata.json").write_text("{}")
    shared = tmp_path / "shared"

    upload_dataset("x-v0", remote_path=shared.as_uri())

    there = shared / "x-v0" / "data"
    assert files == {
        path.relative_to(there).as_posix(): path.read_bytes()
        for path in there.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("data_format", "name"),
    [("hdf5", "main_data.hdf5"), ("arrow", "1"), ("arrow", "1/part-0.arrow")],
)
def test_a_link_in_the_place_of_data_is_not_uploaded(
    tmp_path: Path, data_format: str, name: str
) -> None:
    minari.convert_dataset(collect("first-v0"), "x-v0", data_format=data_format)
    path = dataset_folder("x-v0") / "data" / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    shared = tmp_path / "shared"

    with pytest.raises(minari.DatasetDamagedError, match="is a link"):
        upload_dataset("x-v0", remote_path=shared.as_uri())
    assert not shared.exists()


@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
def test_of_two_datasets_of_one_id_the_first_to_begin_can_be_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_format: str
) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for count, root in enumerate(roots, start=2):
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
        make_shards("first-v0", shards=count, steps=10 * count)
        first = minari.load_dataset("first-v0")
        minari.convert_dataset(first, "x-v0", data_format=data_format)
    url = (tmp_path / "shared").as_uri()
    send = FolderRemote.upload

    def begin(remote: FolderRemote, uploads: Any, *rest: Any) -> Any:
        send(remote, uploads[:1], *rest)
        raise KeyboardInterrupt

    def send_after_another_began(remote: FolderRemote, uploads: Any, *rest: Any) -> Any:
        monkeypatch.setattr(FolderRemote, "upload", begin)
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(roots[0]))
        with pytest.raises(KeyboardInterrupt):
            upload_dataset("x-v0", remote_path=url)
        monkeypatch.setattr(FolderRemote, "upload", send)
        return send(remote, uploads, *rest)

    monkeypatch.setattr(FolderRemote, "upload", send_after_another_began)
    with pytest.raises(minari.DatasetExistsError, match="another content"):
        upload_dataset("x-v0", remote_path=url)

    assert os.environ["MINARI_DATASETS_PATH"] == str(roots[0])
    upload_dataset("x-v0", remote_path=url)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "three"))
    minari.download_dataset("x-v0", remote_path=url)
    assert len(list(minari.load_dataset("x-v0"))) == 2


def test_an_upload_never_replaces_a_dataset(remote_url: str) -> None:
    collect("x-v0")
    upload_dataset("x-v0", remote_path=remote_url)
    minari.delete_dataset("x-v0")
    collect("x-v0", episodes=1)

    with pytest.raises(minari.DatasetExistsError, match="next version"):
        upload_dataset("x-v0", remote_path=remote_url)

    minari.delete_dataset("x-v0")
    minari.download_dataset("x-v0", remote_path=remote_url)
    assert len(minari.load_dataset("x-v0")) == 3


def test_the_manifest_is_published_after_all_else_has_arrived(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    make_shards("x-v0")
    seen: list[list[str]] = []

    def look(answer: Answer) -> Answer:
        seen.append(bucket.names())
        return answer

    proxy.faults = [Fault(DATA_SENT, look)]
    upload_dataset("x-v0", remote_path=bucket.url)

    *before, last = seen
    assert "x-v0/data/metadata.json" in last
    assert len(last) == 5
    assert all("x-v0/data/metadata.json" not in names for names in before)


def test_an_upload_that_failed_goes_on_with_what_is_missing(
    bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_shards("x-v0", shards=6)
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "0.5")
    proxy.faults = [Fault(DATA_SENT, status(503), every=2, before_server=True)]
    with pytest.raises(minari.RemoteError, match="503"):
        upload_dataset("x-v0", remote_path=bucket.url)
    there = set(bucket.names())
    assert 0 < len(there) < 7
    assert minari.list_remote_datasets(bucket.url) == {}

    proxy.forget()
    upload_dataset("x-v0", remote_path=bucket.url)

    assert proxy.count(DATA_SENT) == 7 - len(there)
    assert remote_files(bucket, "x-v0") == files_of("x-v0")


@pytest.mark.parametrize("code", [429, 500, 503])
def test_an_upload_survives_faults_that_pass(bucket: Bucket, proxy: FaultProxy, code: int) -> None:
    make_shards("x-v0", shards=3)
    proxy.faults = [
        Fault(DATA_SENT, status(code), times=2, before_server=True),
        # The server has it, and its answer does not arrive.
        Fault(DATA_SENT, cut(3), times=2),
        Fault(DATA_SENT, status(code), times=1),
    ]

    upload_dataset("x-v0", remote_path=bucket.url)

    assert remote_files(bucket, "x-v0") == files_of("x-v0")
    assert list(minari.list_remote_datasets(bucket.url)) == ["x-v0"]


def test_a_manifest_whose_creation_was_not_confirmed_is_not_taken_for_another(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    collect("x-v0")
    made = 0

    def lose_the_second_answer(answer: Answer) -> Answer:
        nonlocal made
        made += 1
        # The first is the shard, the second the manifest.
        return status(503)(answer) if made == 2 else answer

    proxy.faults = [Fault(DATA_SENT, lose_the_second_answer)]
    upload_dataset("x-v0", remote_path=bucket.url)

    assert made == 3
    assert remote_files(bucket, "x-v0") == files_of("x-v0")


def test_a_file_with_other_content_in_the_way_is_not_replaced(remote_url: str) -> None:
    make_shards("x-v0", shards=2)
    shard = min(name for name in files_of("x-v0") if name.endswith(".h5"))
    open_remote(remote_url).create(f"x-v0/data/{shard}", b"something else", {})

    with pytest.raises(minari.DatasetExistsError, match=f"{shard}.*another content"):
        upload_dataset("x-v0", remote_path=remote_url)

    assert minari.list_remote_datasets(remote_url) == {}
    assert open_remote(remote_url).read(f"x-v0/data/{shard}", 0, 99) == b"something else"


def test_a_byte_that_is_flipped_on_the_way_is_found(bucket: Bucket, proxy: FaultProxy) -> None:
    collect("x-v0")
    # As if the server said of what arrived that it is something else.
    proxy.faults = [Fault(r"GET .*/o\?", _other_checksums)]

    with pytest.raises((minari.RemoteError, minari.DatasetExistsError), match="x-v0"):
        upload_dataset("x-v0", remote_path=bucket.url)

    assert "x-v0/data/metadata.json" not in bucket.names()


def _other_checksums(answer: Answer) -> Answer:
    content = json.loads(answer.body)
    for item in content.get("items", []):
        item["crc32c"] = "AAAAAA=="
    return Answer(answer.status, answer.headers, json.dumps(content).encode())


def test_a_damaged_shard_is_not_published(bucket: Bucket) -> None:
    make_shards("x-v0", shards=2)
    shard = max((dataset_folder("x-v0") / "data").glob("*.h5"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)

    with pytest.raises(minari.DatasetDamagedError, match=shard.name):
        upload_dataset("x-v0", remote_path=bucket.url)
    assert bucket.names() == []


def test_of_two_who_publish_one_id_one_wins_and_its_dataset_is_whole(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two roots as on two machines; the root is read from the environment by the main thread.
    roots = [tmp_path / "one", tmp_path / "two"]
    for number, root in enumerate(roots):
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
        make_shards("x-v0", shards=2 + number)
    program = (
        "import minari, sys\n"
        "sys.stdin.readline()\n"
        f"try: minari.upload_dataset('x-v0', remote_path={bucket.url!r})\n"
        "except minari.DatasetExistsError: sys.exit(3)\n"
    )
    running = []
    for root in roots:
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
        running.append(subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE))
    for process in running:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
    codes = [process.wait(60) for process in running]
    for process in running:
        assert process.stdin
        process.stdin.close()

    assert sorted(codes) == [0, 3]
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "three"))
    minari.download_dataset("x-v0", remote_path=bucket.url)
    assert len(minari.load_dataset("x-v0")) == 2 + codes.index(0)


def test_what_is_added_meanwhile_does_not_disturb_an_upload(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    dataset = make_shards("x-v0", shards=2)
    before = files_of("x-v0")
    barrier = Barrier(2, timeout=30)

    def add(answer: Answer) -> Answer:
        barrier.wait()
        barrier.wait()
        return answer

    proxy.faults = [Fault(DATA_SENT, add, times=1)]
    uploading = Thread(target=upload_dataset, args=("x-v0",), kwargs={"remote_path": bucket.url})
    uploading.start()
    barrier.wait()
    dataset.update_dataset_from_buffer([dataset[0]])
    barrier.wait()
    uploading.join()

    assert remote_files(bucket, "x-v0") == before


@pytest.mark.parametrize(
    ("where", "times"),
    [(DATA_SENT, 1), (r"GET .*/o\?", 3)],
    ids=["while files go", "before they are compared"],
)
def test_an_upload_of_a_dataset_that_is_compacted_meanwhile_sends_what_it_was(
    bucket: Bucket, proxy: FaultProxy, where: str, times: int
) -> None:
    dataset = make_shards("x-v0", shards=24, steps=20)
    before = files_of("x-v0")
    seen = 0

    def compact(answer: Answer) -> Answer:
        nonlocal seen
        seen += 1
        if seen == times:
            dataset.compact()
        return answer

    proxy.faults = [Fault(where, compact)]
    upload_dataset("x-v0", remote_path=bucket.url)

    assert seen >= times
    assert files_of("x-v0") != before
    assert remote_files(bucket, "x-v0") == before


def test_an_upload_where_files_have_one_name_says_that_the_dataset_was_rewritten(
    bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object) -> None:
        raise PermissionError(errno.EPERM, "this file system has no hard links")

    dataset = make_shards("x-v0", shards=24, steps=20)
    monkeypatch.setattr(os, "link", refuse)

    def compact(answer: Answer) -> Answer:
        dataset.compact()
        return answer

    proxy.faults = [Fault(DATA_SENT, compact, times=1)]
    with pytest.raises(minari.DatasetChangedError, match="was rewritten while it was uploaded"):
        upload_dataset("x-v0", remote_path=bucket.url)
    assert "x-v0/data/metadata.json" not in bucket.names()

    proxy.forget()
    upload_dataset("x-v0", remote_path=bucket.url)
    minari.delete_dataset("x-v0")
    minari.download_dataset("x-v0", remote_path=bucket.url)
    assert len(minari.load_dataset("x-v0")) == 24


def test_uploads_send_whole_datasets_while_a_process_adds_to_them(tmp_path: Path) -> None:
    make_shards("x-v0", shards=2, steps=20)
    before = set(files_of("x-v0"))
    program = (
        "import minari\n"
        "dataset = minari.load_dataset('x-v0')\n"
        "episode = dataset[0]\n"
        "while True: dataset.update_dataset_from_buffer([episode])\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as adding:
        try:
            # Eight small shards become one, whose files are removed then.
            while before & set(files_of("x-v0")) != {"metadata.json"}:
                assert adding.poll() is None
                time.sleep(0.01)
            for number in range(8):
                upload_dataset("x-v0", remote_path=(tmp_path / f"remote{number}").as_uri())
            assert adding.poll() is None
        finally:
            adding.kill()
    lengths = []
    for number in range(8):
        minari.delete_dataset("x-v0")
        minari.download_dataset("x-v0", remote_path=(tmp_path / f"remote{number}").as_uri())
        assert minari.verify_dataset("x-v0").ok
        lengths.append(len(minari.load_dataset("x-v0")))
    assert lengths == sorted(lengths)
    assert lengths[0] >= 8


def test_what_a_killed_upload_held_is_worth_nothing_and_removed(tmp_path: Path) -> None:
    make_shards("x-v0", shards=2, steps=20)
    program = (
        "import os, minari\n"
        "from minari_hub.remotes.folder import FolderRemote\n"
        "FolderRemote.upload = lambda *given: os._exit(9)\n"
        f"minari.upload_dataset('x-v0', remote_path={(tmp_path / 'remote').as_uri()!r})\n"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 9

    (left,) = minari.list_leftovers()
    assert (left.kind, left.is_valuable) == ("upload", False)
    assert sorted(path.name for path in Path(left.path, "data").iterdir()) == sorted(
        files_of("x-v0")
    )
    minari.remove_leftovers()
    assert minari.list_leftovers() == []
    assert minari.verify_dataset("x-v0").ok


def test_an_upload_names_the_files_of_the_manifest_that_it_publishes(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_shards("x-v0", shards=3, steps=20)
    reads = 0

    def read_after_a_compaction(folder: Path) -> Manifest:
        nonlocal reads
        reads += 1
        if reads == 1:
            dataset.compact()
        return read_manifest(folder)

    monkeypatch.setattr(
        "minari_hub.datasets.uploading.held_data.read_manifest", read_after_a_compaction
    )
    upload_dataset("x-v0", remote_path=bucket.url)

    minari.delete_dataset("x-v0")
    minari.download_dataset("x-v0", remote_path=bucket.url)
    assert len(minari.load_dataset("x-v0")) == 3
    assert reads == 2


def test_an_object_that_a_remote_loses_is_noticed_and_sent_again(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    make_shards("x-v0", shards=3, steps=20)

    def lose(answer: Answer) -> Answer:
        for blob in bucket.itself.list_blobs():
            blob.delete()
        return answer

    proxy.faults = [Fault(DATA_SENT, lose, times=3)]
    with pytest.raises(minari.RemoteError, match=r"shard.*h5' was sent to .* and is not there"):
        upload_dataset("x-v0", remote_path=bucket.url)
    assert "x-v0/data/metadata.json" not in bucket.names()

    upload_dataset("x-v0", remote_path=bucket.url)
    assert remote_files(bucket, "x-v0") == files_of("x-v0")


def test_a_full_url_says_where_a_dataset_goes(bucket: Bucket) -> None:
    collect("D4RL/door/human-v2")

    upload_dataset(f"{bucket.url}/mirror/D4RL/door/human-v2")

    assert "mirror/D4RL/door/human-v2/data/metadata.json" in bucket.names()
    assert list(minari.list_remote_datasets(f"{bucket.url}/mirror")) == ["D4RL/door/human-v2"]


def test_a_url_that_may_mean_two_local_datasets_uploads_neither(tmp_path: Path) -> None:
    collect("door/human-v2")
    collect("human-v2", episodes=2)
    remote = tmp_path / "remote"
    remote.mkdir()

    with pytest.raises(minari.DatasetIdError, match=r"'human-v2' with remote_path='file:.*/door'"):
        upload_dataset(f"{remote.as_uri()}/door/human-v2")
    assert list(remote.iterdir()) == []

    upload_dataset("door/human-v2", remote_path=remote.as_uri())
    assert list(minari.list_remote_datasets(remote.as_uri())) == ["door/human-v2"]


def test_a_combination_goes_up_and_comes_down_without_its_sources(remote_url: str) -> None:
    sources = [collect("one-v0"), collect("two-v0", episodes=2)]
    combined = minari.combine_datasets(sources, "both-v0")
    returns = [float(episode.rewards.sum()) for episode in combined]

    upload_dataset("both-v0", remote_path=remote_url)
    for name in ["one-v0", "two-v0", "both-v0"]:
        minari.delete_dataset(name)
    assert list(minari.list_remote_datasets(remote_url)) == ["both-v0"]
    minari.download_dataset("both-v0", remote_path=remote_url)

    loaded = minari.load_dataset("both-v0")
    assert [float(episode.rewards.sum()) for episode in loaded] == returns
    assert minari.verify_dataset("both-v0").problems == ()


@pytest.mark.parametrize("wanted", ["none-v0", "gs://bucket/none-v0"])
def test_a_dataset_that_is_not_here_cannot_be_uploaded(wanted: str, bucket: Bucket) -> None:
    with pytest.raises(minari.DatasetNotFoundError, match="list_local_datasets"):
        upload_dataset(wanted)


def test_an_unknown_format_is_refused_before_anything_is_sent(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    collect("x-v0")

    with pytest.raises(minari.FormatError, match="punched cards"):
        upload_dataset("x-v0", remote_path=bucket.url, data_format="punched cards")
    assert proxy.count(DATA_SENT) == 0
    assert leftovers() == []


FORMATS = ["columnar", "hdf5", "arrow", "parquet"]


@pytest.mark.parametrize("published", FORMATS)
@pytest.mark.parametrize("local", FORMATS)
def test_an_upload_publishes_the_format_that_is_asked_for(
    tmp_path: Path, local: str, published: str
) -> None:
    collect("ns/first-v0", description="kept")
    dataset = minari.convert_dataset(
        minari.load_dataset("ns/first-v0"), "ns/x-v0", data_format=local
    )
    episodes = list(dataset)
    files = files_of("ns/x-v0")
    url = (tmp_path / "shared").as_uri()

    upload_dataset("ns/x-v0", remote_path=url, data_format=published)

    assert files_of("ns/x-v0") == files
    minari.delete_dataset("ns/x-v0")
    described = minari.list_remote_datasets(url)["ns/x-v0"]
    assert (described["data_format"], described["description"]) == (published, "kept")
    loaded = minari.load_dataset(f"{url}/ns/x-v0", download=True)
    assert minari.verify_dataset("ns/x-v0").problems == ()
    assert loaded.env_spec == dataset.env_spec
    for one, other in zip(loaded, episodes, strict=True):
        assert (one.id, one.seed) == (other.id, other.seed)
        for key in ("observations", "actions", "rewards", "terminations", "truncations"):
            first, second = getattr(one, key), getattr(other, key)
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("published", ["columnar", "arrow", "parquet"])
def test_a_converted_upload_loses_no_detail_of_images(tmp_path: Path, published: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    episode = minari.EpisodeBuffer(
        observations=images,
        actions=[0, 1],
        rewards=[1.0, 1.0],
        terminations=[False, True],
        truncations=[False, False],
    )
    exact = minari.create_dataset_from_buffers(
        "exact-v0",
        [episode],
        observation_space=spaces.Box(0, 255, (40, 40, 3), np.uint8),
        action_space=spaces.Discrete(2),
        algorithm_name="random",
        author="Ada",
        author_email="ada@example.org",
        code_permalink="https://example.org/collect.py",
    )
    dataset = minari.convert_dataset(exact, "x-v0", data_format="hdf5", jpeg_encoding=True)
    before = dataset[0].observations
    url = (tmp_path / "shared").as_uri()

    upload_dataset("x-v0", remote_path=url, data_format=published)

    minari.delete_dataset("x-v0")
    after = minari.load_dataset(f"{url}/x-v0", download=True)
    np.testing.assert_array_equal(after[0].observations, before)
    assert not after.metadata.get("jpeg_encoding")


def test_of_two_who_convert_and_publish_one_dataset_one_wins(bucket: Bucket) -> None:
    make_shards("x-v0", shards=6)
    program = (
        "import minari\n"
        "try:\n"
        f"    minari.upload_dataset('x-v0', remote_path={bucket.url!r}, data_format='hdf5')\n"
        "except minari.DatasetExistsError:\n"
        "    raise SystemExit(7)"
    )

    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]

    assert sorted(process.wait(120) for process in running) == [0, 7, 7]
    minari.delete_dataset("x-v0")
    minari.download_dataset("x-v0", remote_path=bucket.url)
    assert minari.verify_dataset("x-v0").problems == ()
    assert len(minari.load_dataset("x-v0")) == 6


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_a_conversion_that_is_killed_is_begun_again(bucket: Bucket) -> None:
    make_shards("x-v0", shards=40)
    program = (
        f"import minari\nminari.upload_dataset('x-v0', remote_path={bucket.url!r}, "
        "data_format='hdf5')"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    while not any(path.name == "main_data.hdf5" for path in leftovers()):
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert bucket.names() == []

    upload_dataset("x-v0", remote_path=bucket.url, data_format="hdf5")

    minari.delete_dataset("x-v0")
    minari.download_dataset("x-v0", remote_path=bucket.url)
    assert len(minari.load_dataset("x-v0")) == 40
    assert minari.verify_dataset("x-v0").problems == ()


def test_the_format_a_dataset_is_in_needs_no_conversion(bucket: Bucket) -> None:
    collect("x-v0")

    upload_dataset("x-v0", remote_path=bucket.url, data_format="columnar")

    assert remote_files(bucket, "x-v0") == files_of("x-v0")


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    yield
    assert [path for path in leftovers() if path.name.startswith("upload-")] == []
