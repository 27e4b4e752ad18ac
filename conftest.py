"""What every test and every docstring example of the four packages runs under."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from gymnasium.error import DependencyNotInstalled
from hypothesis import settings

# The machines that run this are shared: a slow example is no failure. The same examples each time,
# so that a change is judged by what it changes; --hypothesis-profile=explore looks for new ones.
settings.register_profile("minari", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("minari")

# The modules of extras are only there with their extras.
collect_ignore = [
    f"packages/minari-{package}/src/minari_{package}/{module}.py"
    for package, folder, extras in (
        ("core", "integrations", ("jax", "torch", "d3rlpy", "torchrl")),
        ("collect", "executors", ("ray",)),
    )
    for extra in extras
    if find_spec(extra) is None
    for module in (
        extra,
        f"{folder}/{extra}",
        f"{folder}/{extra}_normalizer",
        f"{folder}/{extra}_resident",
    )
]
if find_spec("av") is None:
    collect_ignore += [
        f"packages/minari/src/minari/interchange/lerobot/{folder}/video.py"
        for folder in ("reading", "writing")
    ]
# What forks, and bounds what it has forked. Doctests are looked for in modules without tests, too.
POSIX_ONLY = ("tests/campaigns", "tests/mutation", "tests/fixtures/earlier_release/write.py")
if find_spec("resource") is None or find_spec("fcntl") is None:
    collect_ignore += POSIX_ONLY


if find_spec("Box2D") is None:

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call() -> Generator[None, object, object]:
        """Skip the tests of Box2D's environments, as on Pythons which it has no wheels for."""
        try:
            return (yield)
        except Exception as error:
            reason: BaseException | None = error
            while reason is not None:
                if isinstance(reason, DependencyNotInstalled) and "Box2D" in str(reason):
                    pytest.skip(str(reason))
                reason = reason.__cause__
            raise


@pytest.fixture(autouse=True)
def datasets_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty datasets root and cache of the test's own; nothing depends on the user's home."""
    root = tmp_path / "datasets"
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    return root


@pytest.fixture(autouse=True)
def _heeded_interrupts() -> Iterator[None]:
    """Let child processes heed Ctrl-C even where the tests run in a shell's background.

    There SIGINT is ignored, and what is ignored stays so in a new process; a handler does not.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
