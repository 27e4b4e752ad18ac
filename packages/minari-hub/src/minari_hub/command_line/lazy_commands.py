"""Commands that are built when they are used: a program with many starts as fast as with one.

A command's module imports what its declaration needs, and its function what the work needs: to list
the commands, or to complete a word in a shell, no array library is imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup

Declaration: TypeAlias = Callable[..., None] | typer.Typer
"""A function whose parameters `typer` takes for options, or several of them under one name."""


class LazyCommand(TyperCommand):
    """A command of which a listing shows the name and the first line of the help."""

    def __init__(self, name: str, declaration: Declaration) -> None:
        """Take what declares the command, and look at none of its parameters."""
        if isinstance(declaration, typer.Typer):
            super().__init__(name, help=declaration.info.help)
        else:
            super().__init__(name, help=inspect.getdoc(declaration))
        self._declaration = declaration

    # With typer comes click, or a copy of it: what contexts are depends on the version.
    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Build the command, and leave to it what is invoked, completed or explained."""
        command = self._build()
        if extra.get("resilient_parsing"):
            _convert_nothing(command)
        return command.make_context(info_name, args, parent, **extra)

    def _build(self) -> Any:
        if isinstance(self._declaration, typer.Typer):
            return typer.main.get_group(self._declaration)
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        alone.command(self.name)(self._declaration)
        return typer.main.get_command(alone)


def make_group_class(commands: Mapping[str, Declaration]) -> type[TyperGroup]:
    """Make the class of a group that has these commands, for ``typer.Typer(cls=…)``.

    Args:
        commands: What declares each command, by its name, in the order of the help.
    """

    class LazyGroup(TyperGroup):
        """The commands of a program."""

        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            for name, declaration in commands.items():
                self.add_command(LazyCommand(name, declaration))

        def make_context(
            self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
        ) -> Any:
            if extra.get("resilient_parsing"):
                _convert_nothing(self)
                _show_help_as_it_is()
            return super().make_context(info_name, args, parent, **extra)

    return LazyGroup


def _convert_nothing(command: Any) -> None:
    """Leave the values of options and arguments as they are typed, while a word is completed.

    What `typer` converts them with takes longer to import than itself.
    """
    get_params = command.get_params

    def get_params_that_convert_nothing(context: Any) -> list[Any]:
        parameters: list[Any] = get_params(context)
        for parameter in parameters:
            parameter.process_value = lambda context, value: value
        return parameters

    command.get_params = get_params_that_convert_nothing
    for each in getattr(command, "commands", {}).values():
        if not isinstance(each, LazyCommand):
            _convert_nothing(each)


def _show_help_as_it_is() -> None:
    """Let no markup be looked for in the help that some shells show beside the completions.

    The help of these commands has none, and what renders it takes longer to import than `typer`.
    """
    with suppress(ImportError):
        classes = vars(import_module("typer._completion_classes"))
        if "_sanitize_help_text" in classes:
            classes["_sanitize_help_text"] = str
