"""The spaces of a run are checked before it begins, and spoken of once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gymnasium
import pytest
from gymnasium import spaces

from minari_collect import DataCollectorV0, collect_dataset
from minari_collect.runs.collect_dataset import default_work_dir
from minari_collect.runs.folder import RunFolder
from minari_collect.workers.messages import EnvLike
from minari_core.errors import SpaceError
from minari_core.messages import MinariWarning
from tests.collect.helpers.environments import FromSpace
from tests.collect.helpers.own_spaces import WithOwnBox, WithOwnSpace


@pytest.mark.parametrize("num_envs", [1, 2])
@pytest.mark.parametrize("env", ["OwnSpace-v0", gymnasium.spec("OwnSpace-v0"), WithOwnSpace])
def test_a_space_that_cannot_be_kept_is_refused_before_anything_begins(
    env: EnvLike, num_envs: int, datasets_root: Path
) -> None:
    with pytest.raises(SpaceError) as alone:
        DataCollectorV0(WithOwnSpace())
    with pytest.raises(SpaceError) as refused:
        collect_dataset("tests/a-v0", env, total_episodes=2, workers=1, num_envs=num_envs)
    assert str(refused.value) == str(alone.value)
    assert not list((datasets_root / ".staging").glob("*"))


@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
def test_a_space_that_the_format_cannot_hold_is_refused_before_anything_begins(
    data_format: str, datasets_root: Path
) -> None:
    with pytest.raises(SpaceError, match=f"stored in data format {data_format!r}: it has no place"):
        collect_dataset(
            "tests/a-v0", WithSequences, total_episodes=2, workers=1, data_format=data_format
        )
    assert not list((datasets_root / ".staging").glob("*"))


@pytest.mark.filterwarnings("ignore:.*is (set to )?None")
def test_where_only_workers_make_the_environment_the_first_of_them_tells() -> None:
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(SpaceError, match="store it as 'columnar'"),
    ):
        collect_dataset(
            "tests/a-v0",
            WithSequences,
            total_episodes=1000,
            executor=executor,
            episodes_per_task=2,
            data_format="hdf5",
            seed=1,
        )
    folder = RunFolder(default_work_dir("tests/a-v0"))
    collected = sum(output.stop - output.first for output in folder.list_outputs())
    assert 2 <= collected <= 10
    with pytest.raises(SpaceError, match="store it as 'columnar'"), ThreadPoolExecutor(1) as other:
        collect_dataset(
            "tests/a-v0",
            WithSequences,
            total_episodes=1000,
            executor=other,
            data_format="arrow",
            resume=True,
        )
    assert collected == sum(output.stop - output.first for output in folder.list_outputs())
    dataset = collect_dataset(
        "tests/a-v0", WithSequences, total_episodes=12, workers=1, resume=True
    )
    assert len(dataset) == 12


class WithSequences(FromSpace):
    """Observations of a space that only the columnar format can hold."""

    def __init__(self) -> None:
        super().__init__(spaces.Sequence(spaces.Discrete(3)), length=3)


@pytest.mark.filterwarnings("ignore:.*is (set to )?None")
def test_a_space_that_loses_its_class_is_spoken_of_once_by_who_collects(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.warns(MinariWarning, match="subclasses of: observation_space") as caught:
        collect_dataset("tests/a-v0", WithOwnBox, total_episodes=2, workers=2)
    about_spaces = [w for w in caught if "subclasses of" in str(w.message)]
    assert [w.filename for w in about_spaces] == [__file__]
    assert "subclasses of" not in capfd.readouterr().err


def test_a_function_is_called_once_before_the_run_and_what_it_makes_is_closed() -> None:
    made: list[_Closing] = []

    def make() -> _Closing:
        made.append(_Closing())
        return made[-1]

    with pytest.raises(SpaceError):
        collect_dataset("tests/a-v0", make, total_episodes=2, workers=1)
    assert [env.is_closed for env in made] == [True]


class _Closing(WithOwnSpace):
    is_closed = False

    def close(self) -> None:
        self.is_closed = True
