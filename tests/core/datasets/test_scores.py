"""Reference scores and normalized scores."""

from __future__ import annotations

import pytest

from minari_core import (
    get_normalized_score,
)
from minari_core.errors import (
    MetadataError,
)
from tests.core.helpers.numbered import (
    cartpole,
    create,
)

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


def test_a_normalized_score_needs_two_different_scores() -> None:
    with pytest.raises(MetadataError, match="ref_max_score"):
        get_normalized_score(create(), 1.0)
    with pytest.raises(MetadataError, match="equal"):
        get_normalized_score(create("tests/equal-v0", ref_min_score=1, ref_max_score=1), 1.0)


def test_reference_scores_are_measured_in_the_environment() -> None:
    dataset = cartpole("tests/scores-v0", expert_policy=lambda _: 1, num_episodes_average_score=3)
    lowest, highest = (dataset.metadata[f"ref_{name}_score"] for name in ("min", "max"))
    assert isinstance(lowest, float)
    assert isinstance(highest, float)
    assert highest < 15 < 500
    assert dataset.metadata["num_episodes_average_score"] == 3
    once = cartpole("tests/scores-v2", ref_max_score=500, num_episodes_average_score=1)
    assert once.metadata["num_episodes_average_score"] == 1
    given = cartpole("tests/scores-v1", ref_max_score=500, num_episodes_average_score=3)
    assert given.metadata["ref_min_score"] == lowest
