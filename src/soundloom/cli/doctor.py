"""``soundloom doctor``: what works on this machine."""

from __future__ import annotations

import os
from dataclasses import replace

import click

from soundloom.cli import common_options
from soundloom.cli.console import Styled, echo, print_json

__all__ = ["command"]


@click.command("doctor")
@click.option(
    "--weights",
    "names",
    multiple=True,
    metavar="NAME[=FILE]",
    help="Check these published weights instead, in the cache or in a file; can be repeated.",
)
@click.option("--constraints", is_flag=True, help="Print where the list of tested versions is, for pip -c.")
@common_options.as_json
@click.pass_context
def command(context: click.Context, names: tuple[str, ...], constraints: bool, json_wanted: bool) -> None:
    """Check the installation: versions, codecs, devices, and a sound embedded twice.

    Of published weights: the file's hash, its tensors, the mel filters that CNN14's file carries, and a known output.

    \b
    Examples:
      soundloom doctor
      soundloom doctor --weights cnn14 --weights yamnet=~/Downloads/yamnet.h5
      pip install -c "$(soundloom doctor --constraints)" 'soundloom[torch]'
    """
    if constraints:
        from soundloom.doctor import constraints_file

        echo(str(constraints_file()))
        return
    if names:
        from soundloom.weight_check import check_weights

        findings = []
        for text in names:
            name, _, file = text.partition("=")
            if not file and os.path.exists(os.path.expanduser(name)):
                raise click.UsageError(f"whose weights are {name!r}? Write --weights NAME=FILE, as yamnet={name}")
            place = os.path.expanduser(file) if file else None
            found = check_weights(name, place)
            findings += found if len(names) == 1 else [replace(one, subject=f"{name} {one.subject}") for one in found]
    else:
        from soundloom.doctor import diagnose

        findings = diagnose()
    if json_wanted:
        print_json(findings)
    else:
        for finding in findings:
            mark = Styled("ok  ", "green") if finding.good else Styled("BAD ", "red")
            echo(mark, f" {finding.subject:<22} {finding.detail}")
    if not all(finding.good for finding in findings):
        context.exit(1)
