"""Options that a command does not have, by names that other programs use, and what is meant by them here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import click

__all__ = ["meaning_of"]

_SAME = {
    ("--after",): ("since", "from", "newer", "min-date", "start-date"),
    ("--before",): ("until", "to", "older", "max-date", "end-date"),
    ("--longer",): ("min-duration", "min-length", "min-seconds"),
    ("--shorter",): ("max-duration", "max-length", "max-seconds"),
    ("--above", "--least", "--similar"): (
        "above",
        "least",
        "threshold",
        "min-score",
        "min-similarity",
        "min-probability",
        "confidence",
    ),
    ("--folder",): ("dir", "directory", "path", "within"),
    ("--library",): ("db", "database", "lib"),
    ("--workers",): ("jobs", "threads", "processes", "cpus", "num-threads", "parallel"),
    ("--limit", "--top"): ("count", "number", "num", "max", "head", "max-results", "results"),
    ("--like",): ("similar", "similar-to", "query", "sound", "audio", "reference", "example"),
    ("--unlike", "--not"): ("dissimilar", "different", "negative"),
    ("--not", "--exclude"): ("without", "ignore", "skip"),
    ("--word", "--text"): ("label", "class", "description", "prompt", "keyword"),
    ("--sort",): ("order", "order-by", "sort-by"),
    ("--facets",): ("group-by", "histogram", "stats"),
    ("--out",): ("csv", "save", "write", "to-csv", "file", "playlist", "m3u"),
    ("--copy-to",): ("copy", "save-to", "extract", "collect"),
    ("--window",): ("segment", "segments", "chunk", "chunk-size", "window-size", "frame-size"),
    ("--hop",): ("stride", "step", "overlap", "hop-size"),
    ("--restart",): ("overwrite", "force", "fresh"),
    ("--steps", "--general-steps"): ("steps", "iterations", "max-steps"),
    ("--rate",): ("sample-rate", "sr"),
    ("--device",): ("gpu", "cuda"),
    ("--tag", "--tags"): ("labels",),
    ("--json",): ("format", "as-json"),
    ("--picture",): ("plot", "spectrogram", "png", "image"),
}
"""Options of soundloom -> what programs call them; the first that a command has is named."""

_REMARKS = {
    "recursive": "Folders are searched with their subfolders.",
    "resume": "What was stopped goes on by itself.",
    "continue": "What was stopped goes on by itself.",
    "saved": "Searches are saved in the page, soundloom serve, and asked by their names: soundloom search --saved NAME",
    "exclude": "By what the model takes it for: --not WORD; by its name or folder: --where \"path NOT LIKE '%/old/%'\"",
    "version": "Write: soundloom --version",
    "debug": "It stands before the command: soundloom --debug ...",
    "trust": "It stands before the command: soundloom --trust PACKAGE ...",
}
"""What needs no option, or stands elsewhere."""

_TAKING_BACK = ("include", "no-exclude", "unexclude")
"""Options, by other names, to take back a pattern of ``--exclude``."""

_FIELDS = {
    "bits": "= 24", "category": "LIKE 'DOG%'", "channels": "= 2", "codec": "LIKE 'FLAC%'", "duration": "> 5",
    "name": "LIKE '%.wav'", "peak": "< -1", "recorded": "> '2024-05-01'", "rms": "< -40", "sample_rate": "= 48000",
    "title": "LIKE '%rain%'",
}  # fmt: skip
"""Fields of files that are taken for options of ``soundloom search``, and an example of a condition on each."""


def meaning_of(error: click.NoSuchOption, commands: Collection[str], synonyms: Mapping[str, str]) -> str:
    """A sentence on what is meant by an option that a command does not have; empty where nothing is known of it.

    Args:
        error: names the option, and in its context the command.
        commands: the names of all commands.
        synonyms: what other programs call a command -> what it is here.
    """
    name = error.option_name.lstrip("-").lower().replace("_", "-")
    path = [] if error.ctx is None else error.ctx.command_path.split()[1:]
    flags = () if error.ctx is None else _flags(error.ctx.command.params)
    meant = [flag for wanted, names in _SAME.items() if name in names for flag in wanted if flag in flags]
    if meant:
        return f" Did you mean {meant[0]!r}?"
    if (field := name.replace("-", "_")) in _FIELDS and path == ["search"]:
        return f' It is a field of files, for --where, as in --where "{field} {_FIELDS[field]}".'
    if name in _TAKING_BACK and "--exclude" in flags:
        return " To take back a pattern of --exclude, delete its line in LIBRARY/exclude.txt."
    if name in _REMARKS:
        return f" {_REMARKS[name]}"
    if error.possibilities:
        return ""  # click names them
    command = name if name in commands else synonyms.get(name, "")
    return f" It is a command: soundloom {command}" if command and command.split()[0] not in path else ""


def _flags(parameters: Sequence[click.Parameter]) -> set[str]:
    return {name for one in parameters for name in (*one.opts, *one.secondary_opts)}
