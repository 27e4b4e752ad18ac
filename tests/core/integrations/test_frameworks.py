"""PyTorch and JAX are loaded by whoever asks for them, and by nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

SAMPLE = """
import numpy as np
import sys
from gymnasium import spaces
import minari, minari_core
from minari_core.sampling import Normalizer

dataset = minari.create_dataset_from_arrays(
    "frameworks/none-v0",
    observations=np.zeros((50, 3)),
    actions=np.zeros(50, np.int64),
    rewards=np.zeros(50),
    terminals=np.arange(50) % 10 == 9,
)
dataset.sample_transitions(4)
dataset.sample_sequences(4, 3)
next(dataset.batches(4))
dataset.statistics()
print(sorted({"jax", "jaxlib", "torch"} & set(sys.modules)))
"""


def run(program: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_sampling_loads_no_framework() -> None:
    assert run(SAMPLE) == "[]"


@pytest.mark.parametrize("extra", ["torch", "jax"])
def test_a_framework_that_is_missing_is_named_with_its_extra(extra: str) -> None:
    # None is what keeps Python from importing a module that may be installed.
    message = run(
        f"import sys; sys.modules[{extra!r}] = None\n"
        "from minari_core import MissingDependencyError\n"
        f"try:\n    import minari_core.{extra}\n"
        "except MissingDependencyError as error:\n    print(error)\n"
    )

    assert f"pip install 'minari-core[{extra}]'" in message
