"""Dataset ids: ``(namespace/…)name-vN``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from minari_core.errors import DatasetIdError

# Windows refuses these as file names, whatever their extension.
_RESERVED_NAMES = frozenset(
    ["con", "prn", "aux", "nul"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)]
)
_PART = re.compile(r"\w[\w-]*")
_NAME_AND_VERSION = re.compile(r"(?P<name>.+)-v(?P<version>0|[1-9][0-9]*)")
_LONGEST_PART = 120
_DATA_FOLDER = "data"


@dataclass(frozen=True, slots=True, order=True)
class DatasetId:
    """The parts of a dataset id; ids sort by namespace, name, and version as a number."""

    namespace: str
    """Everything before the last slash, ``""`` where there is none."""
    name: str
    """The last part without its version."""
    version: int
    """The number behind the last ``-v``."""

    def __str__(self) -> str:
        return f"{self.unversioned}-v{self.version}"

    @property
    def unversioned(self) -> str:
        """The id without its version, the same for every version of a dataset."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def check_namespace(namespace: str) -> None:
    """Raise unless ``namespace`` is a relative path of plain names.

    Args:
        namespace: Parts joined by ``/``, as in ``D4RL/door``.

    Raises:
        DatasetIdError: A part is empty, hidden, too long, or has a character outside
            letters, digits, ``_`` and ``-``.
    """
    for part in namespace.split("/"):
        _check_part(part, namespace)


def parse_dataset_id(dataset_id: str) -> DatasetId:
    """Split a dataset id into its parts.

    Args:
        dataset_id: An id such as ``LunarLander-v2-test-v0`` or ``D4RL/door/human-v2``.

    Returns:
        The parts; ``str()`` of them is the id again.

    Raises:
        DatasetIdError: The id breaks the rule; the message says which part and how.

    Example:
        >>> parse_dataset_id("D4RL/door/human-v2")
        DatasetId(namespace='D4RL/door', name='human', version=2)
    """
    if not isinstance(dataset_id, str):
        raise DatasetIdError(
            f"dataset id {dataset_id!r} is a {type(dataset_id).__name__}, not a string such as "
            "'D4RL/door/human-v2'"
        )
    namespace, _, last = dataset_id.rpartition("/")
    match = _NAME_AND_VERSION.fullmatch(last)
    if match is None:
        raise DatasetIdError(
            f"dataset id {dataset_id!r} does not end in '-v' and a version number; "
            f"write for example {last.strip('/') or 'name'}-v0"
        )
    _check_part(last, dataset_id)
    if namespace or dataset_id.startswith("/"):
        check_namespace(namespace)
    return DatasetId(namespace, match["name"], int(match["version"]))


def chosen_id(dataset_name: str | None, dataset_id: str | None) -> str:
    """The id of a call that takes it under either name.

    Raises:
        DatasetIdError: Both are given, or neither.
    """
    if dataset_name is not None and dataset_id is not None:
        raise DatasetIdError(
            f"both dataset_name={dataset_name!r} and dataset_id={dataset_id!r} are given; they "
            "mean the same, so give one"
        )
    chosen = dataset_name if dataset_id is None else dataset_id
    if chosen is None:
        raise DatasetIdError("no dataset_name is given")
    return chosen


def _check_part(part: str, whole: str) -> None:
    if not part:
        raise DatasetIdError(f"{whole!r} has an empty part between its slashes")
    if not _PART.fullmatch(part):
        raise DatasetIdError(
            f"part {part!r} of {whole!r} must start with a letter, a digit or '_' "
            "and go on with letters, digits, '_' and '-' only"
        )
    if len(part) > _LONGEST_PART:
        raise DatasetIdError(
            f"part {part[:20]!r}… of the id has {len(part)} characters, more than {_LONGEST_PART}"
        )
    if part.lower() == _DATA_FOLDER:
        raise DatasetIdError(
            f"part {part!r} of {whole!r} is the name of the folder inside every dataset"
        )
    if part.lower() in _RESERVED_NAMES:
        raise DatasetIdError(f"part {part!r} of {whole!r} is a name that Windows reserves")
