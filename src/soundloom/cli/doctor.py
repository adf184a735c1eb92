"""``soundloom doctor``: what works on this machine."""

from __future__ import annotations

import click

from soundloom.cli import options
from soundloom.cli.console import Styled, echo, print_json

__all__ = ["command"]


@click.command("doctor")
@options.as_json
@click.pass_context
def command(context: click.Context, json_wanted: bool) -> None:
    """Check the installation: versions, codecs, devices, and a sound embedded twice.

    \b
    Example:
      soundloom doctor
    """
    from soundloom.doctor import diagnose

    findings = diagnose()
    if json_wanted:
        print_json(findings)
    else:
        for finding in findings:
            mark = Styled("ok  ", "green") if finding.good else Styled("BAD ", "red")
            echo(mark, f" {finding.subject:<22} {finding.told}")
    if not all(finding.good for finding in findings):
        context.exit(1)
