"""What LeRobot has no place for, told of a dataset that is written."""

from __future__ import annotations

from collections.abc import Sequence

from minari.interchange.layout import Loss
from minari.interchange.lerobot.files.features import Feature
from minari.interchange.lerobot.files.paths import VIDEO_QUALITY
from minari.interchange.lerobot.files.sidecar import CARD, EPISODES, STEPS
from minari.interchange.lerobot.files.tasks import TASK
from minari_core.leaves import join_path
from minari_core.storage.base import Storage
from minari_core.tables.gathering import Columns, split_name

_GROUPS = {
    "observation": "observations",
    "action": "actions",
    "reward": "rewards",
    "info": "infos",
    "extra": "extras",
}


def list_losses(
    storage: Storage,
    indices: Sequence[int],
    columns: Columns,
    features: Sequence[Feature],
    *,
    with_sidecar: bool,
) -> list[Loss]:
    """List what LeRobot does not carry.

    Args:
        storage: The storage.
        indices: The indices of the episodes.
        columns: The columns of some steps.
        features: What is written.
        with_sidecar: Whether the rest is written beside it.
    """

    def tell(what: str, reason: str, file: str) -> Loss:
        return Loss(what, f"{reason}; it lies in {file}" if with_sidecar else reason)

    losses: list[Loss] = []
    held = {each.column: each for each in features}
    for column in columns:
        first, *keys = split_name(column)
        if first not in _GROUPS:
            continue
        path = join_path(_GROUPS[first], tuple(keys))
        feature = held.get(column)
        if feature is None:
            reason = "some step has none, or it is neither numbers of one shape nor text"
            losses.append(tell(path, reason, STEPS))
        elif feature.dtype == "video":
            codec = f"H.264 with a constant rate factor of {VIDEO_QUALITY} and halved colours"
            losses.append(Loss(path, f"it is written as video, {codec}, which loses detail"))
        elif not feature.is_exact:
            losses.append(tell(path, "float64 is written as float32", STEPS))
    found = {
        "final observations": "LeRobot has an observation for each action, and none after the last",
        "seeds": "LeRobot has none",
        "options": "LeRobot has none",
        "episode metadata": "LeRobot has none but tasks",
    }
    for entry in storage.read_episode_metadata(indices):
        has = {
            "final observations": entry.final_observation_known,
            "seeds": entry.seed is not None,
            "options": entry.options is not None,
            "episode metadata": bool(set(entry.metadata or {}) - {TASK}),
        }
        for what in [what for what in found if has[what]]:
            losses.append(tell(what, found.pop(what), EPISODES))
        if not found:
            break
    if indices and (storage.read_rows(indices[0], "infos", 0, 1) or _has_extras(storage, indices)):
        losses.append(tell("infos of reset", "LeRobot has none", EPISODES))
    losses.append(tell("dataset metadata", "LeRobot has no spaces or environments", CARD))
    return losses


def _has_extras(storage: Storage, indices: Sequence[int]) -> bool:
    return bool(storage.read_rows(indices[0], "extras", 0, 1))
