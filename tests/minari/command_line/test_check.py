"""``minari check``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import minari
from tests.helpers.command_line import CommandLine, collect

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")


def test_check_prints_what_it_finds_and_exits_with_1_if_that_is_a_warning(
    cli: CommandLine, datasets_root: Path
) -> None:
    episodes = list(collect("cart/one-v0", episodes=3))
    assert cli("check", "cart/one-v0").out == "cart/one-v0: 0 warnings, 0 notes\n"
    endless = replace(episodes[1], terminations=np.zeros(len(episodes[1]), dtype=bool), seed=9)
    minari.load_dataset("cart/one-v0").update_dataset_from_buffer([endless])

    done = cli("check", "cart/one-v0")
    as_json = cli("check", "cart/one-v0", "--json")

    assert done.code == as_json.code == 1
    assert (
        "warning: no-end: episodes neither terminate nor are truncated (episodes 3; 1" in done.out
    )
    assert as_json.json["ok"] is False
    assert "no-end" in [each["check"] for each in as_json.json["findings"]]


def test_check_against_another_dataset_finds_what_both_have(
    cli: CommandLine, datasets_root: Path
) -> None:
    collect("cart/one-v0", episodes=3)
    collect("cart/two-v0", episodes=4)

    done = cli("check", "cart/two-v0", "--against", "cart/one-v0", "--replay-seconds", "0")

    assert done.code == 1
    assert "equal to episodes of the other dataset (episodes 0, 1, 2; 3 in all)" in done.out


def test_check_of_what_is_not_there_says_so(cli: CommandLine, datasets_root: Path) -> None:
    assert cli("check", "not/there-v0").code == 3
    assert cli("check", "not/there-v0", "--replay-seconds", "-1").code == 2
