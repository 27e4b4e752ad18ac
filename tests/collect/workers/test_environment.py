"""What a thread of a worker keeps between its tasks."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from minari_collect.workers import environment
from minari_collect.workers.environment import borrow_environment, load_recipe
from minari_collect.workers.messages import Recipe, Task
from tests.collect.helpers.environments import Counter

happened: list[str] = []


class Noted(Counter):
    """Notes when it is made and closed."""

    def __init__(self) -> None:
        super().__init__()
        happened.append("made")

    def close(self) -> None:
        happened.append("closed")


@pytest.fixture(autouse=True)
def _fresh_thread() -> Iterator[None]:
    happened.clear()
    yield
    environment._drop_env()
    environment._of_thread.__dict__.clear()


def task_of(run: str, number: int) -> Task:
    fields: dict[str, Any] = {"seed": 0, "first": number, "stop": number + 1, "folder": ""}
    recipe = pickle.dumps(Recipe(Noted, None))
    return Task(recipe, run=run, number=number, transport="folder", may_exit=False, **fields)


def borrow(run: str, number: int) -> tuple[Recipe, Any]:
    recipe = load_recipe(task_of(run, number))
    with borrow_environment(recipe) as env:
        return recipe, env


def test_the_tasks_of_a_run_share_a_recipe_and_an_environment() -> None:
    first, second = borrow("one", 0), borrow("one", 1)
    assert first[0] is second[0]
    assert first[1] is second[1]
    assert happened == ["made"]


def test_another_run_has_its_own() -> None:
    first, second = borrow("one", 0), borrow("two", 0)
    assert first[0] is not second[0]
    assert first[1] is not second[1]
    assert happened == ["made", "closed", "made"]


def test_an_environment_is_closed_after_an_error_and_made_anew() -> None:
    recipe, _ = borrow("one", 0)
    with pytest.raises(ValueError, match="wrong"), borrow_environment(recipe):
        raise ValueError("something is wrong")
    assert happened == ["made", "closed"]
    borrow("one", 1)
    assert happened == ["made", "closed", "made"]
