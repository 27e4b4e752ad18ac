"""The names that `minari_core` exports."""

from __future__ import annotations

import pytest

import minari_core

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


def test_the_public_names_are_those_that_are_named() -> None:
    for name in minari_core.__all__:
        assert getattr(minari_core, name) is not None
