"""Recipes as typed objects: settings with one `run`, and the registry that the command line walks.

A recipe is a frozen dataclass whose fields are flags of ``soundloom train NAME`` and keys of its YAML file
(`soundloom.training.flat_config`). `StreamRecipe` trains one stream by one objective; what is particular to an
objective (which clips, how they are cached, which batches) the objective states (`soundloom.objectives.base`), so any
stream learns by any objective. `find_recipe` makes the recipe of an objective that has none of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from jaxtyping import Int

from soundloom.components import Registry
from soundloom.corpora import Corpus
from soundloom.distributed import rank_and_world_size
from soundloom.embedder import Stream
from soundloom.errors import ComponentError, InvalidArgumentError
from soundloom.evaluation.training_clips import keep_training_clips
from soundloom.feature_cache import CacheProgress, prepare
from soundloom.models.model_card import Card
from soundloom.models.saved_model import check_savable
from soundloom.objectives.base import OBJECTIVES, Objective, ObjectiveComponent, TrainingData, WindowSampler
from soundloom.recipes.initial_stream import initial_stream
from soundloom.recipes.normalisation import standardise
from soundloom.recipes.validation_split import check_share, fingerprint, train_valid_split
from soundloom.training import Run, TrainingError, TrainingProgress, TrainingSettings, Validation, fit
from soundloom.training.seeds import seeded

__all__ = [
    "RECIPES",
    "Recipe",
    "RecipeComponent",
    "RunOptions",
    "StreamRecipe",
    "find_recipe",
    "register_recipe",
    "stream_recipe",
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is carried out; none of it changes what comes out.

    Attributes:
        resume: go on with the run that the folder holds, if it holds one; else start anew.
        workers: how many clips are decoded at a time; as many as there are processors if not given.
        progress: called after every step of training.
        preparing: called after every clip that is decoded.
    """

    resume: bool = True
    workers: int | None = None
    progress: Callable[[TrainingProgress], None] | None = None
    preparing: Callable[[CacheProgress], None] | None = None

    def named(self, name: str) -> RunOptions:
        """The same for one of several trainings, whose progress is reported under its name."""

        def renamed(listener: Callable[[Any], None] | None) -> Callable[[Any], None] | None:
            return listener and (lambda reached: listener(replace(reached, name=name)))

        return replace(self, progress=renamed(self.progress), preparing=renamed(self.preparing))


