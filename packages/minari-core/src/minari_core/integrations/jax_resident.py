"""All columns of a dataset as arrays on one of JAX's devices, and sampling there."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.datasets.dataset import MinariDataset
from minari_core.errors import SamplingError
from minari_core.integrations.jax import to_device
from minari_core.integrations.resident import STEP_COLUMNS, lay_out

_LARGEST_INT32 = 2**31 - 1


class ResidentData:
    """Sample a dataset or view whose columns are arrays on one device, in one compiled call.

    Another batch size, another number of steps or other goals compile once more. All data must fit
    on the device.

    Example:
        >>> data = ResidentData(dataset)  # doctest: +SKIP
        >>> batch = data.sample(jax.random.key(0), 256, n_step=3)  # doctest: +SKIP
    """

    def __init__(self, dataset: MinariDataset, device: Any = None) -> None:
        """Put observations, actions, rewards and the two flags on a device.

        Args:
            dataset: The dataset or view.
            device: A device or sharding of JAX; its default if None.

        Raises:
            SamplingError: There is no step, values have no fixed shape, or there are more rows than
                JAX can number without ``jax_enable_x64``.
        """
        layout = lay_out(dataset)
        self._size = len(layout.rows)
        if int(layout.rows[-1]) + 2 > _LARGEST_INT32 and not jax.config.jax_enable_x64:
            raise SamplingError(
                f"{int(layout.rows[-1]) + 2} rows are more than 32-bit numbers count; set "
                "jax_enable_x64"
            )
        columns = {
            name: _join([block for _, block in layout.iterate_blocks(name)])
            for name in ("observations", *STEP_COLUMNS)
        }
        self._columns = to_device({"rows": layout.rows, "ends": layout.ends, **columns}, device)

    def __len__(self) -> int:
        """Return the number of transitions."""
        return self._size

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
        return dict(_sample(self._columns, key, batch_size, n_step, discount, goals))

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
        return dict(_sample_windows(self._columns, key, batch_size, length))


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
    positions = jax.random.randint(choice, (batch_size,), 0, len(columns["rows"]))
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
    positions = jax.random.randint(key, (batch_size,), 0, len(columns["rows"]))
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


def _join(blocks: list[Any]) -> Any:
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *blocks)
