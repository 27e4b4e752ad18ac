"""What the seeds of a run's episodes follow from."""

from __future__ import annotations

from minari_collect.workers.messages import derive_seeds


def test_the_seeds_of_an_episode_are_the_same_in_every_release() -> None:
    # A run that is resumed goes on with them, and a dataset can be collected again.
    assert [derive_seeds(7, episode) for episode in (0, 1, 10**6)] == [
        (600562731, 394211478),
        (1809491585, 470609175),
        (535147526, 387695069),
    ]
