"""Digests tell objects apart by what they hold, and by nothing that is chance."""

from __future__ import annotations

import collections
import copy
import functools
import importlib
import os
import random
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from minari_collect.runs.digest import compute_digest
from tests.collect.helpers.collect_work import NoisySum, by_sign, by_signs


class Holder:
    """Holds what it is given."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)

    def act(self, observation: Any) -> Any:
        return observation


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


def cyclic(number: int) -> Any:
    holder = Holder(number=number)
    holder.__dict__.update(own=holder.act, items=[holder, {"self": holder}])
    return holder


def make_function(source: str, before: str = "", **names: Any) -> Any:
    """A function as a script has it, which cannot be imported."""
    names["__name__"] = "__main__"
    exec(f"{before}\nmade = {source}", names)
    return names["made"]


def define(body: str, decorator: str = "") -> Any:
    """A function ``f(o)`` as a script has it, of lines of Python."""
    lines = [decorator, "def f(o):", *(f"    {line}" for line in body.splitlines())]
    return make_function("f", "\n".join(lines), functools=functools)


def make_class(source: str) -> Any:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(source, names)
    return names["Made"]


def closing_over(value: Any) -> Callable[[], Any]:
    return lambda: value


class Costly:
    """Computes something once, and keeps it."""

    def __init__(self, size: int) -> None:
        self.__dict__.update({} if size == 0 else {"size": size})

    @functools.cached_property
    def table(self) -> Any:
        return np.ones(self.__dict__.get("size", 0))


def computed(size: int) -> Costly:
    costly = Costly(size)
    assert len(costly.table) == size
    return costly


def printed(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    assert repr(space)
    return space


@functools.lru_cache(maxsize=9)
def cached(number: int) -> int:
    return number


def drawn_from(seed: int) -> Any:
    generator = np.random.default_rng(seed)
    generator.random(5)
    return generator


MADE = "class Made:\n    limit = {}\n    def f(self):\n        return {}\n"

SAME: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
    ("order of keys", lambda: {"a": 1, "b": 2}, lambda: {"b": 2, "a": 1}),
    ("order of sets", lambda: {1, 9, 17}, lambda: {17, 9, 1}),
    ("objects", lambda: Holder(a=[1, "x"]), lambda: Holder(a=[1, "x"])),
    ("slots", lambda: Slotted(3), lambda: Slotted(3)),
    ("cycles", lambda: cyclic(3), lambda: cyclic(3)),
    ("sharing", lambda: [(1, 2)] * 2, lambda: [(1, 2), (1, int("2"))]),
    ("lines", lambda: make_function("lambda o: o"), lambda: make_function("lambda o: o", "\n\n")),
    ("arrays", lambda: np.ones((2, 3))[:, ::2], lambda: np.ones((2, 2))),
    ("generators of one seed", lambda: np.random.default_rng(1), lambda: drawn_from(1)),
    ("generators without a seed", np.random.default_rng, np.random.default_rng),
    ("a generator that a space has made", lambda: Holder(rng=None),
     lambda: Holder(rng=np.random.default_rng())),
    ("global generators", lambda: make_function("lambda o: f()", f=random.random),
     lambda: random.random() and make_function("lambda o: f()", f=random.random)),
    ("values that are computed once", lambda: Costly(1), lambda: computed(1)),
    ("the text of a space", lambda: gymnasium.spaces.Box(0, 1),
     lambda: printed(gymnasium.spaces.Box(0, 1))),
    ("caches of functions", lambda: make_function("lambda o: f(o)", f=cached),
     lambda: cached(3) and make_function("lambda o: f(o)", f=cached)),
    ("policies", lambda: NoisySum(), lambda: NoisySum()),
    ("unused globals", lambda: make_function("lambda o: o.x", x=1),
     lambda: make_function("lambda o: o.x", x=2)),
    ("docstrings", lambda: define("'One.'\nreturn None"), lambda: define("'Two.'\nreturn None")),
    ("a docstring that is new", lambda: define("'One.'\nreturn o and None"),
     lambda: define("return o and None")),
    ("docstrings of inner functions", lambda: define("def g():\n  'One.'\n  return 1\nreturn g()"),
     lambda: define("def g():\n  'Two.'\n  return 1\nreturn g()")),
    ("docstrings and lines of inner classes",
     lambda: define("class C:\n  'One.'\n  a = 1\nreturn C"),
     lambda: define("\nclass C:\n  'Two.'\n  a = 1\nreturn C")),
    ("docstrings of cached functions", lambda: define("'One.'\nreturn o", "@functools.cache"),
     lambda: define("'Two.'\nreturn o", "@functools.cache")),
    ("slots of classes", lambda: make_class("class Made:\n    __slots__ = ('a',)"),
     lambda: make_class("class Made:\n    __slots__ = ('a',)")),
    ("masked objects", lambda: np.ma.array([1, (2, "x")], mask=[False, True], dtype=object),
     lambda: np.ma.array([1, (2, "".join("x"))], mask=[False, True], dtype=object)),
    ("classes", lambda: make_class(MADE.format(1, 2)), lambda: make_class(MADE.format(1, 2))),
    ("what cannot be pickled", threading.Lock, threading.Lock),
    ("environments", lambda: gymnasium.spec("CartPole-v1"), lambda: gymnasium.spec("CartPole-v1")),
]  # fmt: skip
DIFFERENT: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
    ("numbers", lambda: 1, lambda: 2),
    ("seeds of generators", lambda: np.random.default_rng(1), lambda: np.random.default_rng(2)),
    ("streams of generators", lambda: np.random.default_rng(1),
     lambda: np.random.default_rng(np.random.SeedSequence(1).spawn(1)[0])),
    ("seeds of older generators", lambda: np.random.RandomState(1),
     lambda: np.random.RandomState(2)),
    ("seeds of Python's generators", lambda: random.Random(1), lambda: random.Random(2)),
    ("seeds or none", lambda: np.random.default_rng(1), np.random.default_rng),
    ("what is computed once from something else", lambda: computed(1), lambda: computed(2)),
    ("kinds of numbers", lambda: 1, lambda: True),
    ("nothing and its name", lambda: None, lambda: "None"),
    ("texts that join alike", lambda: ("ab", "c"), lambda: ("a", "bc")),
    ("bytes", lambda: b"a", lambda: b"b"),
    ("order of lists", lambda: [1, 2], lambda: [2, 1]),
    ("values of keys", lambda: {"a": 1, "b": 2}, lambda: {"a": 2, "b": 1}),
    ("sets", lambda: {1, 2}, lambda: {1, 3}),
    ("constants", lambda: make_function("lambda o: 1"), lambda: make_function("lambda o: 2")),
    ("attributes", lambda: make_function("lambda o: o.a"), lambda: make_function("lambda o: o.b")),
    ("operations", lambda: make_function("lambda o: o + 1"),
     lambda: make_function("lambda o: o - 1")),
    ("defaults", lambda: make_function("lambda o, a=1: o"),
     lambda: make_function("lambda o, a=2: o")),
    ("keyword defaults", lambda: make_function("lambda o, *, a=1: o"),
     lambda: make_function("lambda o, *, a=2: o")),
    ("globals", lambda: make_function("lambda o: x", x=1),
     lambda: make_function("lambda o: x", x=2)),
    ("globals of inner functions", lambda: make_function("lambda o: [x for _ in o]", x=1),
     lambda: make_function("lambda o: [x for _ in o]", x=2)),
    ("attributes of functions", lambda: define("return o"),
     lambda: functools.wraps(by_sign)(define("return o"))),
    ("closures", lambda: closing_over(1), lambda: closing_over(2)),
    ("names", lambda: by_sign, lambda: by_signs),
    ("arguments of partial functions", lambda: functools.partial(by_sign, 1),
     lambda: functools.partial(by_sign, 2)),
    ("methods", lambda: Holder(a=1).act, lambda: Holder(a=2).act),
    ("attributes of objects", lambda: Holder(a=1), lambda: Holder(b=1)),
    ("slots", lambda: Slotted(3), lambda: Slotted(4)),
    ("cycles", lambda: cyclic(3), lambda: cyclic(4)),
    ("values of arrays", lambda: np.zeros(3), lambda: np.ones(3)),
    ("shapes", lambda: np.zeros((2, 3)), lambda: np.zeros((3, 2))),
    ("dtypes", lambda: np.zeros(2, np.int32), lambda: np.zeros(2, np.float32)),
    ("objects in arrays", lambda: np.array([1, "x"], object), lambda: np.array([2, "x"], object)),
    ("texts that are no docstrings", lambda: define("return 'One.'"),
     lambda: define("return 'Two.'")),
    ("members of inner classes", lambda: define("class C:\n  a = 1\nreturn C"),
     lambda: define("class C:\n  a = 2\nreturn C")),
    ("names of arguments", lambda: define("return o(k=1)"),
     lambda: define("return o(j=1)")),
    ("bodies of cached functions", lambda: define("return 1", "@functools.lru_cache(maxsize=9)"),
     lambda: define("return 2", "@functools.lru_cache(maxsize=9)")),
    ("slots of classes", lambda: make_class("class Made:\n    __slots__ = ('a',)"),
     lambda: make_class("class Made:\n    __slots__ = ('b',)")),
    ("masks", lambda: np.ma.array([1, 2], mask=[False, True]),
     lambda: np.ma.array([1, 2], mask=[True, False])),
    ("values that are not masked", lambda: np.ma.array([1, 2]), lambda: np.ma.array([1, 3])),
    ("members of classes", lambda: make_class(MADE.format(1, 2)),
     lambda: make_class(MADE.format(3, 2))),
    ("methods of classes", lambda: make_class(MADE.format(1, 2)),
     lambda: make_class(MADE.format(1, 3))),
    ("queues", lambda: collections.deque([1]), lambda: collections.deque([2])),
    ("ordered dicts", lambda: collections.OrderedDict(a=1), lambda: collections.OrderedDict(a=2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "one", "other"), SAME, ids=[name for name, *_ in SAME])
def test_what_holds_the_same_has_one_digest(
    name: str, one: Callable[[], Any], other: Callable[[], Any]
) -> None:
    digest = compute_digest(one())
    assert digest is not None
    assert digest == compute_digest(other())


@pytest.mark.parametrize(("name", "one", "other"), DIFFERENT, ids=[name for name, *_ in DIFFERENT])
def test_what_holds_something_else_has_another_digest(
    name: str, one: Callable[[], Any], other: Callable[[], Any]
) -> None:
    assert compute_digest(one()) != compute_digest(other())


def test_a_function_that_has_run_is_still_the_same() -> None:
    function = make_function("lambda o: sum(i for i in range(o))")
    before = compute_digest(function)
    for _ in range(100):
        function(20)
    assert compute_digest(function) == before


def test_what_pickling_notes_in_a_class_does_not_count() -> None:
    class Policy:
        def __call__(self, observation: Any) -> int:
            return 0

    policy = Policy()
    first = compute_digest(policy)
    copy.copy(policy)
    assert "__slotnames__" in vars(Policy)
    assert first is not None
    assert first == compute_digest(policy) == compute_digest(Policy())


def test_what_computes_everything_once_is_still_the_same() -> None:
    assert compute_digest(Costly(0)) == compute_digest(computed(0))


MODULE = """
import functools
import numpy as np
{comment}
LIMIT = {limit}

