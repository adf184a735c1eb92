"""Exit of a failed command: one line on standard error, an exit code, and the traceback only when asked for.

    1      the command failed: the line names what is wrong and the remedy
    130    interrupted (Ctrl-C)
    143    terminated (SIGTERM)

SIGTERM raises `Terminated` in the main thread, so the same clean-up runs as after Ctrl-C. A second one ends the process
at once.
"""

from __future__ import annotations

import errno
import logging
import os
import shlex
import signal
import threading
import traceback
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click

from soundloom.cli.guessed_options import meaning_of
from soundloom.errors import MissingExtraError, SoundloomError
from soundloom.library.library_files import is_library
from soundloom.option_hints import hints_as_flags
from soundloom.safe_text import printable, printable_lines
from soundloom.system_errors import first_line, translated

__all__ = ["Terminated", "goes_on", "hint_at_meaning", "one_line", "show_notices"]


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


@contextmanager
def one_line(command: str, *, debug: bool) -> Iterator[None]:
    """Turn what a command raises into one line and an exit code.

    Args:
        command: its name.
        debug: show the traceback as well.
    """
    with _signals() as interrupted:
        try:
            yield
        except click.ClickException as error:
            error.message = printable_lines(error.message)  # type: ignore[misc]  # final for others than click
            raise
        except (click.exceptions.Exit, SystemExit):
            raise
        except (KeyboardInterrupt, click.Abort) as error:
            _end(terminated=isinstance(error, Terminated))
        except BaseException as error:
            if interrupted.is_set():  # extension modules turn an interrupt of their import into other errors
                _end(terminated=False)
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # the reader of a pipe has gone: click ends quietly
            if debug:
                click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
            known = MissingExtraError.of_torch(error, f"soundloom {command}") or translated(error)
            if isinstance(known, SoundloomError):
                raise click.ClickException(printable_lines(hints_as_flags(str(known)))) from None
            raise click.ClickException(
                f"unexpected {type(error).__name__}: {printable(first_line(error))}. This is a defect of soundloom; "
                "for the traceback to report, run it as: soundloom --debug ..."
            ) from None


@contextmanager
def goes_on(kept: str) -> Iterator[None]:
    """Say, where a command is interrupted, what of its work is kept for the next run of it.

    Args:
        kept: such as "what is embedded".
    """
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"{kept} is kept: the same command goes on from there", err=True)
        raise


@contextmanager
def hint_at_meaning(arguments: Sequence[str], commands: Collection[str], synonyms: Mapping[str, str]) -> Iterator[None]:
    """Say what an option means that a command does not have, and how files and libraries are named that it was not.

    Args:
        arguments: the command line.
        commands: the names of all commands.
        synonyms: what other programs call a command -> what it is here.
    """
    try:
        yield
    except click.NoSuchOption as error:
        # An option of another beginning is no misspelling, and --dry-run must not lead to --prune.
        near = [option for option in error.possibilities or () if option[:3] == error.option_name[:3]]
        error.possibilities = near  # type: ignore[misc]  # final for others than click
        files = _dashed(arguments)
        if files:
            error.message += _as_file(files[0])  # type: ignore[misc]  # as above
        words = [word[1:] for word in arguments if len(word) > 3 and word[0] == "-" and word[1:].isalpha()]
        if words and "search" in arguments[:1] and not files:
            error.message += f" What the hits should not sound like: --not {words[0]}"  # type: ignore[misc]  # as above
        if meaning := meaning_of(error, commands, synonyms):
            error.possibilities = []  # type: ignore[misc]  # as above
            error.message += meaning  # type: ignore[misc]  # as above
        raise
    except click.UsageError as error:
        libraries = [argument for argument in arguments if is_library(argument)]
        if libraries and "unexpected extra argument" in error.message:
            error.message += f": name a library with -l {libraries[0]}"  # type: ignore[misc]  # as above
        elif files := _dashed(arguments):
            error.message += f".{_as_file(files[0])}"  # type: ignore[misc]  # as above
        raise


def _dashed(arguments: Sequence[str]) -> list[str]:
    """Files among the arguments whose names begin as options do."""
    return [argument for argument in arguments if argument[:1] == "-" and os.path.lexists(argument)]


def _as_file(name: str) -> str:
    return f" If the file {name!r} is meant, write {shlex.quote(f'./{name}')}, or -- before it."


@contextmanager
def show_notices() -> Iterator[None]:
    """Print the warnings of soundloom's modules on standard error, a line each, without the source line of Python's."""
    handler = _Notices(logging.WARNING)
    logger = logging.getLogger("soundloom")
    logger.addHandler(handler)
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **rest: Any) -> None:
        if issubclass(category, UserWarning):
            _note(str(message))
        else:
            before(message, category, *place, **rest)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
        logger.removeHandler(handler)


class _Notices(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _note(record.getMessage())


def _note(text: str) -> None:
    click.echo(f"note: {printable(hints_as_flags(' '.join(text.split())))}", err=True)


def _end(*, terminated: bool) -> NoReturn:
    click.echo("terminated" if terminated else "interrupted", err=True)
    raise SystemExit(143 if terminated else 130) from None


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Have SIGTERM raise `Terminated`, and note Ctrl-C, each where nobody else handles it.

    Yields:
        An event, set once Ctrl-C was pressed.
    """
    interrupted = threading.Event()

    def terminate(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Terminated

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    wanted = ((signal.SIGTERM, signal.SIG_DFL, terminate), (signal.SIGINT, signal.default_int_handler, interrupt))
    in_main = threading.current_thread() is threading.main_thread()
    free = [
        (number, default, own) for number, default, own in wanted if in_main and signal.getsignal(number) == default
    ]
    for number, _, own in free:
        signal.signal(number, own)
    try:
        yield interrupted
    finally:
        for number, default, _ in free:
            signal.signal(number, default)
