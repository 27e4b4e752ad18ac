"""What a flat HDF5 file may hold, and what is refused or left out of it by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from minari_core import import_flat_hdf5
from minari_core.errors import DataError, DatasetDamagedError, DatasetNotFoundError, MinariError
from tests.core.helpers.recorded import DESCRIBED

SAID: Any = DESCRIBED
pytestmark = pytest.mark.filterwarnings("ignore:nobody knows what the last action")


def write(path: Path, change: Callable[[h5py.File], object] = lambda file: None) -> Path:
    with h5py.File(path, "w") as file:
        file["observations"] = np.arange(8.0).reshape(4, 2)
        file["actions"] = np.zeros((4, 1))
        file["rewards"] = np.arange(4.0)
        file["terminals"] = np.array([False, True, False, False])
        change(file)
    return path


def put(name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.pop(name.partition("/")[0], None)
        file[name] = value

    return change


def put_virtual(file: h5py.File) -> None:
    del file["rewards"]
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", (4,))
    file.create_virtual_dataset("rewards", layout)


def put_external(file: h5py.File) -> None:
    del file["rewards"]
    file.create_dataset("rewards", (4,), "f8", external=[("elsewhere", 0, 32)])


def put_null(file: h5py.File) -> None:
    del file["rewards"]
    file["rewards"] = h5py.Empty("f8")


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda file: file.pop("rewards"), DataError, "has no rewards; a flat file has observat"),
        (
            put("rewards", h5py.SoftLink("/actions")),
            DataError,
            "rewards is a link to somewhere",
        ),
        (put("rewards", h5py.ExternalLink("x", "y")), DataError, "rewards is a link to somewhere"),
        (put_virtual, DataError, "rewards lies outside the file"),
        (put_external, DataError, "rewards lies outside the file"),
        (put_null, DataError, "rewards is no array"),
        (put("terminals/a", np.zeros(4)), DataError, "terminals is a group, not a dataset"),
        (put("timeouts/a", np.zeros(4)), DataError, "timeouts is a group, not a dataset"),
        (put("infos", np.zeros(4)), DataError, "infos is a dataset, not a group"),
        (put("timeouts", np.zeros(3, bool)), DataError, "timeouts has 3 rows, but terminals 4"),
        (put("rewards", np.zeros(3)), DataError, "rewards has 3 rows, but terminals has 4"),
    ],
)
def test_a_file_that_is_no_flat_one_is_refused_by_its_name(
    change: Callable[[h5py.File], object], kind: type[MinariError], said: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "flat.h5", change)
    with pytest.raises(kind, match=f"{path}.*{said}") as caught:
        import_flat_hdf5(path, "tests/x-v0", **SAID)
    assert str(caught.value).count(str(path)) == 1
    import_flat_hdf5(write(tmp_path / "good.h5"), "tests/x-v0", **SAID)


def test_a_column_and_an_info_of_one_name_are_refused(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["costs"] = np.zeros(4)
        file["infos/costs"] = np.zeros(4)

    with pytest.raises(DataError, match="has a column 'costs' and an info of the same name"):
        import_flat_hdf5(write(tmp_path / "flat.h5", change), "tests/x-v0", **SAID)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=f"^{tmp_path} is a folder, not a file; give"):
        import_flat_hdf5(tmp_path, "tests/x-v0", **SAID)
    none = tmp_path / "none"
    with pytest.raises(DatasetNotFoundError, match=f"^there is no file {none}$"):
        import_flat_hdf5(none, "tests/x-v0", **SAID)
    none.write_bytes(b"no HDF5")
    with pytest.raises(DatasetDamagedError, match=f"^{none} cannot be read"):
        import_flat_hdf5(none, "tests/x-v0", **SAID)


def test_further_columns_are_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["costs"] = np.arange(4.0)
        file["flags"] = np.ones((4, 2), bool)
        file["short"] = np.zeros(3)
        file["words"] = np.array([b"a"] * 4)
        file["scalar"] = 5.0
        file["link"] = h5py.SoftLink("/costs")
        file["minari/own"] = 1
        file["infos/goal"] = np.arange(4)
        file["timeouts"] = np.array([False, False, True, False])
        file["next_observations"] = file["observations"][:] + 1
        file["metadata/algorithm/name"] = "SAC"
        file["metadata/steps"] = np.int32(7)
        file["metadata/table"] = np.zeros(2)
        file["metadata/long"] = np.bytes_(b"x" * ((1 << 16) + 1))
        file["metadata/longest"] = np.bytes_(b"x" * (1 << 16))
        file["metadata/link"] = h5py.SoftLink("/costs")

    path = write(tmp_path / "flat.h5", change)
    with h5py.File(path, "r+") as file:
        observations = file["observations"][:]
        observations[1], observations[3] = observations[0] + 1, observations[2] + 1
        del file["observations"], file["next_observations"]
        file["observations"], file["next_observations"] = observations, observations + 1
    left_out: dict[str, str] = {}
    dataset = import_flat_hdf5(path, "tests/x-v0", left_out=left_out, **SAID)
    names = {"link", "scalar", "short", "words", "metadata/long", "metadata/table"}
    assert names <= left_out.keys()
    assert not {"costs", "flags", "metadata/longest", "metadata/steps"} & left_out.keys()
    assert dataset.metadata["source_metadata"] == {
        "algorithm/name": "SAC",
        "steps": 7,
        "longest": "x" * (1 << 16),
    }
    assert dataset.metadata["step_infos"] == ["costs", "flags"]
    assert [len(episode) for episode in dataset] == [2, 1, 1]
    second = dataset[1]
    assert second.observations.tolist() == [
        observations[2].tolist(),
        (observations[2] + 1).tolist(),
    ]
    assert np.asarray(second.infos["costs"])[0] == 2.0
    assert np.asarray(second.infos["flags"])[0].tolist() == [True, True]
