"""Names that are loaded on first use are attributes like any other."""

from __future__ import annotations

import subprocess
import sys

import pytest

import minari_core
from minari_core import sampling

_PROGRAM = """
import sys
import minari_core
assert "minari_core.sampling" not in sys.modules
assert "load_dataset" not in vars(minari_core)
from minari_core import load_dataset
assert vars(minari_core)["load_dataset"] is load_dataset
assert minari_core.sampling.Batches is sys.modules["minari_core.sampling.epochs.batches"].Batches
print("as it should be")
"""


def test_a_name_is_loaded_when_it_is_used_and_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("as it should be\n", "")


@pytest.mark.parametrize("package", [minari_core, sampling])
def test_all_public_names_are_listed_and_others_are_none(package: object) -> None:
    public = package.__all__  # type: ignore[attr-defined]  # both have it
    assert dir(package) == sorted(public)
    for name in public:
        assert getattr(package, name) is not None
    name = package.__name__  # type: ignore[attr-defined]  # a module
    with pytest.raises(AttributeError, match=f"^module {name!r} has no attribute 'none'$") as found:
        package.none  # type: ignore[attr-defined]  # noqa: B018
    assert (found.value.name, found.value.obj) == ("none", package)
