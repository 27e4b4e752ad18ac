"""The check of a columnar dataset: its files, and its arrays against the manifest."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minari_core.columns import AXES, Schema, StoredArray
from minari_core.columns.base import NamedArray
from minari_core.episodes.fit import check_schema_fits
from minari_core.errors import DatasetChangedError, DatasetDamagedError, MinariError
from minari_core.files import LOCK_FILES, MAIN_FILE, MANIFEST_NAME, check_plain
from minari_core.formats.columnar.episode_ends import FLAGS, find_early_ends, find_unknown_finals
from minari_core.formats.columnar.manifest import STATISTICS_NAME, Manifest, Snapshot, read_manifest
from minari_core.formats.shards.entry import LENGTHS, ShardEntry
from minari_core.formats.shards.file_check import compute_checksum
from minari_core.formats.shards.reader import ShardReader, view_array
from minari_core.formats.shards.trailer import read_block_checksums, read_episode_starts
from minari_core.formats.verification.contents import ContentRemarks
from minari_core.formats.verification.hdf5_structure import find_structure_problems
from minari_core.formats.verification.report import Findings, VerificationProblem, raise_if_busy
from minari_core.messages import Progress
from minari_core.storage.file_map import map_file

_SHARD_FILES = "shard-*.h5"
_OWN_FILES = (MANIFEST_NAME, *LOCK_FILES, MAIN_FILE, STATISTICS_NAME)
# What `replace_file` is about to rename, or was killed before.
_TEMPORARY_FILES = tuple(f".{name}." for name in (MANIFEST_NAME, STATISTICS_NAME))


def check_columnar_dataset(
    folder: Path, manifest: Manifest, progress: Progress, findings: Findings
) -> None:
    """Check the shards of a columnar dataset; see `Check`."""
    snapshot = manifest.snapshot
    files = _map_files(folder, snapshot)
    _ShardsCheck(folder, snapshot, files, progress, findings).run()
    paths = sorted(folder.iterdir())
    known = {*_OWN_FILES, *(shard.file for shard in snapshot.shards)}
    with suppress(MinariError):  # others may have added to it since
        known.update(shard.file for shard in read_manifest(folder).snapshot.shards)
    for path in paths:
        if path.name in known or path.name.startswith(_TEMPORARY_FILES):
            continue
        if not os.path.lexists(path):
            continue  # joined with others meanwhile
        kind = "was left by a process that died, or is being added just now"
        if not path.match(_SHARD_FILES):
            kind = "is no part of the dataset"
        message = f"no manifest names it: it {kind}"
        findings.remarks.append(VerificationProblem(path.name, message))


def _map_files(folder: Path, snapshot: Snapshot) -> dict[str, memoryview]:
    """Map the file of every shard, unless that fails.

    What is mapped is there until the end, although others may join shards and remove their files.

    Raises:
        DatasetChangedError: They have done so before all were mapped.
        DatasetBusyError: The process has as many open files or maps as it may have.
    """
    files: dict[str, memoryview] = {}
    # The last ones are joined first.
    for entry in reversed(snapshot.shards):
        if entry.file in files:
            continue
        path = folder / entry.file
        try:
            check_plain(path)
            with open(path, "rb") as file:
                files[entry.file] = map_file(file)
        except FileNotFoundError as error:
            if _is_replaced(folder, entry):
                raise DatasetChangedError(
                    f"{folder} was rewritten while it was verified; verify it again"
                ) from error
        except (OSError, ValueError, DatasetDamagedError) as error:
            # What else is wrong with the file is told when it is checked.
            raise_if_busy(entry.file, error)
    return files


def _is_replaced(folder: Path, entry: ShardEntry) -> bool:
    """Return whether the manifest has another shard by now."""
    try:
        return entry not in read_manifest(folder).snapshot.shards
    except MinariError:
        return False


class _ShardsCheck:
    """The check of the shards that a manifest lists."""

    def __init__(
        self,
        folder: Path,
        snapshot: Snapshot,
        files: Mapping[str, memoryview],
        progress: Progress,
        findings: Findings,
    ) -> None:
        self._folder = folder
        self._snapshot = snapshot
        self._files = files
        self._progress = progress
        self._findings = findings
        self._add = findings.add
        # Files of the right size, and those of them whose checksum is right too.
        self._whole: set[str] = set()
        self._intact: set[str] = set()
        self._arrays: list[list[NamedArray]] = []
        self._unknown: npt.NDArray[np.bool_] | None = None

    def run(self) -> None:
        """Check everything, and collect whatever is wrong."""
        if not self._snapshot.uid:
            self._add(MANIFEST_NAME, "it does not list the shards of its columnar data")
        self._check_schemas()
        self._check_files()
        for number, entry in enumerate(self._snapshot.shards):
            self._arrays.append([])
            with self._findings.catch_errors(entry.file):
                self._arrays[number] = self._view_arrays(entry)
        starts = self._check_lengths()
        checked: set[ShardEntry] = set()
        for number, entry in enumerate(self._snapshot.shards):
            # A dataset that was combined with itself has a shard twice.
            if entry in checked:
                continue
            checked.add(entry)
            with self._findings.catch_errors(entry.file):
                self._check_shard(number, entry, starts)
        if starts is not None:
            self._check_trailers(starts)
            self._remark(starts)

    def _schema(self, entry: ShardEntry) -> Schema:
        return self._snapshot.schemas[entry.schema]

    def _check_schemas(self) -> None:
        shards = self._snapshot.shards
        for entry in shards[1:]:
            if entry.schema == shards[0].schema:
                continue
            with self._findings.catch_errors(entry.file):
                check_schema_fits(self._schema(shards[0]), self._schema(entry))

    def _check_files(self) -> None:
        """Compare the size and the checksum of every file with the manifest."""
        entries = {entry.file: entry for entry in self._snapshot.shards}
        known = {(entry.nbytes, entry.crc32): entry.file for entry in self._snapshot.shards}
        total = sum(entry.nbytes for entry in entries.values())
        done = 0
        self._progress(done, total)
        for entry in entries.values():
            with self._findings.catch_errors(entry.file):
                self._check_file(entry, known)
            done += entry.nbytes
            self._progress(done, total)

    def _check_file(self, entry: ShardEntry, known: Mapping[tuple[int, int], str]) -> None:
        path = self._folder / entry.file
        contents = self._files.get(entry.file)
        try:
            check_plain(path)
            # Not from the map: a disk that fails ends the process that reads one.
            with open(path, "rb") as file:
                nbytes, checksum = compute_checksum(file)
        except FileNotFoundError as error:
            if contents is None:
                raise DatasetDamagedError("it is missing") from error
            nbytes, checksum = len(contents), zlib.crc32(contents)
        other = known.get((nbytes, checksum))
        # What was recorded twice gives two shards that are alike.
        is_right = (nbytes, checksum) == (entry.nbytes, entry.crc32)
        if other is not None and other != entry.file and not is_right:
            raise DatasetDamagedError(f"it has the contents of {other}")
        if nbytes != entry.nbytes:
            change = "was cut short" if nbytes < entry.nbytes else "has grown"
            raise DatasetDamagedError(
                f"it has {nbytes} bytes, not the {entry.nbytes} that its manifest says; it {change}"
            )
        self._whole.add(entry.file)
        if checksum != entry.crc32:
            raise DatasetDamagedError(
                f"its CRC-32 is {checksum:08x}, not the {entry.crc32:08x} that its manifest says; "
                "its contents were changed"
            )
        self._intact.add(entry.file)

    def _view_arrays(self, entry: ShardEntry) -> list[NamedArray]:
        """View the arrays of a shard where the manifest locates them; none without its file."""
        contents = self._files.get(entry.file)
        if contents is None or entry.file not in self._whole:
            return []
        schema = self._schema(entry)
        arrays: list[NamedArray] = []
        for index, spec in enumerate(schema.arrays):
            if spec.derived:
                continue
            array: StoredArray | None = None
            with self._findings.catch_errors(entry.file, spec.path):
                array = view_array(contents, entry, schema, index, "it", "it")
            arrays.append((spec, array))
        return arrays

    def _check_trailers(self, starts: npt.NDArray[np.int64]) -> None:
        """Check the index of the episodes in the trailer of each shard that has one.

        Args:
            starts: The first row of each episode, and the end of the last one.
        """
        stop = 0
        for entry in self._snapshot.shards:
            first, stop = stop, stop + entry.episodes
            with self._findings.catch_errors(entry.file):
                contents = self._files.get(entry.file)
                if contents is not None and entry.file in self._intact:
                    index = read_episode_starts(contents, entry.episodes, "it")
                    if index is not None and not index.fits(np.diff(starts[first : stop + 1])):
                        text = "the index in its trailer does not fit the lengths of its episodes"
                        self._add(entry.file, text, LENGTHS)
                    sums = read_block_checksums(contents, "it")
                    if sums is not None and sums.find_damaged(contents):
                        self._add(entry.file, "the checksums in its trailer do not fit its blocks")

    def _check_lengths(self) -> npt.NDArray[np.int64] | None:
        """Check that the lengths of the episodes add up to the rows of the shards.

        Returns:
            The first row of each episode among the rows of all shards, and the end of the last
            one; None if the lengths cannot be relied on.
        """
        pieces: list[npt.NDArray[np.int64]] = []
        sound = True
        rows = steps = episodes = lengths_sum = 0
        for entry, arrays in zip(self._snapshot.shards, self._arrays, strict=True):
            rows += entry.rows
            steps += entry.steps
            episodes += entry.episodes
            lengths = next((array for spec, array in arrays if spec.path == LENGTHS), None)
            if (
                not isinstance(lengths, np.ndarray)
                or lengths.shape != (entry.episodes,)
                or lengths.dtype.kind not in "iu"
            ):
                sound = False
                if arrays and entry.episodes:
                    self._add(entry.file, "the lengths of its episodes are missing", LENGTHS)
                continue
            for index in np.flatnonzero(np.less(lengths, 1)).tolist():
                self._add(
                    entry.file,
                    f"an episode has {lengths[index]} steps",
                    LENGTHS,
                    episodes - entry.episodes + index,
                )
                sound = False
            pieces.append(lengths.astype(np.int64))
            lengths_sum += sum(lengths.tolist())
            # The entry of an episode is in the shard of its last step.
            if sound and (lengths_sum > steps or lengths_sum + episodes > rows):
                self._add(
                    entry.file,
                    f"the episodes up to its last one have {lengths_sum} steps and "
                    f"{lengths_sum + episodes} rows of observations, but the shards up to it hold "
                    f"{steps} and {rows}",
                    LENGTHS,
                )
                sound = False
        if sound and (lengths_sum != steps or lengths_sum + episodes != rows):
            self._add(
                MANIFEST_NAME,
                f"its shards have {steps} steps and {rows} rows of observations, but its "
                f"{episodes} episodes have {lengths_sum} and {lengths_sum + episodes}",
            )
            sound = False
        if not sound or not pieces:
            return None
        starts = np.zeros(episodes + 1, dtype=np.int64)
        np.cumsum(np.concatenate(pieces), out=starts[1:])
        return starts

    def _check_shard(
        self, number: int, entry: ShardEntry, starts: npt.NDArray[np.int64] | None
    ) -> None:
        if entry.file not in self._whole:
            return
        schema = self._schema(entry)
        counts = {"rows": entry.rows, "steps": entry.steps, "episodes": entry.episodes}
        arrays = self._arrays[number]
        for group, column in schema.groups.items():
            size = sum(not spec.derived for spec in column.arrays(group))
            mine, arrays = arrays[:size], arrays[size:]
            for problem in column.problems(iter(mine), counts[AXES[group]], located=True):
                episode = self._find_episode(number, group, problem.row, starts)
                self._add(entry.file, problem.message, problem.path, episode)
        # The HDF5 library is not safe to be given damaged files.
        if entry.file not in self._intact:
            return
        try:
            problems = list(find_structure_problems(self._folder / entry.file, entry, schema))
        except FileNotFoundError:  # joined with others meanwhile
            copied = BytesIO(self._files[entry.file])
            problems = list(find_structure_problems(copied, entry, schema))
        for path, message in problems:
            self._add(entry.file, message, path)

    def _remark(self, starts: npt.NDArray[np.int64]) -> None:
        """Remark on values that are not finite, and on ends before the last step of an episode."""
        remarks = ContentRemarks()
        flags: list[tuple[int, StoredArray | None]] = []
        files: list[tuple[int, str]] = []
        first_row = first_step = 0
        for number, (entry, arrays) in enumerate(
            zip(self._snapshot.shards, self._arrays, strict=True)
        ):
            files.append((first_step, entry.file))
            paths = [spec.path for spec, _ in arrays]
            # What lies below these is not one row a step.
            irregular = tuple(
                path.rpartition("/")[0] for path in paths if path.endswith(("/offsets", "/chosen"))
            )
            for spec, array in arrays:
                group = spec.path.partition("/")[0]
                if group in FLAGS:
                    flags.append((first_step, array))
                if group not in ("observations", "actions", "rewards"):
                    continue
                if isinstance(array, np.ndarray):
                    is_regular = not spec.path.startswith(irregular) if irregular else True
                    remarks.note_values(
                        entry.file,
                        spec.path,
                        array,
                        partial(self._find_episode, number, group, starts=starts)
                        if is_regular
                        else lambda _: None,
                        partial(self._are_placeholders, first_row, starts)
                        if is_regular and group == "observations"
                        else None,
                    )
            first_row += entry.rows
            first_step += entry.steps
        early = find_early_ends(starts, flags)
        if len(early):
            step = int(early[0])
            episode = int(np.searchsorted(starts, step, side="right")) - 1
            file = next(file for first, file in reversed(files) if first <= step)
            remarks.note_early_end(file, episode, step - int(starts[episode]), len(early))
        remarks.give(self._findings)

    def _are_placeholders(
        self, first_row: int, starts: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Return which rows of a shard stand for a final observation that nobody knows."""
        if self._unknown is None:
            found = []
            for entry, named in zip(self._snapshot.shards, self._arrays, strict=True):
                arrays = [array for _, array in named if array is not None]
                counts = entry.rows, entry.steps, entry.episodes
                reader = ShardReader(entry.file, self._schema(entry), arrays, counts)
                found.append(find_unknown_finals(reader))
            self._unknown = np.concatenate(found)
        last_rows = starts[1:] + np.arange(len(starts) - 1)
        return np.isin(rows + first_row, last_rows[self._unknown])

    def _find_episode(
        self, number: int, group: str, row: int | None, starts: npt.NDArray[np.int64] | None
    ) -> int | None:
        """Return the episode that a row of a column group of a shard belongs to."""
        if row is None:
            return None
        before = self._snapshot.shards[:number]
        if AXES[group] == "episodes":
            return sum(entry.episodes for entry in before) + row
        if starts is None:
            return None
        if AXES[group] == "steps":
            step = sum(entry.steps for entry in before) + row
            return int(np.searchsorted(starts, step, side="right")) - 1
        row += sum(entry.rows for entry in before)
        # An episode has one row more than it has steps.
        firsts = starts + np.arange(len(starts))
        return int(np.searchsorted(firsts, row, side="right")) - 1
