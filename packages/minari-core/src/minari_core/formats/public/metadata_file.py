"""The manifest of a dataset in a public format, ``metadata.json``.

The public Minari ignores keys that it does not know. One such key holds what its own keys cannot
express: which info keys there are, and texts (spaces, environment specs) whose exact form its
reader would not understand.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium import spaces

from minari_core._version import __version__
from minari_core.columns import Schema, StructColumn, merge_columns
from minari_core.columns.schema import column_from_json
from minari_core.environments.env_specs import env_spec_from_json, env_spec_to_json
from minari_core.environments.given_spaces import NONE_GIVEN, GivenSpaces, read_space
from minari_core.environments.recovery import recover_environment
from minari_core.environments.space_json import space_from_json, space_to_json
from minari_core.errors import (
    DatasetDamagedError,
    EnvironmentNotRecoverableError,
    FormatError,
    MetadataError,
    MinariError,
    SpaceError,
    UnknownSpaceError,
)
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.transaction import RECORDINGS_KEPT
from minari_core.formats.public.checksums import (
    EpisodeChecksums,
    add_checksums,
    replace_checksums,
    seal,
)
from minari_core.formats.public.files import OWN_KEY, STAGE_PREFIX
from minari_core.formats.public.spaces import (
    find_oldest_reader,
    public_description_json,
    public_space_json,
)
from minari_core.json_values import JsonValue

_OWN_VERSION = 1
_SPACES = ("observation_space", "action_space")
_SPECS = ("env_spec", "eval_env_spec")
_PEOPLE = ("author", "author_email")
_GROUPS = ("infos", "extras")
_STAGE = rf"({re.escape(STAGE_PREFIX)}[0-9a-f]{{32}})?"
_NO_COLUMNS = StructColumn({})


@dataclass(frozen=True, slots=True)
class PublicManifest:
    """The contents of ``metadata.json``."""

    metadata: Mapping[str, JsonValue]
    """The metadata, without counts."""
    observation_space: spaces.Space[Any]
    """The space of the observations."""
    action_space: spaces.Space[Any]
    """The space of the actions."""
    total_episodes: int
    """The number of episodes."""
    total_steps: int
    """The number of steps of all episodes."""
    uid: str = ""
    """Random text that tells this dataset from another that later takes its id; "" if unknown."""
    infos: StructColumn = _NO_COLUMNS
    """Every info key that is known to be in an episode."""
    extras: StructColumn = _NO_COLUMNS
    """Every extra column that is known to be in an episode."""
    recordings: tuple[str, ...] = ()
    """The last recordings that were committed to it; see `Snapshot.recordings`."""
    checksums: str = ""
    """The checksums of the episodes that this project has written; see `get_checksums`."""
    largest_nbytes: int = 0
    """The memory that the arrays of the largest of these episodes take, in bytes; 0 if unknown."""
    staged: str = ""
    """The folder of files that take the place of others, since it is named; "" if there is none."""
    given_spaces: GivenSpaces = field(default_factory=dict)
    """The spaces that stand for those whose types are unknown, which ``metadata`` describes."""

    @property
    def stores_jpeg(self) -> bool:
        """Whether images are stored as JPEG."""
        known = self.metadata.get("jpeg_encoding")
        if known is not None:
            return known is True
        # Releases before 0.5.3 stored images as they are, and had no word for it.
        version = str(self.metadata.get("minari_version", ""))
        return not version.startswith(("0.3", "0.4", "0.5.0", "0.5.1", "0.5.2"))

    @property
    def metadata_with_counts(self) -> dict[str, JsonValue]:
        """The metadata with the counts."""
        return {
            **self.metadata,
            "total_episodes": self.total_episodes,
            "total_steps": self.total_steps,
        }

    def to_json(self, nbytes: int) -> bytes:
        """Return the text of ``metadata.json``.

        Args:
            nbytes: The size of the data, which is one of the public Minari's keys.
        """
        content: dict[str, Any] = {
            **self.metadata_with_counts,
            "dataset_size": round(nbytes / 1e6, 1),
        }
        exact: dict[str, str] = {}
        for key, space in zip(_SPACES, (self.observation_space, self.action_space), strict=True):
            if key in self.given_spaces:
                text = str(self.metadata[key])
                content[key] = public_description_json(text)
                if content[key] != text:
                    exact[key] = text
                continue
            content[key] = public_space_json(space)
            text = space_to_json(space, key)
            if space_to_json(space_from_json(content[key], key), key) != text:
                exact[key] = text
        for key in _SPECS:
            if isinstance(content.get(key), str):
                exact_text = str(content[key])
                spec = env_spec_from_json(exact_text)
                # The public Minari looks for keys of older releases by this very spacing.
                content[key] = json.dumps(json.loads(env_spec_to_json(spec, keep_types=False)))
                if env_spec_to_json(env_spec_from_json(content[key])) != env_spec_to_json(spec):
                    exact[key] = exact_text
        for key in _PEOPLE:
            if isinstance(content.get(key), str):
                # Of text, the public Minari would make a set of letters.
                exact[key] = str(content[key])
                content[key] = [content[key]]
        content[OWN_KEY] = {
            "version": _OWN_VERSION,
            "written_by": __version__,
            "uid": self.uid,
            "exact": exact,
            "infos": self.infos.to_json(),
            "extras": self.extras.to_json(),
            "recordings": list(self.recordings),
            "checksums": self.checksums,
            "largest_episode_nbytes": self.largest_nbytes,
        }
        if self.staged:
            content[OWN_KEY]["staged"] = self.staged
        content[OWN_KEY] = seal(content)
        return json.dumps(content).encode("ascii")

    def note_recording(self, uid: str) -> PublicManifest:
        """Return the manifest with a recording noted whose episodes are committed with it."""
        if uid in self.recordings:
            return self
        return replace(self, recordings=(*self.recordings, uid)[-RECORDINGS_KEPT:])

    def note_checksums(self, first: int, added: Iterable[EpisodeChecksums]) -> PublicManifest:
        """Return the manifest with the checksums of added episodes, of which one is the first."""
        return replace(self, checksums=add_checksums(self.checksums, first, added))

    def renew_checksums(self, renewed: Mapping[int, EpisodeChecksums]) -> PublicManifest:
        """Return the manifest with the checksums of some episodes replaced, by their indices."""
        return replace(self, checksums=replace_checksums(self.checksums, renewed))

    def note_nbytes(self, largest: int) -> PublicManifest:
        """Return the manifest with what the largest of the added episodes takes in memory."""
        return replace(self, largest_nbytes=max(self.largest_nbytes, largest))

    def add_columns(self, schema: Schema) -> PublicManifest:
        """Return the manifest with the keys of a shard's infos and extra columns added."""
        infos, extras = (
            merge_columns([getattr(self, group), schema.groups[group]]) for group in _GROUPS
        )
        return replace(self, infos=infos, extras=extras)