def helper(o):
    return min(o, LIMIT)

@functools.lru_cache(maxsize=None)
def cached(o):
    return {constant}

class Net:
    words = {{"left", "right", "up", "down"}}
    def act(self, o):
        return {method}

class Policy(Net):
    def __call__(self, o):
        return self.act(helper(o)), cached(o), np.sin(o), Policy
"""


def digests_of_policies(folder: Path, monkeypatch: pytest.MonkeyPatch, **edit: str) -> list[Any]:
    folder.mkdir(parents=True)
    source = {"comment": "", "limit": "5", "constant": "2", "method": "o + 1", **edit}
    (folder / "policies.py").write_text(MODULE.format(**source))
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.delitem(sys.modules, "policies", raising=False)
        module: Any = importlib.import_module("policies")
        policy = module.Policy()
        return [compute_digest(value) for value in (policy, policy.act, module.Policy)]


@pytest.mark.parametrize(
    ("edit", "is_same"),
    [
        ({"limit": "6"}, False),
        ({"constant": "3"}, False),
        ({"method": "o - 1"}, False),
        ({"comment": "# A line that says something."}, True),
    ],
    ids=["a global", "a cached function", "a method of a base", "a comment"],
)
def test_the_code_of_a_module_counts_where_it_is_not_installed(
    edit: dict[str, str], is_same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digests_of_policies(tmp_path / "a", monkeypatch)
    again = digests_of_policies(tmp_path / "b", monkeypatch)
    edited = digests_of_policies(tmp_path / "c", monkeypatch, **edit)
    assert None not in first
    assert first == again
    assert (edited == first) == is_same

    installed = digests_of_policies(tmp_path / "d" / "site-packages", monkeypatch)
    assert installed == digests_of_policies(tmp_path / "e" / "site-packages", monkeypatch, **edit)


def test_code_of_many_functions_is_walked_through() -> None:
    """Deeper than Python's stack is, and in a circle."""
    name = "many_functions_that_call_another"
    module = types.ModuleType(name)
    module.__file__ = f"{name}.py"
    sys.modules[name] = module
    try:
        for number in range(3000):
            exec(f"def f{number}(o): return f{(number + 1) % 3000}(o)", module.__dict__)
        before = compute_digest(module.f0)
        exec("def f2999(o): return f1(o)", module.__dict__)
        after = compute_digest(module.f0)
    finally:
        del sys.modules[name]
    assert before is not None
    assert after is not None
    assert before != after


