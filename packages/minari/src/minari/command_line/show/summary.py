"""What ``minari show`` shows of a dataset, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from minari.command_line.show.histogram import Distribution, bars, distribution_of, short_number
from minari.command_line.show.space_text import space_lines
from minari.command_line.show.statistics import EpisodeStatistics
from minari_core.environments.env_specs import env_spec_from_json
from minari_core.environments.space_json import space_from_json
from minari_core.errors import MinariError
from minari_core.formats.public.files import get_data_format
from minari_core.json_values import JsonObject, JsonValue
from minari_hub.command_line.dataset_table import people
from minari_hub.command_line.terminal import file_size, one_line

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
        # The bookkeeping of the public formats, which says nothing of the data.
        "minari_core",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A dataset, local or on a remote."""

    dataset_id: str
    """The dataset."""
    place: str
    """The folder or the URL that it lies in."""
    metadata: Mapping[str, JsonValue]
    """What it says of itself; not to be trusted."""
    nbytes: int | None
    """The size of its files, if it is known."""
    statistics: EpisodeStatistics | None
    """Its episodes, if they could be looked at."""

    def lengths(self) -> Distribution | None:
        """How the lengths of the episodes are distributed."""
        return None if self.statistics is None else distribution_of(self.statistics.lengths)

    def returns(self) -> list[Distribution | None]:
        """How the returns are distributed: one distribution, or one a component of a vector."""
        if self.statistics is None or self.statistics.returns is None:
            return []
        returns = self.statistics.returns
        if not returns.size:
            return []
        return [distribution_of(column) for column in returns.reshape(len(returns), -1).T]

    def to_json(self) -> JsonObject:
        """The summary as plain JSON values; of vector returns, a list."""
        lengths = self.lengths()
        returns = [None if part is None else part.to_json() for part in self.returns()]
        is_vector = (
            self.statistics is not None
            and self.statistics.returns is not None
            and self.statistics.returns.ndim > 1
        )
        return {
            "dataset_id": self.dataset_id,
            "place": self.place,
            "nbytes": self.nbytes,
            "metadata": dict(self.metadata),
            "lengths": None if lengths is None else lengths.to_json(),
            "returns": list(returns) if is_vector else (returns[0] if returns else None),
        }


def print_summary(summary: Summary, console: Console) -> None:
    """Print what is known of a dataset.

    Args:
        summary: The dataset.
        console: Where to.
    """
    metadata = summary.metadata
    console.print(Text(one_line(summary.dataset_id), style="bold"))
    description = metadata.get("description")
    if description:
        console.print(Text(one_line(description)))
    console.print()
    console.print(_table(_facts(summary)))
    for title, key in (("Observations", "observation_space"), ("Actions", "action_space")):
        console.print()
        console.print(Text(title, style="bold"))
        for line in _space(metadata.get(key)):
            indent = len(line) - len(line.lstrip()) + 2
            _print_indented(line.strip(), indent, console)
    if summary.statistics is None:
        return
    returns = summary.returns()
    for index, part in enumerate(returns[:_MOST_COMPONENTS]):
        name = "Returns" if len(returns) == 1 else f"Returns, component {index}"
        _print_distribution(name, part, console)
    if len(returns) > _MOST_COMPONENTS:
        console.print(Text(f"… and {len(returns) - _MOST_COMPONENTS} components more"))
    _print_distribution("Lengths", summary.lengths(), console)


def _facts(summary: Summary) -> list[tuple[str, str]]:
    metadata = summary.metadata
    size = "" if summary.nbytes is None else f"{file_size(summary.nbytes)}, "
    lowest, highest = metadata.get("ref_min_score"), metadata.get("ref_max_score")
    facts: list[tuple[str, str]] = [
        ("Episodes", _count(metadata.get("total_episodes"))),
        ("Steps", _count(metadata.get("total_steps"))),
        ("Stored", f"{size}{get_data_format(metadata)}"),
        ("In", summary.place),
        ("Environment", _environment(metadata.get("env_spec"))),
        ("Evaluated on", _environment(metadata.get("eval_env_spec"))),
        ("Needs", people(metadata.get("requirements"))),
        ("Algorithm", str(metadata.get("algorithm_name") or "")),
        ("Author", people(metadata.get("author"))),
        ("E-mail", people(metadata.get("author_email"))),
        ("Code", str(metadata.get("code_permalink") or "")),
        ("Combined from", people(metadata.get("combined_datasets"))),
        ("Reference", "" if highest is None else f"random {lowest}, expert {highest}"),
        ("Minari", str(metadata.get("minari_version") or "")),
    ]
    further = ((key, value) for key, value in metadata.items() if key not in _SHOWN_APART)
    facts += [(key, str(value)) for key, value in further]
    return [(name, text) for name, text in facts if text]


def _table(facts: list[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="cyan", overflow="fold")
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(Text(one_line(name)), Text(one_line(text)))
    return table


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _environment(value: object) -> str:
    """What a spec says; nothing of it is made, imported or run."""
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


def _space(value: object) -> list[str]:
    if not isinstance(value, str):
        return ["unknown"]
    try:
        return space_lines(space_from_json(value))
    except MinariError as error:
        return [f"cannot be read: {error}"]


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
        f"{label} {short_number(number)}"
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
    for line in _filled(figures, console.width):
        console.print(Text(line, style="dim"))
    ascii_only = console.options.ascii_only
    for label, bar, count in bars(distribution, console.width, ascii_only=ascii_only):
        console.print(
            Text.assemble(label, "  ", (bar, "green"), "  ", count), no_wrap=True, overflow="crop"
        )


def _filled(items: list[str], width: int) -> list[str]:
    """Items with commas between them, in lines that break behind a comma only."""
    lines = [items[0]]
    for item in items[1:]:
        if len(lines[-1]) + len(item) + 3 > width:
            lines[-1] += ","
            lines.append(item)
        else:
            lines[-1] += f", {item}"
    return lines
