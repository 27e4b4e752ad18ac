"""All columns of a dataset as tensors on one device, and sampling there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.datasets.dataset import MinariDataset
from minari_core.errors import SamplingError
from minari_core.integrations.resident import STEP_COLUMNS, lay_out, split_to_fit, take_turns
from minari_core.integrations.torch import to_tensors
from minari_core.messages import warn_caller
from minari_core.random_stream import Process, RandomStream, current_process

# What sampling and the learner need beside the data.
_SHARE_OF_FREE_MEMORY = 0.8
_DOUBLE = torch.float64
_SUMMED = ("rewards", "terminations", "truncations")
# All steps at once cost about as much as this share of them did in batches.
_SHARE_BEFORE_TABLE = 0.25
_REWARDS_AT_ONCE = 1 << 20


class ResidentData:
    """Sample a dataset or view whose columns are tensors on one device, CPU or GPU.

    What `sample` and `sample_windows` do is a few operations on tensors, which ``torch.compile``
    takes as they are. Where not all data fits, parts of whole episodes take turns: one is sampled
    as often as it has steps while the next one is put on the device, and a warning says so.

    What the n steps from each step on come to is computed for all steps once a quarter as many were
    read with one ``n_step`` and ``discount``, and kept until another of these is asked for. This
    takes 18 bytes and a reward for each step, beside the columns.

    Example:
        >>> data = ResidentData(dataset, device="cuda")  # doctest: +SKIP
        >>> batch = data.sample(256, n_step=3)  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: MinariDataset,
        device: torch.device | str | int | None = None,
        *,
        max_nbytes: int | None = None,
        seed: int = 0,
    ) -> None:
        """Put observations, actions, rewards and the two flags on a device.

        Args:
            dataset: The dataset or view.
            device: Where to put the columns; in the memory of the CPU if None.
            max_nbytes: The most bytes on the device; what is free on a GPU, and no limit on the
                CPU, if None.
            seed: The order in which parts take turns; another one in each worker of a
                ``DataLoader``.

        Raises:
            SamplingError: There is no step, values have no fixed shape, or a single episode does
                not fit.
        """
        self._device = torch.device("cpu" if device is None else device)
        self._dataset = dataset
        if max_nbytes is None and self._device.type == "cuda":
            max_nbytes = int(torch.cuda.mem_get_info(self._device)[0] * _SHARE_OF_FREE_MEMORY)
        nbytes = lay_out(dataset).count_nbytes()
        self._parts: list[MinariDataset] = []
        self._turns: Iterator[_Columns] | None = None
        self._process: Process | None = None
        self._left = 0
        if max_nbytes is None or nbytes <= max_nbytes:
            self._columns = _load(dataset, self._device)
            return
        self._parts = split_to_fit(dataset, nbytes, check_whole_number("max_nbytes", max_nbytes, 1))
        warn_caller(
            f"the columns take {nbytes} bytes, and {max_nbytes} may be on {self._device}: "
            f"{len(self._parts)} parts take turns, each sampled as often as it has steps"
        )
        self._stream = RandomStream(seed)
        self._take_next()

    def __len__(self) -> int:
        """Return the number of transitions that are on the device."""
        return len(self._columns.rows)

    @property
    def is_resident(self) -> bool:
        """Whether all data is on the device, not a part at a time."""
        return not self._parts

    def sample(
        self,
        batch_size: int,
        *,
        n_step: int = 1,
        discount: float = 0.99,
        goals: Literal["future", "final"] | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Any]:
        """Sample transitions uniformly with replacement.

        Args:
            batch_size: The number of transitions, B.
            n_step: The number of steps whose rewards are summed, fewer at an episode's end.
            discount: The discount of n-step returns.
            goals: Observations of the same episode that follow, for HER, as those of
                `TransitionOptions`.
            generator: The source of randomness, on the device; PyTorch's own if None.

        Returns:
            What ``to_tensors`` makes of `TransitionBatch`: tensors of shape (B, …).

        Raises:
            SamplingError: A number is out of its range.
        """
        positions = self._draw(batch_size, generator)
        return self.read(
            positions, n_step=n_step, discount=discount, goals=goals, generator=generator
        )

    def read(
        self,
        positions: torch.Tensor,
        *,
        n_step: int = 1,
        discount: float = 0.99,
        goals: Literal["future", "final"] | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Any]:
        """Read transitions by their positions.

        Args:
            positions: From 0 to ``len(self) - 1``, int64 on the device, of shape (B,).
            n_step: As for `sample`.
            discount: As for `sample`.
            goals: As for `sample`.
            generator: As for `sample`.

        Raises:
            SamplingError: A number is out of its range.
        """
        columns = self._columns
        n_step = check_whole_number("n_step", n_step, 1)
        if goals not in (None, "future", "final"):
            raise SamplingError(f"goals is {goals!r}; give 'future' or 'final'")
        rows = columns.rows.index_select(0, positions)
        if n_step == 1:
            ahead = {name: _take(columns.of_steps[name], positions) for name in _SUMMED}
            next_rows = rows
        else:
            ahead = self._look_ahead(positions, n_step, check_fraction("discount", discount))
            next_rows = ahead.pop("next_rows")
        batch = {
            "actions": _take(columns.of_steps["actions"], positions),
            "observations": _take(columns.observations, rows),
            "next_observations": _take(columns.next_observations, next_rows),
            **ahead,
        }
        if goals is not None:
            left = columns.left.index_select(0, positions)
            if goals == "final":
                further = left - 1
            else:
                # A number below 1 times a whole one is rounded to less than that.
                drawn = torch.rand(
                    len(positions), generator=generator, device=positions.device, dtype=_DOUBLE
                )
                further = drawn.mul_(left).long()
            batch["goals"] = _take(columns.next_observations, rows + further)
        return batch

    def sample_windows(
        self, batch_size: int, length: int, *, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Sample windows that begin at any step, padded behind the end of the episode.

        Args:
            batch_size: The number of windows, B.
            length: The number of steps in each, L.
            generator: As for `sample`.

        Returns:
            Tensors of shape (B, L, …), and ``mask``, which is False for padding, as
            `SequenceBatch` with ``padding="after"`` has them.

        Raises:
            SamplingError: A number is out of its range.
        """
        return self.read_windows(self._draw(batch_size, generator), length)

    def read_windows(self, positions: torch.Tensor, length: int) -> dict[str, Any]:
        """Read windows by the positions of their first steps.

        Args:
            positions: As for `read`.
            length: The number of steps in each, L.

        Raises:
            SamplingError: The length is out of its range.
        """
        columns = self._columns
        length = check_whole_number("length", length, 1)
        wanted = torch.arange(length, device=positions.device)
        last = columns.left.index_select(0, positions)[:, None] - 1
        steps = wanted.minimum(last)
        mask = steps == wanted
        flat, shape = (steps + positions[:, None]).reshape(-1), (len(positions), length)
        rows = (steps + columns.rows.index_select(0, positions)[:, None]).reshape(-1)
        batch = {name: _take(of, flat, shape) for name, of in columns.of_steps.items()}
        for name in ("rewards", "terminations", "truncations"):
            present = mask.view(*shape, *(1,) * (batch[name].dim() - 2))
            batch[name] = torch.where(present, batch[name], torch.zeros_like(batch[name]))
        batch["observations"] = _take(columns.observations, rows, shape)
        batch["mask"] = mask
        return batch

    def _look_ahead(
        self, positions: torch.Tensor, n_step: int, discount: float
    ) -> dict[str, torch.Tensor]:
        columns = self._columns
        # What is compiled or captured is not computed yet, and is not to be kept.
        if torch.compiler.is_compiling() or (
            positions.is_cuda and torch.cuda.is_current_stream_capturing()
        ):
            return _look_ahead(columns, positions, n_step, discount)
        ahead = columns.ahead
        if ahead is None or ahead.of != (n_step, discount):
            ahead = columns.ahead = _Ahead((n_step, discount))
        return ahead.take(columns, positions)

    def _draw(self, batch_size: int, generator: torch.Generator | None) -> torch.Tensor:
        if self._parts:
            if self._left <= 0:
                self._take_next()
            self._left -= batch_size
        return torch.randint(len(self), (batch_size,), generator=generator, device=self._device)

    def _take_next(self) -> None:
        if self._turns is None or self._process is not current_process():
            # The thread that loads ahead is not in a process that was forked from its own.
            self._process = current_process()
            self._turns = take_turns(
                self._parts, lambda part: _load(part, self._device), self._stream
            )
        self._columns = next(self._turns)
        self._left = len(self._columns.rows)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the turns, which begin anew in another process."""
        return {**self.__dict__, "_turns": None, "_process": None}


@dataclass(slots=True, eq=False)
class _Ahead:
    """What the n steps from each step on come to, in a table when it was asked for often."""

    of: tuple[int, float]
    asked: int = 0
    table: dict[str, torch.Tensor] | None = None

    def take(self, columns: _Columns, positions: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return it for some steps."""
        count = len(columns.rows)
        if self.table is None:
            if self.asked < _SHARE_BEFORE_TABLE * count:
                self.asked += len(positions)
                return _look_ahead(columns, positions, *self.of)
            every = torch.arange(count, device=positions.device)
            parts = [
                _look_ahead(columns, some, *self.of)
                for some in every.split(max(1, _REWARDS_AT_ONCE // self.of[0]))
            ]
            self.table = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return {name: values.index_select(0, positions) for name, values in self.table.items()}


@dataclass(slots=True, eq=False)
class _Columns:
    """The columns of some episodes on the device."""

    rows: torch.Tensor
    # How many steps of the episode are left, itself among them.
    left: torch.Tensor
    of_steps: dict[str, Any]
    observations: Any
    # The same memory, one row further on.
    next_observations: Any
    ahead: _Ahead | None = None


def _look_ahead(
    columns: _Columns, positions: torch.Tensor, n_step: int, discount: float
) -> dict[str, torch.Tensor]:
    """Return what up to n steps come to, and the row of the observation before the last of them."""
    count = columns.left.index_select(0, positions).clamp(max=n_step)
    further = count - 1
    last = positions + further
    numbers = torch.arange(n_step + 1, device=positions.device)
    powers = torch.pow(discount, numbers.to(_DOUBLE))
    steps = numbers[:-1]
    flat = (steps.minimum(further[:, None]) + positions[:, None]).reshape(-1)
    rewards = _take(columns.of_steps["rewards"], flat, (len(positions), n_step))
    shape = (1,) * (rewards.dim() - 2)
    # A reward that is not finite would be NaN behind the end of its episode, too.
    rewards = rewards.where((steps < count[:, None]).view(*rewards.shape[:2], *shape), 0.0)
    # Unlike a product of matrices, this adds in an order that is the same in every batch.
    rewards = (rewards * powers[:-1].to(rewards.dtype).view(-1, *shape)).sum(1)
    terminations = columns.of_steps["terminations"].index_select(0, last)
    return {
        "next_rows": columns.rows.index_select(0, positions) + further,
        "rewards": rewards,
        "terminations": terminations,
        "truncations": columns.of_steps["truncations"].index_select(0, last),
        "discounts": powers.index_select(0, count).masked_fill(terminations, 0.0),
    }


def _load(dataset: MinariDataset, device: torch.device) -> _Columns:
    layout = lay_out(dataset)
    sizes = {"observations": int(layout.rows[-1]) + 2}
    loaded: dict[str, Any] = {}
    for column in ("observations", *STEP_COLUMNS):
        size = sizes.get(column, len(layout.rows))
        held: Any = None
        for start, block in layout.iterate_blocks(column):
            tensors = to_tensors(block)
            if held is None:
                held = _map(partial(_allocate, size=size, device=device), tensors)
            _fill(held, tensors, start)
        loaded[column] = held
    observations = loaded.pop("observations")
    return _Columns(
        rows=torch.from_numpy(layout.rows).to(device),
        left=torch.from_numpy(layout.ends - np.arange(len(layout.ends))).to(device),
        of_steps=loaded,
        observations=observations,
        next_observations=_map(lambda tensor: tensor[1:], observations),
    )


def _allocate(block: torch.Tensor, size: int, device: torch.device) -> torch.Tensor:
    return torch.empty((size, *block.shape[1:]), dtype=block.dtype, device=device)


def _fill(held: Any, block: Any, start: int) -> None:
    if isinstance(held, dict):
        for key in held:
            _fill(held[key], block[key], start)
    elif isinstance(held, tuple):
        for one, other in zip(held, block, strict=True):
            _fill(one, other, start)
    else:
        held[start : start + len(block)].copy_(block)


def _map(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _map(function, item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_map(function, item) for item in value)
    return function(value)


def _take(value: Any, numbers: torch.Tensor, shape: tuple[int, ...] | None = None) -> Any:
    if isinstance(value, dict):
        return {key: _take(item, numbers, shape) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_take(item, numbers, shape) for item in value)
    taken = value.index_select(0, numbers)
    return taken if shape is None else taken.view(*shape, *taken.shape[1:])