def test_what_cannot_be_walked_through_has_none() -> None:
    class Hostile(dict[str, int]):
        def __reduce_ex__(self, protocol: object) -> Any:
            return dict, (), None, 3

    assert compute_digest(Hostile()) is None


def test_what_is_nested_too_deeply_has_none() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert compute_digest(nested) is None


SCRIPT = """
import enum, numpy as np
from minari_collect.runs.digest import compute_digest
WORDS = {"left", "right", "up", "down", "fire"}
class Kind(enum.Enum):
    A = 1
class Policy:
    words = frozenset(WORDS)
    kind = Kind.A
    def __init__(self):
        self.weights = np.arange(5.0)
        self.names = set(WORDS)
    def __call__(self, observation):
        return np.sin(observation) if "left" in WORDS else self.kind
print(compute_digest(Policy()), compute_digest(lambda o: Policy()(o)))
"""


def test_another_process_computes_the_same_digest(tmp_path: Path) -> None:
    said: set[str] = set()
    for hash_seed in ("1", "2"):
        script = tmp_path / "script.py"
        # A line above shifts all others.
        script.write_text("\n" * int(hash_seed) + SCRIPT)
        path = os.pathsep.join(filter(None, sys.path))
        done = subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        said.add(done.stdout)

    assert len(said) == 1
    assert len(said.pop().split()) == 2
