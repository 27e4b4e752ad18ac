"""The options that say what of a dataset's environment spec is run."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

TrustEntryPointOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--trust-entry-point",
        help="Also run code that only the dataset names, as if it were a program of its author.",
    ),
]
"""Whether to run an environment that is not registered here."""

TrustPathsOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--trust-paths", help="Also open files that the dataset names for its environment."
    ),
]
"""Whether to pass paths on to the environment."""

SkipWrapperOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--skip-wrapper",
        metavar="NAME",
        help="Leave out a wrapper that was recorded. Can be repeated.",
        show_default=False,
    ),
]
"""The names of wrappers to leave out; None if it is not given."""