def create_manifest(
    metadata: Mapping[str, JsonValue],
    data_format: str,
    given_spaces: GivenSpaces = NONE_GIVEN,
) -> PublicManifest:
    """Create the manifest of a new dataset.

    Args:
        metadata: As `minari_core.formats.registry.new_storage` takes it.
        data_format: The name of the format.
        given_spaces: The spaces that stand for those whose types are unknown.

    Raises:
        MetadataError: ``jpeg_encoding`` is not a flag.
    """
    found = [read_space(str(metadata[key]), key, given_spaces) for key in _SPACES]
    jpeg = metadata.get("jpeg_encoding", False)
    if not isinstance(jpeg, bool):
        raise MetadataError(f"metadata jpeg_encoding is {jpeg!r}, not true or false")
    content = {
        **metadata,
        "data_format": data_format,
        "minari_version": find_oldest_reader(found, data_format),
        "jpeg_encoding": jpeg,
    }
    for key in ("total_episodes", "total_steps", "dataset_size", OWN_KEY):
        content.pop(key, None)
    uid = uuid.uuid4().hex
    return PublicManifest(content, found[0], found[1], 0, 0, uid, given_spaces=given_spaces)


def parse_manifest(
    content: Mapping[str, Any], folder: Path, given_spaces: GivenSpaces = NONE_GIVEN
) -> PublicManifest:
    """Parse what `PublicManifest.to_json`, or the public Minari, wrote.

    Args:
        content: The contents of ``metadata.json``, or of the HDF5 attributes of before 0.5.
        folder: The dataset's folder, for error messages.
        given_spaces: The spaces that stand for those whose types are unknown.

    Raises:
        DatasetDamagedError: A key is missing or of the wrong type; the message names it.
        FormatError: A newer version of this project wrote it.
    """
    path = folder / MANIFEST_NAME
    metadata = dict(content)
    own = metadata.pop(OWN_KEY, {})
    metadata.pop("dataset_size", None)
    if not isinstance(own, dict):
        raise DatasetDamagedError(f"{path}: {OWN_KEY!r} is {own!r}, not an object")
    version = own.get("version", _OWN_VERSION)
    if not isinstance(version, int) or version > _OWN_VERSION:
        raise FormatError(
            f"{path}: its {OWN_KEY!r} part is of version {version!r}, newer than {_OWN_VERSION}; "
            "upgrade minari-core"
        )
    if not isinstance(metadata.get("jpeg_encoding", True), bool):
        found = metadata["jpeg_encoding"]
        raise DatasetDamagedError(f"{path}: 'jpeg_encoding' is {found!r}, not true or false")
    exact = own.get("exact", {})
    if isinstance(exact, dict):
        exact_keys = {*_SPACES, *_SPECS, *_PEOPLE}
        metadata.update({key: text for key, text in exact.items() if key in exact_keys})
    for key in (*_SPECS, *_PEOPLE, "minari_version", "algorithm_name"):
        _check_text(metadata, key, path, lists=key in _PEOPLE)
    observation_space, action_space = _read_spaces(metadata, path, given_spaces)
    for key, space in zip(_SPACES, (observation_space, action_space), strict=True):
        if key not in metadata:
            metadata[key] = space_to_json(space, key)
    try:
        infos, extras = (_parse_columns(own.get(group), group) for group in _GROUPS)
    except MinariError as error:
        raise DatasetDamagedError(f"{path}: {OWN_KEY!r}: {error}") from error
    episodes, steps = (_pop_count(metadata, key, path) for key in ("total_episodes", "total_steps"))
    return PublicManifest(
        metadata,
        observation_space,
        action_space,
        episodes,
        steps,
        str(own.get("uid", "")),
        infos,
        extras,
        list_recordings(content),
        list_checksums(content),
        _parse_nbytes(own.get("largest_episode_nbytes")),
        _parse_stage(own.get("staged", ""), path),
        given_spaces,
    )


