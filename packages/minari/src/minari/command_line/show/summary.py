"""The summary of a dataset that ``minari show`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from minari.command_line.show.histogram import draw_bars, format_number
from minari.command_line.show.space_text import format_space
from minari.distributions.distribution import Distribution, compute_distribution
from minari.distributions.returns import EpisodeStatistics
from minari_core.environments.env_specs import env_spec_from_json
from minari_core.environments.space_json import space_from_json
from minari_core.errors import DatasetDamagedError, MinariError
from minari_core.formats.columnar.manifest import get_data_format
from minari_core.formats.registry import DEFAULT_FORMAT
from minari_core.json_values import JsonObject, JsonValue
from minari_core.metadata.splits import read_splits
from minari_hub.command_line.dataset_table import join_names
from minari_hub.command_line.terminal import format_size, to_one_line
from minari_hub.command_line.wording import translate_advice

_MOST_COMPONENTS = 4
_SHOWN_APART = frozenset(
    {
        "dataset_id",
        "description",
        "total_episodes",
        "total_steps",
        "observation_space",
        "action_space",
        "env_spec",
        "eval_env_spec",
        "algorithm_name",
        "author",
        "author_email",
        "code_permalink",
        "minari_version",
        "data_format",
        "requirements",
        "combined_datasets",
        "ref_min_score",
        "ref_max_score",
        "num_episodes_average_score",
        "license",
        "citation",
        "doi",
        "tags",
        "splits",
        "parents",
        # The bookkeeping of the public formats, which says nothing of the data.
        "minari_core",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A dataset, local or on a remote."""

    dataset_id: str
    """The dataset."""
    location: str
    """The folder or the URL that it lies in."""
    metadata: Mapping[str, JsonValue]
    """What it says of itself; not to be trusted."""
    nbytes: int | None
    """The size of its files, if it is known."""
    statistics: EpisodeStatistics | None
    """Its episodes, if they could be looked at."""

    def describe_lengths(self) -> Distribution | None:
        """Compute the distribution of the episodes' lengths."""
        return None if self.statistics is None else compute_distribution(self.statistics.lengths)

    def describe_returns(self) -> list[Distribution | None]:
        """Compute the distribution of the returns, one for each component of vector rewards."""
        if self.statistics is None or self.statistics.returns is None:
            return []
        returns = self.statistics.returns
        if not returns.size:
            return []
        return [compute_distribution(column) for column in returns.reshape(len(returns), -1).T]

    def to_json(self) -> JsonObject:
        """Return the summary as plain JSON values; of vector returns, a list."""
        lengths = self.describe_lengths()
        returns = [None if each is None else each.to_json() for each in self.describe_returns()]
        is_vector = (
            self.statistics is not None
            and self.statistics.returns is not None
            and self.statistics.returns.ndim > 1
        )
        return {
            "dataset_id": self.dataset_id,
            "place": self.location,
            "nbytes": self.nbytes,
            "metadata": dict(self.metadata),
            "lengths": None if lengths is None else lengths.to_json(),
            "returns": list(returns) if is_vector else (returns[0] if returns else None),
        }


def print_summary(summary: Summary, console: Console) -> None:
    """Print a summary.

    Args:
        summary: The dataset.
        console: Where to print it.
    """
    metadata = summary.metadata
    console.print(Text(to_one_line(summary.dataset_id), style="bold"))
    description = metadata.get("description")
    if description:
        console.print(Text(to_one_line(description)))
    console.print()
    console.print(_make_table(_list_facts(summary)))
    for title, key in (("Observations", "observation_space"), ("Actions", "action_space")):
        console.print()
        console.print(Text(title, style="bold"))
        for line in _format_space(metadata.get(key)):
            indent = len(line) - len(line.lstrip()) + 2
            _print_indented(line.strip(), indent, console)
    if summary.statistics is None:
        return
    returns = summary.describe_returns()
    for index, distribution in enumerate(returns[:_MOST_COMPONENTS]):
        name = "Returns" if len(returns) == 1 else f"Returns, component {index}"
        _print_distribution(name, distribution, console)
    if len(returns) > _MOST_COMPONENTS:
        console.print(Text(f"… and {len(returns) - _MOST_COMPONENTS} components more"))
    _print_distribution("Lengths", summary.describe_lengths(), console)


