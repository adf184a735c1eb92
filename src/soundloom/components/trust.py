"""Consent to import code that a file names.

Names that a person types, and components that an installed package registers, are trusted: installing and typing are
consent. A saved model or a library may come from anybody. Where such a file names ``package.module:object``, the module
is imported only if the caller says so (``trust=True``) or the environment variable ``SOUNDLOOM_TRUST`` lists its
package (several by commas; ``*`` for all).
"""

from __future__ import annotations

import os

from soundloom.errors import ComponentError

__all__ = ["TRUST_VARIABLE", "check_trusted", "is_trusted"]

TRUST_VARIABLE = "SOUNDLOOM_TRUST"
"""Environment variable with the packages whose code files may name."""


def is_trusted(name: str, trust: bool = False) -> bool:
    """Whether the code that a file names as ``package.module:object`` may be imported."""
    allowed = {each.strip() for each in os.environ.get(TRUST_VARIABLE, "").split(",")}
    package = name.partition(":")[0].partition(".")[0]
    return trust or "*" in allowed or package in allowed


def check_trusted(name: str, where: str, trust: bool = False) -> None:
    """Refuse to import the code that a file names, unless it is trusted.

    Args:
        name: ``package.module:object``.
        where: the file, for the message.
        trust: whether the caller trusts it.

    Raises:
        ComponentError: it is not trusted; says how to trust it.
    """
    if not is_trusted(name, trust):
        package = name.partition(":")[0].partition(".")[0]
        raise ComponentError(
            f"{where} names the code {name!r}, which is not part of soundloom and not registered by an installed "
            f"package: if you trust it, say so with soundloom --trust {package}, the environment variable "
            f"{TRUST_VARIABLE}={package}, or trust=True where a model is loaded"
        )
