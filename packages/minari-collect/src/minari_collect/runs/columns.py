"""The columns of a run's outputs, which must be those of one dataset."""

from __future__ import annotations

from minari_collect.runs.folder import RunFolder
from minari_collect.workers.messages import TaskOutput
from minari_core.columns import Schema
from minari_core.episodes import describe_differences, widen_schema
from minari_core.errors import DataError


class OutputColumns:
    """The columns of the outputs so far, checked as they come in and not when all are there."""

    def __init__(self, folder: RunFolder) -> None:
        """Start without outputs.

        Args:
            folder: The folder of the outputs.
        """
        self._folder = folder
        # Few schemas, of many outputs.
        self._known: list[tuple[Schema, list[TaskOutput]]] = []
        self._widest: Schema | None = None

    def add(self, output: TaskOutput) -> None:
        """Add an output.

        Raises:
            DataError: No dtype holds its values and those of the others exactly; the message names
                the columns, and says how to get at all that is finished.
        """
        before = self._widest
        for schema in self._folder.open_output(output).schemas():
            self._add_schema(schema, output)
        widest = self._widest
        if before is None or widest is None:
            return
        for schema, outputs in self._known:
            if widen_schema(schema, widest) is not schema:
                for narrow in outputs if widest is not before else [output]:
                    self._check_values(narrow, schema, widest)

    def _add_schema(self, schema: Schema, output: TaskOutput) -> None:
        for known, outputs in self._known:
            if known == schema:
                outputs.append(output)
                return
            if widen_schema(known, schema) is None:
                raise self._refuse(
                    output,
                    outputs[0],
                    describe_differences(known, schema, among=_name_episodes(outputs[0])),
                )
        self._known.append((schema, [output]))
        widest = schema if self._widest is None else widen_schema(self._widest, schema)
        self._widest = widest

    def _check_values(self, narrow: TaskOutput, schema: Schema, widest: Schema) -> None:
        try:
            self._folder.open_output(narrow).check_casts(widest, narrow.first)
        except DataError as error:
            others = (
                outputs[0]
                for other, outputs in self._known
                if widen_schema(schema, other) is not schema
            )
            raise self._refuse(narrow, next(others), str(error)) from error

    def _refuse(self, one: TaskOutput, other: TaskOutput, reason: str) -> DataError:
        first, second = sorted((one, other), key=lambda output: output.first)
        return DataError(
            f"{_name_episodes(first)} and {_name_episodes(second)} do not fit into one dataset: "
            f"{reason}; let the environment, the policy or a step_data_callback convert it. "
            f"All finished episodes wait in {self._folder.path}, and load_dataset opens each of "
            f"its folders by its path (these are {first.name} and {second.name}). Delete those "
            "that are to be collected again with resume=True; with "
            f"total_episodes={second.first}, it makes a dataset of the episodes before"
        )


def _name_episodes(output: TaskOutput) -> str:
    if output.stop == output.first + 1:
        return f"episode {output.first}"
    return f"episodes {output.first} to {output.stop - 1}"
