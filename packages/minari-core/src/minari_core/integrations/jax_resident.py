"""All columns of a dataset as arrays on one of JAX's devices, and sampling there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.datasets.dataset import MinariDataset
from minari_core.errors import SamplingError
from minari_core.integrations.jax import to_device
from minari_core.integrations.resident import (
    STEP_COLUMNS,
    ResidentLayout,
    lay_out,
    split_to_fit,
    take_turns,
)
from minari_core.messages import warn_caller
from minari_core.random_stream import RandomStream

_LARGEST_INT32 = 2**31 - 1
# What sampling and the learner need beside the data.
_SHARE_OF_FREE_MEMORY = 0.8


class ResidentData:
    """Sample a dataset or view whose columns are arrays on one device, in one compiled call.

    Another batch size, another number of steps or other goals compile once more. Where not all data
    fits, parts of whole episodes take turns: one is sampled as often as it has steps while the next
    one is put on the device, and a warning says so.

    Example:
        >>> data = ResidentData(dataset)  # doctest: +SKIP
        >>> batch = data.sample(jax.random.key(0), 256, n_step=3)  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: MinariDataset,
        device: Any = None,
        *,
        max_nbytes: int | None = None,
        seed: int = 0,
    ) -> None:
        """Put observations, actions, rewards and the two flags on a device.

        Args:
            dataset: The dataset or view.
            device: A device or sharding of JAX; its default if None.
            max_nbytes: The most bytes on the device; what is free on a GPU or TPU, and no limit on
                the CPU, if None.
            seed: The order in which parts take turns.

        Raises:
            SamplingError: There is no step, values have no fixed shape, a single episode does not
                fit, or there are more rows than JAX can number without ``jax_enable_x64``.
        """
        layout = lay_out(dataset)
        nbytes = layout.count_nbytes()
        if max_nbytes is None:
            max_nbytes = _find_free_nbytes(device)
        self._turns: Iterator[dict[str, Any]] | None = None
        self._left = 0
        if max_nbytes is None or nbytes <= max_nbytes:
            self._columns: dict[str, Any] = to_device(_load(layout), device)
        else:
            parts = split_to_fit(dataset, nbytes, check_whole_number("max_nbytes", max_nbytes, 1))
            warn_caller(
                f"the columns take {nbytes} bytes, and {max_nbytes} may be on the device: "
                f"{len(parts)} parts take turns, each sampled as often as it has steps"
            )
            layouts = [lay_out(part) for part in parts]
            most = max(len(each.rows) for each in layouts), max(map(_count_rows, layouts))
            self._turns = take_turns(
                parts,
                lambda part: to_device(_load(lay_out(part), *most), device),
                RandomStream(seed),
            )
            self._take_next()

    def __len__(self) -> int:
        """Return the number of transitions that are on the device."""
        return int(self._columns["size"])

    @property
    def is_resident(self) -> bool:
        """Whether all data is on the device, not a part at a time."""
        return self._turns is None

    def _draw_from(self, batch_size: int) -> dict[str, Any]:
        """Return the columns to draw so many from, those of the next part if it is its turn."""
        if self._turns is not None:
            if self._left <= 0:
                self._take_next()
            self._left -= batch_size
        return self._columns

    def _take_next(self) -> None:
        if self._turns is not None:
            self._columns = next(self._turns)
            self._left = len(self)

    def sample(
        self,
        key: Any,
        batch_size: int,
        *,
        n_step: int = 1,
        discount: float = 0.99,
        goals: Literal["future", "final"] | None = None,
    ) -> dict[str, Any]:
        """Sample transitions uniformly with replacement.

        Args:
            key: The source of randomness, as ``jax.random.key`` makes it.
            batch_size: The number of transitions, B.
            n_step: The number of steps whose rewards are summed, fewer at an episode's end.
            discount: The discount of n-step returns.
            goals: Observations of the same episode that follow, for HER, as those of
                `TransitionOptions`.

        Returns:
            What ``to_device`` makes of `TransitionBatch`: arrays of shape (B, …).

        Raises:
            SamplingError: A number is out of its range.
        """
        batch_size = check_whole_number("batch_size", batch_size, 1)
        n_step = check_whole_number("n_step", n_step, 1)
        if goals not in (None, "future", "final"):
            raise SamplingError(f"goals is {goals!r}; give 'future' or 'final'")
        discount = check_fraction("discount", discount)
        return dict(_sample(self._draw_from(batch_size), key, batch_size, n_step, discount, goals))

    def sample_windows(self, key: Any, batch_size: int, length: int) -> dict[str, Any]:
        """Sample windows that begin at any step, padded behind the end of the episode.

        Args:
            key: As for `sample`.
            batch_size: The number of windows, B.
            length: The number of steps in each, L.

        Returns:
            Arrays of shape (B, L, …), and ``mask``, which is False for padding, as `SequenceBatch`
            with ``padding="after"`` has them.

        Raises:
            SamplingError: A number is out of its range.
        """
        batch_size = check_whole_number("batch_size", batch_size, 1)
        length = check_whole_number("length", length, 1)
        return dict(_sample_windows(self._draw_from(batch_size), key, batch_size, length))