def list_recordings(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """List the recordings that ``metadata.json`` notes, as far as it is well-formed."""
    own = metadata.get(OWN_KEY)
    found = own.get("recordings") if isinstance(own, dict) else None
    return tuple(uid for uid in found if isinstance(uid, str)) if isinstance(found, list) else ()


def list_checksums(metadata: Mapping[str, Any]) -> str:
    """Return the checksums of episodes that ``metadata.json`` keeps; "" if it keeps none."""
    own = metadata.get(OWN_KEY)
    found = own.get("checksums") if isinstance(own, dict) else None
    return found if isinstance(found, str) else ""


def _pop_count(metadata: dict[str, Any], key: str, path: Path) -> int:
    count = metadata.pop(key, 0)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**63:
        raise DatasetDamagedError(f"{path}: {key!r} is {count!r}, not a count")
    return count


def _check_text(metadata: Mapping[str, Any], key: str, path: Path, *, lists: bool) -> None:
    value = metadata.get(key)
    texts = value if lists and isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(text, str) for text in texts):
        raise DatasetDamagedError(f"{path}: {key!r} is {value!r}, not text")


def _read_spaces(
    metadata: Mapping[str, Any], path: Path, given_spaces: GivenSpaces
) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    found: dict[str, spaces.Space[Any]] = {}
    for key in _SPACES:
        if key in metadata:
            try:
                found[key] = read_space(metadata[key], key, given_spaces)
            except UnknownSpaceError as error:
                raise UnknownSpaceError(f"{path}: {error}") from error
            except SpaceError as error:
                raise DatasetDamagedError(f"{path}: {error}") from error
    if len(found) < len(_SPACES):
        # Before 0.4, the spaces were those of the environment.
        missing = [key for key in _SPACES if key not in found]
        environment = _make_environment(metadata, missing, path)
        try:
            for key in missing:
                found[key] = getattr(environment, key)
                if metadata.get(f"flatten_{key.removesuffix('_space')}"):
                    found[key] = spaces.flatten_space(found[key])
        finally:
            environment.close()
    return found["observation_space"], found["action_space"]


def _make_environment(
    metadata: Mapping[str, Any], missing: list[str], path: Path
) -> gymnasium.Env[Any, Any]:
    needed = " and ".join(repr(key) for key in missing)
    if "env_spec" not in metadata:
        raise DatasetDamagedError(f"{path}: {needed} is missing, and so is 'env_spec'")
    try:
        return recover_environment(env_spec_from_json(metadata["env_spec"]))
    except (EnvironmentNotRecoverableError, MetadataError) as error:
        raise DatasetDamagedError(
            f"{path}: {needed} is missing, and its environment, which would say it, cannot be "
            f"made: {error}"
        ) from error


def _parse_nbytes(content: object) -> int:
    return content if isinstance(content, int) and not isinstance(content, bool) else 0


def _parse_stage(content: object, path: Path) -> str:
    if not isinstance(content, str) or not re.fullmatch(_STAGE, content):
        raise DatasetDamagedError(
            f"{path}: {OWN_KEY!r}: 'staged' is {content!r}, not a folder in it"
        )
    return content


def _parse_columns(content: object, where: str) -> StructColumn:
    if content is None:
        return _NO_COLUMNS
    column = column_from_json(content, where)
    if not isinstance(column, StructColumn):
        raise DatasetDamagedError(f"{where} are not listed by their keys")
    return column
