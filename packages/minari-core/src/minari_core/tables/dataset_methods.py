"""The methods of a dataset that give tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from minari_core.errors import MissingDependencyError
from minari_core.sampling.orders.rank_index import Positions
from minari_core.storage.base import Storage
from minari_core.tables.rows import Rows, gather_columns

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class TableMethods:
    """Steps or episodes of a dataset or view as a table."""

    _storage: Storage

    _indices: range | Positions

    def to_arrow(
        self,
        rows: Rows = "steps",
        *,
        next_observations: bool = False,
        as_json: bool = False,
    ) -> pa.Table:
        """Copy steps, or what is known of whole episodes, into an Arrow table.

        Vectors are fixed-size lists and matrices lists of these; images are structs of ``bytes``
        (a PNG file) and ``path``, which ``datasets`` of Hugging Face takes for images. Keys of
        Dict spaces and infos follow after a dot: ``observation.camera``, ``info.x_position``. An
        info is the one that the step returned, or the one beside it if the dataset's metadata
        lists it in ``step_infos``. What is missing is null. The schema's metadata says what
        `create_dataset_from_table` needs to make the same dataset again.

        Args:
            rows: ``"steps"``: ``episode_id, step, observation, action, reward, terminated,
                truncated, info.*, extra.*``. ``"episodes"``: ``episode_id, length, return, seed,
                options, metadata`` (the last two as JSON text), ``final_observation,
                reset_info.*, reset_extra.*``.
            next_observations: Also give steps the observation that they led to.
            as_json: Write values that are neither numbers nor text nor lists of numbers as JSON
                text.

        Returns:
            A table of one row a step, or an episode, in the order of the dataset.

        Raises:
            DataError: A column cannot be one of a table; the message names it.
            MissingDependencyError: pyarrow, or for images Pillow, is not installed.
        """
        from minari_core.tables.arrow import concatenate_tables, iterate_tables

        tables = iterate_tables(
            self._storage,
            np.asarray(self._indices).tolist(),
            rows,
            next_observations=next_observations,
            as_json=as_json,
        )
        return concatenate_tables(tables)

    def to_pandas(self, rows: Rows = "steps", *, next_observations: bool = False) -> pd.DataFrame:
        """Copy steps, or what is known of whole episodes, into a data frame of pandas.

        Element i of a vector is a column of its own, ``observation.i``; images, text and values
        without a fixed shape are objects. Columns in which something is missing have nullable
        dtypes, so that a missing number is not NaN.

        Args:
            rows: ``"steps"`` or ``"episodes"``, with the columns of `to_arrow`.
            next_observations: Also give steps the observation that they led to.

        Returns:
            A frame of one row a step, or an episode, in the order of the dataset.

        Raises:
            DataError: Two columns would have one name.
            MissingDependencyError: pandas is not installed.
        """
        from minari_core.tables.frames import make_frame

        indices = np.asarray(self._indices).tolist()
        columns = gather_columns(self._storage, indices, rows, next_observations=next_observations)
        return make_frame(columns)

    def to_polars(
        self,
        rows: Rows = "steps",
        *,
        next_observations: bool = False,
        as_json: bool = False,
    ) -> pl.DataFrame:
        """Copy steps, or what is known of whole episodes, into a data frame of polars.

        Args:
            rows: ``"steps"`` or ``"episodes"``, with the columns of `to_arrow`.
            next_observations: As in `to_arrow`.
            as_json: As in `to_arrow`.

        Returns:
            A frame of one row a step, or an episode; vectors are arrays of a fixed size.

        Raises:
            DataError: A column cannot be one of a table; the message names it.
            MissingDependencyError: polars, pyarrow, or for images Pillow, is not installed.
        """
        try:
            import polars as pl
        except ImportError as error:
            raise MissingDependencyError(
                "data frames of polars need polars; pip install 'minari-core[tables]'"
            ) from error
        table = self.to_arrow(rows, next_observations=next_observations, as_json=as_json)
        return cast("pl.DataFrame", pl.from_arrow(table))