class Recipe(ABC):
    """What learns from what, for how long: a frozen dataclass with one `run`.

    Attributes:
        name: what `soundloom train` calls the recipe; it never changes.
        kind: the objective that it trains a stream by; None where it trains several.
    """

    name: ClassVar[str]
    kind: ClassVar[type[Objective] | None] = None

    @abstractmethod
    def run(self, corpus: Corpus, out: Path, options: RunOptions = RunOptions()) -> Run:
        """Train on a corpus; the folder is a model in the end.

        Args:
            corpus: what to learn from.
            out: the run's folder; made if it does not exist.
            options: how the run is carried out.

        Raises:
            CorpusError: the corpus lacks what the recipe learns from.
            ModelError: the model could not be saved, or ``init`` is no model.
            TrainingError: as for `soundloom.training.fit`; or the stream cannot learn so.
        """

    @property
    def uses_labels(self) -> bool:
        """Whether every clip needs a label; else files beside the folders of a collection are taken as they are."""
        return True

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that a training begins with or learns from."""
        return ()

    def card(self, data: str, *, summary: str, tags: tuple[str, ...] = (), besides: str = "") -> Card:
        """The model card, which says what was trained on which data."""
        provenance = f"Trained with `soundloom train {self.name}` on {data}. Its settings are in `settings.yaml`"
        return Card(tags=tags, summary=summary, provenance=f"{provenance}{besides}.")


@dataclass(frozen=True, kw_only=True)
class StreamRecipe(Recipe):
    """One stream and how it is trained.

    Attributes:
        stream: what learns: one of soundloom.recipes.STREAMS; "own" for the stream of the model that init names.
        validation: share of the clips, in whole groups, that is kept apart to validate on; 0 for none.
        init: a model to start from instead of random weights: a name, a folder, or hf:owner/name.
        epochs: passes over the training windows, which decide the steps; 0 to take steps as they are.
        training: the trainer.
    """

    stream: str = "resnet-small"
    validation: float = 0.1
    init: str | None = field(default=None, metadata={"since": None})
    epochs: int = field(default=0, metadata={"resumable": True, "since": 0})
    training: TrainingSettings = field(default_factory=TrainingSettings)

    kind: ClassVar[type[Objective]]

    def __post_init__(self) -> None:
        check_share(self.validation)
        if self.epochs < 0:
            raise InvalidArgumentError(f"epochs must be 0 or more, got {self.epochs}")

    @property
    def settings(self) -> Any:
        """The objective's settings."""
        return getattr(self, "objective", None)

    def run(self, corpus: Corpus, out: Path, options: RunOptions = RunOptions()) -> Run:
        """Train the stream; see `Recipe.run`."""
        stream = initial_stream(self.stream, self.init, self.training.seed, out.absolute().name)
        network = stream.frontend.base.pretrained_network
        if network is not None and self.init is None:
            raise TrainingError(
                f"the columns of the stream {self.stream} come from a network that is trained before it: soundloom "
                f"train diverse CORPUS --streams {self.stream} --objective {self.name} trains both"
            )
        return self.train(stream, corpus, out, options)

    def train(self, stream: Stream, corpus: Corpus, out: Path, options: RunOptions) -> Run:
        """As `run`, with a stream that was built already: the same each time, or a run cannot be resumed."""
        check_savable(stream)
        source, corpus = corpus, self.select(corpus, stream)
        seed = self.training.seed
        dataset = prepare(corpus, self.kind.storage_form(stream), workers=options.workers, progress=options.preparing)
        data = TrainingData(
            source=source, corpus=corpus, dataset=dataset, window=dataset.form.window_rows(stream.window)
        )
        learned, validated = train_valid_split(corpus, self.validation, seed, by_class=self.splits_by_class)
        sampler = self.sampler(stream, data, learned, self.training.batch, seed)
        if self.init is None:
            self.normalise(stream, sampler)
        recipe = self.lasting(sampler, len(learned))
        with seeded(seed):
            objective = self.create(stream, data)
        identity = fingerprint(corpus, dataset)
        run = fit(
            stream,
            objective,
            sampler,
            settings=recipe.training,
            folder=out,
            recipe=recipe,
            data=identity,
            heading=f"soundloom train {self.name}",
            validation=recipe.validator(stream, data, validated) if len(validated) else None,
            card=self.describe(identity, data),
            resume=options.resume,
            progress=options.progress,
        )
        if rank_and_world_size()[0] == 0:
            keep_training_clips(run.folder, corpus, self.models, options.workers)
            self.finish(run, stream, objective.cpu(), sampler, data, learned)
        return run

    @property
    def models(self) -> tuple[str, ...]:
        """The one that it begins with, if any."""
        return () if self.init is None else (self.init,)

    def lasting(self, sampler: WindowSampler, clips: int) -> StreamRecipe:  # noqa: ARG002 (a hook)
        """The recipe with steps for its epochs, if these decide them."""
        if not self.epochs:
            return self
        return replace(self, training=self.training.lasting(self.epochs * -(-len(sampler) // self.training.batch)))

    @property
    def uses_labels(self) -> bool:
        """Whether the objective looks at classes."""
        return self.splits_by_class

    @property
    def splits_by_class(self) -> bool:
        """Whether every class keeps its share among the clips to validate on."""
        return self.kind.splits_by_class

    def select(self, corpus: Corpus, stream: Stream) -> Corpus:
        """The clips to learn from."""
        return self.kind.select(self.settings, corpus, stream)

    def sampler(
        self,
        stream: Stream,  # noqa: ARG002 (a hook)
        data: TrainingData,
        clips: Int[np.ndarray, " chosen"],
        batch: int,
        seed: int,
    ) -> WindowSampler:
        """Batches of some clips."""
        return self.kind.sampler(self.settings, data, clips, batch=batch, seed=seed)

    def normalise(self, stream: Stream, sampler: WindowSampler) -> None:
        """Set the learned normalisation of the stream's front-end, if it has one."""
        if stream.frontend.normalisation is not None:
            standardise(stream, sampler)

    def create(self, stream: Stream, data: TrainingData) -> Objective:
        """The objective, its heads drawn from torch's generator."""
        try:
            return self.kind.create(self.settings, stream, data)
        except InvalidArgumentError as error:
            raise TrainingError(str(error)) from None

    def validator(self, stream: Stream, data: TrainingData, clips: Int[np.ndarray, " chosen"]) -> Validation | None:
        """What to validate on: every window once."""
        sampler = self.sampler(stream, data, clips, self.training.batch, self.training.seed)
        return Validation(sampler=sampler, batches=-(-len(sampler) // self.training.batch))

    def describe(self, data: str, training_data: TrainingData) -> Card:  # noqa: ARG002 (a hook)
        """The model card."""
        return self.card(data, summary=f"An audio embedding ({self.stream}), learned by `{self.name}`.")

    def finish(
        self,
        run: Run,
        stream: Stream,
        objective: Objective,
        sampler: WindowSampler,  # noqa: ARG002 (a hook)
        data: TrainingData,  # noqa: ARG002
        learned: Int[np.ndarray, " learned"],  # noqa: ARG002
    ) -> None:
        """Save the tags that the objective taught the stream beside it, if it taught any."""
        tags = objective.tag_model(stream)
        if tags is not None:
            tags.save(run.folder)

    def for_part(self, stream: str, **settings: Any) -> StreamRecipe:
        """The recipe as it trains one of several streams, by settings that all of them share."""
        return replace(self, stream=stream, **settings)


@dataclass(frozen=True, kw_only=True)
class RecipeComponent:
    """A registered recipe.

    Attributes:
        kind: the class.
        presets: name -> recipe; the first is the default.
        title: what it does, in a line.
        examples: command lines that show it.
    """

    kind: type[Recipe]
    presets: Mapping[str, Recipe]
    title: str
    examples: tuple[str, ...] = ()


RECIPES: Registry[RecipeComponent] = Registry("recipe", ("soundloom.recipes",), error=TrainingError)
"""Every recipe, by name."""


def register_recipe(presets: Mapping[str, Recipe], *, title: str, examples: tuple[str, ...] = ()) -> None:
    """Register a recipe under its class's name by its presets, all of one class.

    Raises:
        ComponentError: the name is taken.
    """
    kind = type(next(iter(presets.values())))
    row = RecipeComponent(kind=kind, presets=presets, title=title, examples=examples)
    RECIPES.register(kind.name, row, definition=kind)


def stream_recipe(objective: str) -> StreamRecipe:
    """The recipe that trains a stream by an objective: the first preset of that objective's own, else one made for it.

    Raises:
        ComponentError: there is no such objective.
    """
    component = OBJECTIVES.find(objective)
    for row in RECIPES.values():
        recipe = next(iter(row.presets.values()))
        if recipe.kind is component.kind:
            return cast(StreamRecipe, recipe)
    (recipe,) = _recipe_for(objective, component).presets.values()
    return cast(StreamRecipe, recipe)


def find_recipe(name: str) -> RecipeComponent:
    """The recipe of that name; or that of an objective, registered or named ``package.module:Class``.

    Raises:
        TrainingError: there is none.
        ComponentError: the object cannot be imported, or is no objective or recipe.
    """
    if name not in RECIPES and name in OBJECTIVES:
        return _recipe_for(name, OBJECTIVES[name])
    return RECIPES.find(name, adapt=_adapted)


def _adapted(target: object, name: str) -> RecipeComponent:
    """The recipe of an imported object: a recipe class whose fields all have defaults, or an objective class."""
    known = OBJECTIVES.name_of(target)
    if known is not None:
        return _recipe_for(name, OBJECTIVES[known])
    if isinstance(target, type) and issubclass(target, Recipe):
        return RecipeComponent(
            kind=target, presets={"default": target()}, title=(target.__doc__ or "").partition("\n")[0]
        )
    raise ComponentError(
        f"{name!r} is a {type(target).__name__}, not a recipe or a registered objective: see "
        "soundloom.objectives.register_objective"
    )


def _recipe_for(name: str, objective: ObjectiveComponent) -> RecipeComponent:
    """A recipe that trains any stream by an objective."""
    kind = make_dataclass(
        objective.kind.__name__,
        [("objective", objective.settings, field(default_factory=objective.settings))],
        bases=(StreamRecipe,),
        namespace={"kind": objective.kind, "name": name, "__doc__": f"{objective.title}\n"},
        frozen=True,
        kw_only=True,
    )
    training = TrainingSettings(
        steps=500, rate=1e-3, final_rate=1e-5, schedule="cosine", warmup=50, validate_every=200, log_every=20
    )
    return RecipeComponent(kind=kind, presets={"small": kind(training=training)}, title=objective.title)
