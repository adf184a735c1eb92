"""``soundloom train``: a command for each registered recipe, every setting of theirs a flag."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options
from soundloom.cli.console import clock, echo
from soundloom.cli.error_door import goes_on
from soundloom.cli.evaluate_options import PARTIAL, load_corpora
from soundloom.cli.option_types import Integer
from soundloom.errors import CorpusError, TrainingError

if TYPE_CHECKING:
    from soundloom.components.own_listings import RecipeListing, SettingListing
    from soundloom.corpora import Corpus
    from soundloom.recipes import Recipe
    from soundloom.training import Run

__all__ = ["command"]


class _Recipes(click.Group):
    """A command for each recipe, built from its settings when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """In the order of use rather than of the alphabet."""
        from soundloom.cli import listings

        return sorted(listings.recipes(), key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a recipe; of an objective that has none of its own, the recipe made for it."""
        from soundloom.cli import listings

        try:
            return _command_of(cmd_name, listings.recipe(cmd_name))
        except TrainingError as error:
            ctx.fail(str(error))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and titles."""
        from soundloom.cli import listings

        known = listings.recipes()
        with formatter.section("Recipes"):
            formatter.write_dl([(name, known[name].title) for name in self.list_commands(ctx)])


_ORDER = ("triplet", "labels", "coala", "diverse", "distil", "loom", "notes")


class _Sectioned(click.Command):
    """A command whose help shows the settings section by section."""

    def __init__(self, *arguments: Any, sections: Mapping[str, str], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """General options, then a section for each class of settings."""
        rows: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                rows.setdefault(self.sections.get(parameter.name or "", "Options"), []).append(record)
        for section in ("Options", *(name for name in rows if name != "Options")):
            with formatter.section(section):
                formatter.write_dl(rows[section])


@click.group("train", cls=_Recipes)
def command() -> None:
    """Learn an embedding from your sounds.

    A recipe names what is learned from: the sounds alone, their labels, their tags. The run's folder holds settings,
    metrics, curves and checkpoints, and in the end is a model that every other command takes. A run that was stopped,
    even by a power cut, goes on when the same command is given again.

    \b
    Examples:
      soundloom train triplet ~/sounds --out runs/mine --preset small
      soundloom train triplet --help                                    every setting of the recipe
    """


def _command_of(name: str, recipe: RecipeListing) -> click.Command:
    """The command of one recipe."""

    def callback(corpus: str, out: Path, **given: Any) -> None:
        from soundloom.recipes import find_recipe

        _train(name, find_recipe(name).presets, corpus, out, **given)

    examples = "\n".join(f"  {line}" for line in recipe.examples)
    return _Sectioned(
        name,
        callback=callback,
        params=[*_general(recipe.presets), *map(_option, recipe.settings)],
        help=f"{recipe.title}\n\nSettings come from the preset, then from the file of --config, then from the flags. A "
        "finished run goes on when it is given more --steps." + (f"\n\n\b\nExamples:\n{examples}" if examples else ""),
        short_help=recipe.title,
        sections={setting.name: setting.section for setting in recipe.settings},
        context_settings={"max_content_width": 110},
    )


def _general(presets: list[str]) -> list[click.Parameter]:
    """What every recipe takes besides its settings."""
    folder, file = common_options.LocalPath(file_okay=False), common_options.LocalPath(dir_okay=False, exists=True)
    return [
        click.Argument(["corpus"], metavar="CORPUS[=ROOT]"),
        click.Option(
            ["-o", "--out", "--output", "--output-dir"],
            type=folder,
            required=True,
            metavar="FOLDER",
            help="The run's folder.",
        ),
        click.Option(
            ["--preset"], type=click.Choice(presets), default=presets[0], show_default=True, help="Where to begin."
        ),
        click.Option(["--config"], type=file, metavar="FILE", help="Settings in YAML, such as a run's settings.yaml."),
        click.Option(["--restart"], is_flag=True, help="Delete the run that the folder holds, and start anew."),
        click.Option(
            ["--workers", "--num-workers"],
            type=Integer(1),
            metavar="NUMBER",
            help="Clips decoded at a time.  [default: as many as there are processors]",
        ),
        common_options.ListOption(
            ["--split"], metavar="NAME,...", help="Learn from these splits.  [default: all but test]"
        ),
        click.Option(["--partial"], **PARTIAL),
        common_options.ListOption(["--fold"], metavar="NUMBER,...", help="Learn from these folds.  [default: all]"),
    ]


def _option(setting: SettingListing) -> click.Option:
    """The flag of a setting; it has no default, so that only what is given changes the preset."""
    if setting.switch:
        first = setting.names[0]
        return click.Option([f"--{first}/--no-{first}", setting.name], default=None, help=setting.help)
    kind = common_options.ListOption if setting.several else click.Option
    return kind([*(f"--{name}" for name in setting.names), setting.name], metavar="VALUE", help=setting.help)


def _train(
    name: str,
    presets: Mapping[str, Recipe],
    text: str,
    out: Path,
    *,
    preset: str,
    config: Path | None,
    restart: bool,
    workers: int | None,
    split: str | None,
    fold: str | None,
    **flags: Any,
) -> None:
    """Resolve the settings, read the corpus, train, and say where the model is."""
    from soundloom.cli.progress_bars import followed
    from soundloom.distributed import rank_and_world_size
    from soundloom.recipes import RunOptions
    from soundloom.training.flat_config import read_yaml, resolve

    recipe = presets[preset]
    if config is not None:
        recipe = resolve(recipe, _implied(recipe, read_yaml(config)), str(config))
    given = {key: value for key, value in flags.items() if value is not None}
    if given.get("epochs", "0") != "0" and "steps" in given:
        raise click.UsageError("--steps and --epochs both say how long to train: give one of them")
    try:
        recipe = resolve(recipe, _implied(recipe, given), name)
    except TrainingError as error:
        raise click.UsageError(_with_flags(str(error), name)) from None
    corpus = _corpus(text, split, fold, labelled=recipe.uses_labels)
    with goes_on("what was decoded and learned"), followed() as (preparing, progress):
        options = RunOptions(resume=not restart, workers=workers, progress=progress, preparing=preparing)
        run = recipe.run(corpus, out, options)
    if rank_and_world_size()[0] == 0:
        _report(run)


def _with_flags(text: str, name: str) -> str:
    """The text of an error with the settings of a recipe by their flags.

    >>> _with_flags("distil.training.batch_size should be a whole number, got 'x'", "distil")
    "--batch-size should be a whole number, got 'x'"
    """
    setting = rf"\b{re.escape(name)}(?:\.\w+)*(?:\.|: )(\w+)(?= (?:should|must) )"
    return re.sub(setting, lambda found: "--" + found[1].replace("_", "-"), text)


def _implied(recipe: Recipe, given: dict[str, Any]) -> dict[str, Any]:
    """The settings that are given, and those that follow from them.

    Steps that are given decide, not the preset's epochs. A warmup that would not end before them is a tenth of them.
    A model to start from is trained as it is, where no architecture is given.
    """
    from soundloom.recipes.initial_stream import OWN
    from soundloom.training.flat_config import canonical, flatten

    given = canonical(type(recipe), given)
    settings = flatten(recipe)
    implied: dict[str, Any] = {}
    steps = str(given.get("steps", ""))
    if steps.isdigit():
        if "epochs" not in given and settings.get("epochs"):
            implied["epochs"] = 0
        if "warmup" not in given and settings["warmup"] >= int(steps) > 0:
            implied["warmup"] = int(steps) // 10
    if given.get("init") not in (None, "none") and "stream" in settings and "stream" not in given:
        implied["stream"] = OWN
    return {**implied, **given}


def _corpus(text: str, split: str | None, fold: str | None, *, labelled: bool) -> Corpus:
    """The corpus, or the part of it to learn from."""
    from soundloom import corpora

    try:
        (corpus,) = load_corpora([text])
    except CorpusError:
        if labelled or not Path(text).is_dir():
            raise
        corpus = corpora.load("folder", text, loose=True, partial=True)
    if fold is not None:
        try:
            corpus = corpus.filter(fold={int(number) for number in fold.split(",")})
        except ValueError:
            raise click.BadParameter(f"{fold!r} should be numbers, such as 1,2,3", param_hint="--fold") from None
    if split is not None:
        return corpus.filter(split={name.strip() for name in split.split(",")})
    tests = [name == "test" for name in corpus.column("split")]
    if any(tests) and not all(tests):
        echo(f"{sum(tests)} clips of the split test are left out; --split takes them in", err=True)
        corpus = corpus.filter(split={name for name in corpus.column("split") if name != "test"})
    return corpus


def _report(run: Run) -> None:
    from soundloom.tagger import TAGGER

    best = "" if run.loss is None else f", lowest validation loss {run.loss:.4f} after {run.best_step} steps"
    stopped = " (stopped early)" if run.early else ""
    before = "" if run.trained else "; finished before, nothing was trained now"
    echo(f"{run.steps} steps{stopped} in {clock(run.seconds)}{best}{before}", err=True)
    echo(f"The model is {run.folder}; to search your sounds with it: soundloom index SOUNDS -m {run.folder}")
    if (run.folder / TAGGER).is_file():
        echo(f"To tag your sounds with it: soundloom tag SOUNDS --model {run.folder}")
