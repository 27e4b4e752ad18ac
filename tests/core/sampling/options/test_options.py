"""Every option has its keyword, and what no option has is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from minari_core import MinariDataset
from minari_core.sampling import OffsetOptions, SequenceOptions, TransitionOptions
from minari_core.sampling.options.keywords import BatchKeywords
from minari_core.sampling.options.offsets import OffsetKeywords
from minari_core.sampling.options.sequences import SequenceKeywords
from minari_core.sampling.options.transitions import TransitionKeywords
from tests.core.helpers.recorded import VECTOR, record, stored


def test_every_option_has_a_keyword() -> None:
    of_transitions = {item.name for item in fields(TransitionOptions)}
    of_windows = {item.name for item in fields(SequenceOptions)}
    assert set(get_type_hints(TransitionKeywords)) == of_transitions
    assert {"length", *get_type_hints(SequenceKeywords)} == of_windows
    of_offsets = {item.name for item in fields(OffsetOptions)}
    assert set(get_type_hints(OffsetKeywords)) == of_offsets
    wanted = of_transitions | of_windows | of_offsets
    assert {"length", *get_type_hints(BatchKeywords)} == wanted


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.sample_transitions(2, rewards_to_go=True),
        lambda d: d.sample_sequences(2, 2, rewards_to_go=True),
        lambda d: d.batches(2, rewards_to_go=True),
        lambda d: d.batches(2, length=2, rewards_to_go=True),
        lambda d: d.transition_sampler(rewards_to_go=True),
    ],
)
def test_a_keyword_of_no_option_is_refused(call: Callable[[MinariDataset], Any]) -> None:
    with (
        stored(record(VECTOR, VECTOR, [5, 3], 0), on_disk=False) as dataset,
        pytest.raises(TypeError, match="unexpected keyword argument 'rewards_to_go'; there are"),
    ):
        call(dataset)


def test_a_discount_of_none_is_that_of_the_kind() -> None:
    with stored(record(VECTOR, VECTOR, [5, 3], 0), on_disk=False) as dataset:
        assert dataset.transition_sampler(discount=None).options.discount == 0.99
        batch = next(dataset.batches(8, length=1, discount=None, returns_to_go=True, shuffle=False))
        assert batch.returns_to_go[0, 0] == pytest.approx(batch.rewards[:5].sum())
