"""What datasets must have in common to be sampled together."""

from __future__ import annotations

from collections.abc import Sequence

from minari_core.environments.space_json import space_to_json
from minari_core.errors import IncompatibleDatasetsError
from minari_core.mixtures.renaming import list_leaves, split_space
from minari_core.mixtures.source import MixedSource
from minari_core.sampling.gathering.info_rows import STEP_INFOS


def check_spaces(sources: Sequence[MixedSource]) -> None:
    """Raise unless all datasets have the same spaces.

    Raises:
        IncompatibleDatasetsError: They differ; the message says which datasets in which columns.
    """
    for group in ("observations", "actions"):
        listed = [
            {
                "/".join([group, *path]): space
                for path, space in list_leaves(source.spaces[group], split_space).items()
            }
            for source in sources
        ]
        for source, leaves in zip(sources[1:], listed[1:], strict=True):
            for path in sorted({*listed[0], *leaves}):
                one, other = listed[0].get(path), leaves.get(path)
                if one is None or other is None or space_to_json(one) != space_to_json(other):
                    raise IncompatibleDatasetsError(
                        f"{path} differ: {sources[0].id!r} has {one}, {source.id!r} has {other}; "
                        "the spaces of a mixture are those of all its datasets: give columns the "
                        "same name by rename, or leave them out by the name None"
                    )


def check_stored(sources: Sequence[MixedSource], name: str) -> None:
    """Raise unless all datasets that have the columns of a name store them alike.

    Args:
        sources: The datasets.
        name: A column group, or a column inside it.

    Raises:
        IncompatibleDatasetsError: They differ; the message says which datasets in which columns.
    """
    known: dict[str, tuple[str, frozenset[str]]] = {}
    for source in sources:
        for path, kinds in source.list_stored(name).items():
            first_id, first = known.setdefault(path, (source.id, kinds))
            if first != kinds:
                raise IncompatibleDatasetsError(
                    f"{path} differ: {first_id!r} stores {_show(first)}, {source.id!r} "
                    f"{_show(kinds)}; a mixture reads a column in one dtype and shape: store one "
                    "of the datasets anew, or leave the column out by the name None in rename"
                )


def merge_step_infos(sources: Sequence[MixedSource]) -> list[str]:
    """Return the infos whose row t belongs to step t.

    Raises:
        IncompatibleDatasetsError: One dataset says so of an info, and another that has it does not.
    """
    marked = {key: source.id for source in sources for key in source.step_infos}
    for source in sources:
        for key in sorted(marked.keys() - source.step_infos):
            if source.list_stored(f"infos/{key}"):
                raise IncompatibleDatasetsError(
                    f"infos[{key!r}] belongs to steps in {marked[key]!r}, but not in "
                    f"{source.id!r}; give both the same {STEP_INFOS} by "
                    "dataset.storage.update_metadata, or leave it out by the name None in rename"
                )
    return list(marked)


def _show(kinds: frozenset[str]) -> str:
    return " and ".join(sorted(kinds))
