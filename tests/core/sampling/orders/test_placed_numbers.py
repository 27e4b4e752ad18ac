"""Random numbers of a place do not depend on what was drawn before."""

from __future__ import annotations

from minari_core.sampling.orders.placed_numbers import PlacedNumbers


def test_each_place_has_numbers_of_its_own_whatever_was_drawn_before() -> None:
    numbers = PlacedNumbers(1, 2)
    drawn = [numbers.begin(place).random(5).tolist() for place in range(50)]
    assert len({number for numbers_of_place in drawn for number in numbers_of_place}) == 250
    # A number of 32 bits leaves the other half of a word, which the next place must not use.
    numbers.begin(3).integers(0, 9, dtype="uint32")
    for place in (49, 7, 7, 0):
        assert numbers.begin(place).random(5).tolist() == drawn[place]
    assert PlacedNumbers(1, 2).begin(7).random(5).tolist() == drawn[7]
    assert PlacedNumbers(1, 3).begin(7).random(5).tolist() != drawn[7]
    far = PlacedNumbers(1, 2).begin(2**62).random(3).tolist()
    assert far not in [some[:3] for some in drawn]
