"""Contract of objectives: the loss of a batch for a stream, how batches are sampled for it, and their registry.

An objective of one's own is a subclass in one file, registered beside its definition; `soundloom train NAME` then
trains by it, as `soundloom train package.module:Class` does by one that is not registered:

    @register_objective("spread", SpreadSettings, title="Embeddings of a batch lie far apart.")
    class Spread(Objective):
        def __init__(self, settings, form): ...

        @classmethod
        def create(cls, settings, stream, data):
            return cls(settings, data.dataset.form)

        @classmethod
        def sampler(cls, settings, data, clips, *, batch, seed):
            return window_sampler(data, clips, batch=batch, seed=seed)

        def forward(self, stream, batch):
            embeddings = stream.embed_window(self.form.representation(batch["windows"], stream))
            ...

Batches are sampled by step number: a *batch sampler* is a function from the number of a step to that step's batch, so a
resumed run draws the batches that it would have drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from jaxtyping import Int
from torch import Tensor, nn

from soundloom.components import Registry
from soundloom.corpora import Corpus
from soundloom.embedder import Stream
from soundloom.errors import ComponentError
from soundloom.feature_cache import FeatureDataset, Form, form_of

if TYPE_CHECKING:
    from soundloom.tags import AlignedTags

__all__ = [
    "OBJECTIVES",
    "Batch",
    "BatchSampler",
    "Objective",
    "ObjectiveComponent",
    "TrainingData",
    "WindowSampler",
    "register_objective",
]

Batch = dict[str, Tensor]
"""Named tensors, the first axis of each being the examples."""

BatchSampler = Callable[[int], Batch]
"""Step number -> its batch, on the CPU; the same number gives the same batch, whatever was drawn before.

One that has a method ``share(step, rank, world)`` makes each of several processes its own examples only."""


class WindowSampler(Protocol):
    """A batch sampler that states where its windows lie: their clips, first rows and size."""

    @property
    def dataset(self) -> FeatureDataset:
        """Where the windows' rows are."""

    @property
    def clips(self) -> Int[np.ndarray, " windows"]:
        """The clip of each window."""

    @property
    def starts(self) -> Int[np.ndarray, " windows"]:
        """The first row of each window."""

    @property
    def size(self) -> int:
        """Rows of a window."""

    def __len__(self) -> int:
        """Windows of an epoch."""

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingData:
    """What an objective draws from.

    Attributes:
        source: the corpus, as it was given.
        corpus: the clips of it to learn from.
        dataset: the same, cached.
        window: rows of a training window.
    """

    source: Corpus
    corpus: Corpus
    dataset: FeatureDataset
    window: int


class Objective(nn.Module, ABC):
    """How a stream learns; a module, as some learn heads of their own, which are not part of the model.

    Attributes:
        splits_by_class: whether every class keeps its share among the clips to validate on.
        fits_chunks: whether chunks of 100 ms say enough to learn from; tags, of which most name whole scenes, do not.
    """

    splits_by_class: ClassVar[bool] = False
    fits_chunks: ClassVar[bool] = True

    @classmethod
    def select(cls, settings: Any, corpus: Corpus, stream: Stream) -> Corpus:  # noqa: ARG003 (a hook)
        """The clips that can be learned from; all unless overridden. Asked before anything is decoded.

        Raises:
            CorpusError: there are none, or too few.
        """
        return corpus

    @classmethod
    def storage_form(cls, stream: Stream) -> Form:
        """How clips are cached; as the stream's front-end states, unless overridden."""
        return form_of(stream)

    @classmethod
    def sampler(
        cls,
        settings: Any,  # noqa: ARG003 (a hook)
        data: TrainingData,  # noqa: ARG003
        clips: Int[np.ndarray, " chosen"],  # noqa: ARG003
        *,
        batch: int,  # noqa: ARG003
        seed: int,  # noqa: ARG003
    ) -> WindowSampler:
        """Batches of some clips, for recipes; `soundloom.objectives.labels.window_sampler` is the plainest.

        Raises:
            CorpusError: there is nothing to sample.
            ComponentError: the class does not define it.
        """
        raise ComponentError(f"{cls.__name__} defines no sampler: a recipe needs one; fit() is given a sampler")

    @classmethod
    def create(cls, settings: Any, stream: Stream, data: TrainingData) -> Self:  # noqa: ARG003
        """The objective for a stream, which is only looked at; for recipes.

        Raises:
            InvalidArgumentError: the stream cannot learn by it.
            ComponentError: the class does not define it.
        """
        raise ComponentError(f"{cls.__name__} defines no create: a recipe needs it; fit() is given an objective")

    def tag_model(self, stream: Stream) -> AlignedTags | None:  # noqa: ARG002 (a hook)
        """Tags that the stream has learned and that are saved beside it; none unless overridden."""
        return None

    @abstractmethod
    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        """The loss of a batch, and other values worth a curve.

        Returns:
            Scalars by name; ``loss`` is minimised.
        """


@dataclass(frozen=True, kw_only=True)
class ObjectiveComponent:
    """A registered objective.

    Attributes:
        kind: the class.
        settings: its settings, a frozen dataclass.
        title: what it does, in a line.
    """

    kind: type[Objective]
    settings: type
    title: str


OBJECTIVES: Registry[ObjectiveComponent] = Registry("objective", ("soundloom.objectives",))
"""Every objective, by name."""

ObjectiveType = TypeVar("ObjectiveType", bound=type[Objective])


def register_objective(name: str, settings: type, *, title: str) -> Callable[[ObjectiveType], ObjectiveType]:
    """Register an objective class under a name that never changes.

    Raises:
        ComponentError: the name is taken, or its settings are no dataclass.
    """
    if not is_dataclass(settings):
        raise ComponentError(f"the objective {name!r}: its settings {settings.__name__} should be a frozen dataclass")

    def register(kind: ObjectiveType) -> ObjectiveType:
        OBJECTIVES.register(name, ObjectiveComponent(kind=kind, settings=settings, title=title), definition=kind)
        return kind

    return register
