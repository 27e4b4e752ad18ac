"""`check_dataset`: all checks of one dataset, in one pass over its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minari.checks.blocks import read_blocks
from minari.checks.elements import DuplicateElementCheck, FiniteCheck, RangeCheck
from minari.checks.episodes import DuplicateEpisodeCheck, EndCheck, SeedCheck
from minari.checks.finding import Check, Finding
from minari.checks.images import PlainImageCheck
from minari.checks.replay import replay_episodes
from minari.checks.rewards import RecordedReturnCheck, RewardPartsCheck
from minari.checks.spaces import SpaceCheck
from minari_core import EpisodeData, MinariDataset
from minari_core.datasets.dataset import check_dataset as refuse_others
from minari_core.errors import EnvironmentNotRecoverableError, MinariError
from minari_core.json_values import JsonObject
from minari_core.messages import Progress

_REPLAY_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The result of `check_dataset`."""

    dataset_id: str
    """The dataset."""
    total_episodes: int
    """Number of episodes that were looked at."""
    findings: tuple[Finding, ...]
    """What was found, warnings first."""
    not_checked: tuple[str, ...]
    """What could not be checked, and why."""

    @property
    def ok(self) -> bool:
        """Whether nothing but notes was found."""
        return all(finding.severity == "note" for finding in self.findings)

    def to_json(self) -> JsonObject:
        """Return the report as plain JSON values."""
        return {
            "dataset_id": self.dataset_id,
            "ok": self.ok,
            "total_episodes": self.total_episodes,
            "findings": [finding.to_json() for finding in self.findings],
            "not_checked": list(self.not_checked),
        }


def check_dataset(
    dataset: MinariDataset,
    *,
    against: MinariDataset | None = None,
    replay_seconds: float = _REPLAY_SECONDS,
    progress: Progress | None = None,
) -> CheckReport:
    """Check that the data of a dataset means what it should.

    `verify_dataset` compares bytes; this looks at values: constant, clipped and doubled elements,
    values outside their spaces, NaN and infinities, rewards that infos contradict, episodes
    without an end or beyond the limit of their environment, equal episodes and seeds, images of
    one colour. Last, a sample of the episodes is replayed in the environment, if it is one that
    is registered here, to see whether seeds and actions lead to what was recorded.

    Args:
        dataset: A dataset or view.
        against: Another one, such as the test split, that must share no episode with it.
        replay_seconds: The most seconds to replay for; with 0 nothing is replayed.
        progress: Called with the steps that were read, and all steps.

    Returns:
        What was found.

    Raises:
        IncompatibleDatasetsError: An argument is no dataset.
        DatasetDamagedError: What is stored cannot be read.

    Example:
        >>> report = minari.check_dataset(dataset)  # doctest: +SKIP
        >>> for finding in report.findings:  # doctest: +SKIP
        ...     print(finding)
    """
    refuse_others(dataset)
    not_checked: list[str] = []
    checks: list[Check] = [
        FiniteCheck(),
        RangeCheck(),
        DuplicateElementCheck(),
        SpaceCheck(dataset.observation_space, dataset.action_space),
        RewardPartsCheck(),
        RecordedReturnCheck(),
        EndCheck(_find_limit(dataset)),
        SeedCheck(),
        DuplicateEpisodeCheck(_reader(dataset)),
        PlainImageCheck(),
    ]
    if against is not None:
        refuse_others(against)
        other = DuplicateEpisodeCheck(_reader(against))
        for block in read_blocks(against, _say_nothing):
            other.see(block)
        checks.append(DuplicateEpisodeCheck(_reader(dataset), other.keys, _reader(against)))
    for block in read_blocks(dataset, progress or _say_nothing):
        for check in checks:
            check.see(block)
    findings = [finding for check in checks for finding in check.finish()]
    if replay_seconds > 0:
        try:
            with dataset.recover_environment() as env:
                findings += replay_episodes(dataset, env, replay_seconds)
        except EnvironmentNotRecoverableError as error:
            not_checked.append(f"nothing was replayed: {error}")
        except Exception as error:  # whatever an environment raises
            not_checked.append(f"the replay failed: {type(error).__name__}: {error}")
    findings.sort(key=lambda finding: finding.severity == "note")
    return CheckReport(
        dataset_id=str(dataset.id),
        total_episodes=len(dataset),
        findings=tuple(findings),
        not_checked=tuple(not_checked),
    )


def _say_nothing(done: int, total: int) -> None:
    """Take no notice of progress."""


def _reader(dataset: MinariDataset) -> Callable[[int], EpisodeData]:
    return lambda index: next(dataset.iterate_episodes([index], copy=False))


def _find_limit(dataset: MinariDataset) -> int | None:
    try:
        spec = dataset.env_spec
    except MinariError:
        return None
    return None if spec is None else spec.max_episode_steps
