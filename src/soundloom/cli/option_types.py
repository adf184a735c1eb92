"""Types of what options take: names that are not empty, integers, and numbers that are none of ``nan`` and ``inf``.

What is wrong is said in a user's words: click's own types speak of a "valid integer range".
"""

from __future__ import annotations

import math
from typing import Any

import click

__all__ = ["FiniteNumber", "Integer", "Name"]


class FiniteNumber(click.FloatRange):
    """A number within bounds, if there are any, that is one."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number

    def _describe_range(self) -> str:
        # Without bounds click would write x<=None.
        return "" if self.min is None and self.max is None else super()._describe_range()


class Integer(click.IntRange):
    """An integer within bounds."""

    name = "integer"


class Name(click.types.StringParamType):
    """A name that is not empty: ``-m ""``, as of a shell variable that is not set, is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        if not str(value).strip():
            self.fail("the name is empty: give one, or leave the option out", param, ctx)
        return super().convert(value, param, ctx)
