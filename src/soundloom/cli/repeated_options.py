"""Options of commands that are given again: added up, or refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import click

__all__ = ["ListOption", "OnceOption"]


class ListOption(click.Option):
    """An option that takes items with commas between them, as one text; given again, it adds to them."""

    def __init__(
        self,
        *arguments: Any,
        callback: Callable[[click.Context, click.Parameter, Any], Any] | None = None,
        **named: Any,
    ) -> None:
        def joined(context: click.Context, option: click.Parameter, values: Sequence[str]) -> Any:
            text = ",".join(values) if values else None
            if text is not None and not text.strip(", "):
                raise click.BadParameter("the list is empty: write its items, or leave the option out", context, option)
            return text if callback is None else callback(context, option, text)

        super().__init__(*arguments, **{**named, "multiple": True, "callback": joined})


class OnceOption(click.Option):
    """An option whose value names the one place that a command works on: given twice, it is refused."""

    def __init__(
        self,
        *arguments: Any,
        callback: Callable[[click.Context, click.Parameter, Any], Any] | None = None,
        default: Any = None,
        **named: Any,
    ) -> None:
        def only(context: click.Context, option: click.Parameter, values: Sequence[Any]) -> Any:
            if len(values) > 1:
                shown = " and ".join(repr(os.fspath(value)) for value in values)
                raise click.BadParameter(f"it is given {len(values)} times, as {shown}: give one", context, option)
            value = values[0] if values else None
            return value if callback is None else callback(context, option, value)

        defaults = None if default is None else [default]
        super().__init__(*arguments, **{**named, "default": defaults, "multiple": True, "callback": only})
