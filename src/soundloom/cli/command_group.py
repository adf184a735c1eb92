"""Groups of commands that answer a name which they do not have with the command that is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

__all__ = ["CommandGroup"]

_ALIKE = (
    frozenset(("remove", "forget", "delete", "del", "rm", "erase", "drop", "untag", "clear")),
    frozenset(("list", "ls", "show", "all", "print", "get")),
    frozenset(("add", "train", "new", "create", "make", "give", "set", "learn", "put")),
    frozenset(("rename", "relocate", "move", "mv", "change", "replace")),
    frozenset(("export", "save", "write", "dump")),
    frozenset(("import", "load", "read")),
    frozenset(("counts", "count", "info", "stats", "describe")),
)
"""Names that programs have for one thing."""


class CommandGroup(click.Group):
    """A group that names the nearest of its commands, or all of them, where a name is none.

    Attributes:
        synonyms: name -> the command that it stands for, as it is typed.
    """

    synonyms: Mapping[str, str] = {}

    def hint(self, name: str, known: Sequence[str]) -> str:  # noqa: ARG002 (for subclasses)
        """What is said where no command is like a name."""
        return f"Commands: {', '.join(known)}."

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """See `click.Group`."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if getattr(error, "possibilities", None) and args[0].lower() not in self.synonyms:
                raise  # click names what is spelled alike
            name, known = args[0], self.list_commands(ctx)
            meant = self.synonyms.get(name.lower())
            alike = next((one for row in _ALIKE if name.lower() in row for one in known if one in row), None)
            if meant is None and alike is not None:
                meant = f"{ctx.command_path.partition(' ')[2]} {alike}"
            hint = f"Did you mean soundloom {meant}?" if meant else self.hint(name, known)
            raise click.UsageError(f"No such command {name!r}. {hint}", ctx) from error
