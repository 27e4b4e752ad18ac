"""Collecting and reading on a local Ray cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

import pytest

from tests.engines.helpers.engine_conformance import EngineConformance

ray: Any = pytest.importorskip("ray")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}},
        )
        yield
        ray.shutdown()


@pytest.mark.usefixtures("cluster")
class TestRay(EngineConformance):
    @pytest.fixture
    def executor(self) -> Executor:
        from minari_collect.ray import RayExecutor

        return RayExecutor()