def _list_facts(summary: Summary) -> list[tuple[str, str]]:
    metadata = summary.metadata
    size = "" if summary.nbytes is None else f"{format_size(summary.nbytes)}, "
    lowest, highest = metadata.get("ref_min_score"), metadata.get("ref_max_score")
    facts: list[tuple[str, str]] = [
        ("Episodes", _format_count(metadata.get("total_episodes"))),
        ("Steps", _format_count(metadata.get("total_steps"))),
        ("Stored", f"{size}{get_data_format(metadata)}"),
        ("In", summary.location),
        ("Environment", _format_env_spec(metadata.get("env_spec"))),
        ("Evaluated on", _format_env_spec(metadata.get("eval_env_spec"))),
        ("Needs", join_names(metadata.get("requirements"))),
        ("Algorithm", str(metadata.get("algorithm_name") or "")),
        ("Author", join_names(metadata.get("author"))),
        ("E-mail", join_names(metadata.get("author_email"))),
        ("Code", str(metadata.get("code_permalink") or "")),
        ("License", str(metadata.get("license") or "")),
        ("DOI", str(metadata.get("doi") or "")),
        ("Cite as", str(metadata.get("citation") or "")),
        ("Tags", join_names(metadata.get("tags"))),
        ("Splits", _format_splits(metadata)),
        ("Made of", _format_parents(metadata.get("parents"))),
        ("Combined from", join_names(metadata.get("combined_datasets"))),
        ("Reference", "" if highest is None else f"random {lowest}, expert {highest}"),
        ("Written by", _format_version(metadata)),
    ]
    further = ((key, value) for key, value in metadata.items() if key not in _SHOWN_APART)
    facts += [(key, str(value)) for key, value in further]
    return [(name, text) for name, text in facts if text]


def _format_splits(metadata: Mapping[str, JsonValue]) -> str:
    total = metadata.get("total_episodes")
    try:
        splits = read_splits(metadata, total if isinstance(total, int) else 0)
    except DatasetDamagedError as error:
        return f"cannot be read: {error}"
    return ", ".join(f"{name} ({len(indices):,})" for name, indices in splits.items())


def _format_parents(parents: JsonValue | None) -> str:
    listed = parents if isinstance(parents, list) else []
    found = [parent for parent in listed if isinstance(parent, Mapping)]
    texts = [
        f"{parent.get('id') or parent.get('file')}, {parent.get('operation')}" for parent in found
    ]
    return "; ".join(dict.fromkeys(texts))


def _format_version(metadata: Mapping[str, JsonValue]) -> str:
    """Format the version of what wrote a dataset; see `MinariDataset.minari_version`."""
    version = metadata.get("minari_version")
    writer = "minari-core" if get_data_format(metadata) == DEFAULT_FORMAT else "Minari"
    return f"{writer} {version}" if version else ""


def _make_table(facts: list[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="cyan", overflow="fold")
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(Text(to_one_line(name)), Text(to_one_line(text)))
    return table


def _format_count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _format_env_spec(value: object) -> str:
    """Format an env spec; nothing of it is made, imported or run."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return "its spec is damaged"
    try:
        spec = env_spec_from_json(value)
    except MinariError as error:
        return f"its spec cannot be read: {error}"
    limit = "" if spec.max_episode_steps is None else f", at most {spec.max_episode_steps} steps"
    arguments = ", ".join(f"{name}={item!r}" for name, item in spec.kwargs.items())
    return f"{spec.id}{f'({arguments})' if arguments else ''}{limit}"


def _format_space(value: object) -> list[str]:
    if not isinstance(value, str):
        return ["unknown"]
    try:
        return format_space(space_from_json(value))
    except MinariError as error:
        return [f"cannot be read: {translate_advice(error)}"]


def _print_indented(line: str, indent: int, console: Console) -> None:
    table = Table.grid(padding=0)
    table.add_column(width=min(indent, max(2, console.width // 3)))
    table.add_column(overflow="fold")
    table.add_row("", Text(line))
    console.print(table)


def _print_distribution(name: str, distribution: Distribution | None, console: Console) -> None:
    console.print()
    console.print(Text(name, style="bold"))
    if distribution is None:
        console.print(Text("  none"))
        return
    figures = [
        f"{label} {format_number(number)}"
        for label, number in (
            ("mean", distribution.mean),
            ("std", distribution.std),
            ("min", distribution.minimum),
            ("median", distribution.median),
            ("max", distribution.maximum),
        )
    ]
    if distribution.not_finite:
        figures.append(f"{distribution.not_finite:,} of {distribution.count:,} not finite")
    for line in _fill_lines(figures, console.width):
        console.print(Text(line, style="dim"))
    ascii_only = console.options.ascii_only
    for label, bar, count in draw_bars(distribution, console.width, ascii_only=ascii_only):
        console.print(
            Text.assemble(label, "  ", (bar, "green"), "  ", count), no_wrap=True, overflow="crop"
        )


def _fill_lines(items: list[str], width: int) -> list[str]:
    """Join items by commas, in lines that break after a comma only."""
    lines = [items[0]]
    for item in items[1:]:
        if len(lines[-1]) + len(item) + 3 > width:
            lines[-1] += ","
            lines.append(item)
        else:
            lines[-1] += f", {item}"
    return lines