@partial(jax.jit, static_argnames=("batch_size", "n_step", "goals"))
def _sample(
    columns: dict[str, Any],
    key: Any,
    batch_size: int,
    n_step: int,
    discount: float,
    goals: str | None,
) -> dict[str, Any]:
    key, choice = jax.random.split(key)
    positions = jax.random.randint(choice, (batch_size,), 0, columns["size"])
    return _read(columns, positions, key, n_step, discount, goals)


def _read(
    columns: dict[str, Any],
    positions: Any,
    key: Any,
    n_step: int,
    discount: Any,
    goals: str | None,
) -> dict[str, Any]:
    rows, ends = columns["rows"][positions], columns["ends"][positions]
    last = jnp.minimum(positions + n_step, ends) - 1
    batch = {
        "observations": _take(columns["observations"], rows),
        "actions": _take(columns["actions"], positions),
        "rewards": _take(columns["rewards"], last),
        "next_observations": _take(columns["observations"], rows + (last - positions) + 1),
        "terminations": _take(columns["terminations"], last),
        "truncations": _take(columns["truncations"], last),
    }
    if n_step > 1:
        window = positions[:, None] + jnp.arange(n_step)
        inside = window <= last[:, None]
        rewards = columns["rewards"][jnp.minimum(window, last[:, None])]
        shape = (*inside.shape, *(1,) * (rewards.ndim - 2))
        powers = jnp.asarray(discount, rewards.dtype) ** jnp.arange(n_step)
        # A reward that is not finite would be NaN behind the end of its episode, too.
        rewards = jnp.where(inside.reshape(shape), rewards, 0)
        batch["rewards"] = (rewards * powers.reshape(1, *shape[1:])).sum(axis=1)
        whole = jnp.asarray(discount, rewards.dtype) ** (last - positions + 1)
        batch["discounts"] = jnp.where(batch["terminations"], 0, whole)
    if goals is not None:
        ahead = ends - positions
        if goals == "future":
            ahead = jax.random.randint(key, positions.shape, 1, ahead + 1)
        batch["goals"] = _take(columns["observations"], rows + ahead)
    return batch


@partial(jax.jit, static_argnames=("batch_size", "length"))
def _sample_windows(
    columns: dict[str, Any], key: Any, batch_size: int, length: int
) -> dict[str, Any]:
    positions = jax.random.randint(key, (batch_size,), 0, columns["size"])
    return _read_windows(columns, positions, length)


def _read_windows(columns: dict[str, Any], positions: Any, length: int) -> dict[str, Any]:
    wanted = positions[:, None] + jnp.arange(length)
    window = jnp.minimum(wanted, columns["ends"][positions][:, None] - 1)
    mask = window == wanted
    batch = {name: _take(columns[name], window) for name in STEP_COLUMNS}
    for name in ("rewards", "terminations", "truncations"):
        present = mask.reshape(*mask.shape, *(1,) * (batch[name].ndim - 2))
        batch[name] = jnp.where(present, batch[name], jnp.zeros_like(batch[name]))
    shift = columns["rows"][positions] - positions
    batch["observations"] = _take(columns["observations"], window + shift[:, None])
    batch["mask"] = mask
    return batch


def _take(value: Any, numbers: Any) -> Any:
    return jax.tree.map(lambda array: array[numbers], value)


def _load(layout: ResidentLayout, steps: int = 0, rows: int = 0) -> dict[str, Any]:
    """Read the columns of a view, filled up with zeros to so many steps and rows.

    Columns of one shape are compiled for once.
    """
    count = _count_rows(layout)
    if max(count, rows) > _LARGEST_INT32 and not jax.config.jax_enable_x64:
        raise SamplingError(
            f"{max(count, rows)} rows are more than 32-bit numbers count; set jax_enable_x64"
        )
    sizes = {"observations": max(count, rows)}
    columns = {"rows": layout.rows, "ends": layout.ends}
    for name in ("observations", *STEP_COLUMNS):
        columns[name] = _join([block for _, block in layout.iterate_blocks(name)])
    steps = max(len(layout.rows), steps)
    filled = {name: _fill_up(held, sizes.get(name, steps)) for name, held in columns.items()}
    return {**filled, "size": np.asarray(len(layout.rows))}


def _count_rows(layout: ResidentLayout) -> int:
    return int(layout.rows[-1]) + 2


def _fill_up(held: Any, size: int) -> Any:
    def fill(array: Any) -> Any:
        missing = size - len(array)
        empty = np.zeros((missing, *array.shape[1:]), array.dtype)
        return np.concatenate([array, empty]) if missing else array

    return jax.tree.map(fill, held)


def _find_free_nbytes(device: Any) -> int | None:
    """Return what may be put on a device; None if it does not say, as the CPU."""
    chosen = device if device is not None else jax.devices()[0]
    stats = getattr(chosen, "memory_stats", lambda: None)() or {}
    if not {"bytes_limit", "bytes_in_use"} <= set(stats):
        return None
    return int(_SHARE_OF_FREE_MEMORY * (stats["bytes_limit"] - stats["bytes_in_use"]))


def _join(blocks: list[Any]) -> Any:
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *blocks)
