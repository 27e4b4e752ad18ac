"""A README with one section for each dataset of a repository, among what people write there."""

from __future__ import annotations

import re

from minari_hub.cards.card import Card
from minari_hub.cards.front_matter import update_front_matter

NAME = "README.md"
LARGEST = 4 << 20
"""The most bytes of a README that is read."""

_SECTION = re.compile(
    r"^<!-- minari: (?P<id>\S+), (?P<steps>\d{1,18}) steps; [^\n]*-->\n"
    r".*?^<!-- minari: end of (?P=id) -->$",
    re.DOTALL | re.MULTILINE,
)


def update_readme(text: str, card: Card, preview: str | None) -> str:
    """Write the section of a dataset into a README, and keep all else that stands there.

    Args:
        text: The README; empty if there is none yet.
        card: The dataset's card.
        preview: Where its picture is, relative to the README; None if there is none.
    """
    repository = card.dataset_id.partition("/")[0]
    before = text if text.strip() else f"# {repository}\n"
    section = (
        f"<!-- minari: {card.dataset_id}, {card.steps} steps; what stands from here to the end of "
        f"the dataset is written by uploads -->\n{card.render(preview)}\n"
        f"<!-- minari: end of {card.dataset_id} -->"
    )
    others = [each for each in _SECTION.finditer(before) if each["id"] != card.dataset_id]
    own = next((each for each in _SECTION.finditer(before) if each["id"] == card.dataset_id), None)
    if own is None:
        after = f"{before.rstrip()}\n\n{section}\n"
    else:
        after = before[: own.start()] + section + before[own.end() :]
    steps = card.steps + sum(int(each["steps"]) for each in others)
    return update_front_matter(after, card, steps)
