"""Contract of front-ends: waveforms to time-frequency representations, and their registry.

A front-end of one's own is a subclass in one file, registered beside its definition with `register_frontend`
(docs/extending.md). What it states about itself decides the rest: its settings are written to ``config.json`` and
counted by fingerprints, ``storage_form`` says how clips are cached for training, and a front-end that wraps another
says under which attribute.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom.components import ModuleComponent, Registry, register_class
from soundloom.errors import InvalidArgumentError

if TYPE_CHECKING:
    from soundloom.frontends.frames import FramingSettings
    from soundloom.frontends.normalised import NormalisedFrontend

__all__ = ["FRONTENDS", "EnergyFrontend", "Frontend", "WrappingFrontend", "register_frontend"]


class Frontend(nn.Module, ABC):
    """Waveforms in, representation out; batched, on any device, differentiable where its mathematics is.

    Every row of a batch is treated alone: a row's result does not depend on the other rows.

    Attributes:
        sample_rate: the rate in hertz at which the waveforms must come.
        hop: seconds from one frame to the next.
        channels: size of the channel axis of the representation.
        bins: size of the frequency axis of the representation.
        min_samples: the shortest waveform, in samples, that gives a frame.
        storage_form: how clips are cached for training: "representation" caches the output of `base` for chunks of
            sound; "energies" caches frames of energies that can be mixed and shifted (`EnergyFrontend`).
        output_version: to be raised when the same settings and weights give another output than before, so that
            embeddings stored before are not taken for new ones.
        transient: attributes that no output depends on, such as a cache; fingerprints leave them out.
        export_obstacle: why it cannot be exported to ONNX, as the end of a sentence; empty where it can.
        exports_any_length: whether an exported file takes sounds of any length; else of the one it is made for.
    """

    sample_rate: int
    hop: float
    channels: int
    bins: int
    min_samples: int
    storage_form: ClassVar[Literal["representation", "energies"]] = "representation"
    output_version: ClassVar[int] = 1
    transient: ClassVar[tuple[str, ...]] = ()
    export_obstacle: ClassVar[str] = ""
    exports_any_length: ClassVar[bool] = True

    @abstractmethod
    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """Turn a batch of equally long mono waveforms in [-1, 1] into a representation.

        Raises:
            InvalidArgumentError: the waveforms are shorter than ``min_samples``, or there are none.
        """

    @abstractmethod
    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""

    @abstractmethod
    def times(self, frames: int) -> Float[Tensor, " time"]:
        """The centres of the first so many frames, in seconds from the waveform's first sample."""

    @property
    def base(self) -> Frontend:
        """The front-end below learned normalisation, whose output is cached for training; itself if there is none."""
        return self

    @property
    def normalisation(self) -> NormalisedFrontend | None:
        """The learned normalisation above `base`, whose scale and shift training sets; None if there is none."""
        return None

    @property
    def local(self) -> Frontend | None:
        """The same for long sounds, each frame of the second before and after it alone; None: it has no such form.

        Windows of a long sound share the frames of such front-ends (`soundloom.embedder.Embedder.shared_frames`).
        """
        return None

    @property
    def of_task(self) -> bool:
        """Whether evaluation normalises its values by those of the task (`normalised_by`)."""
        return False

    def normalised_by(self, mean: float, deviation: float) -> Frontend:  # noqa: ARG002
        """The same front-end, its values normalised by a mean and a deviation.

        Raises:
            InvalidArgumentError: it has no such normalisation.
        """
        raise InvalidArgumentError(f"{type(self).__name__} is not normalised by a mean and a deviation")

    @property
    def pretrained_network(self) -> nn.Module | None:
        """A frozen network inside, which must be trained before a stream learns from its output; None without one."""
        return None

    @property
    def network_input(self) -> tuple[Frontend, int]:
        """The front-end, and its frames, that `pretrained_network` is trained on.

        Raises:
            InvalidArgumentError: there is no network inside.
        """
        raise InvalidArgumentError(f"{type(self).__name__} has no network inside")

    def normalise(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch channel frequency time"]:
        """From the output of `base` to the output of this front-end."""
        return representation

    def extra_repr(self) -> str:
        """The settings, so that a printed model shows them and its fingerprint counts them."""
        return repr(getattr(self, "settings", ""))

    def check_length(self, waveforms: Tensor) -> None:
        """Refuse waveforms too short to give a single frame, and a batch of none.

        Raises:
            InvalidArgumentError: says how many samples are needed.
        """
        batch, samples = waveforms.shape
        if batch == 0:
            raise InvalidArgumentError(
                f"{type(self).__name__} needs at least one waveform, got a batch of none: skip empty batches"
            )
        if samples < self.min_samples:
            raise InvalidArgumentError(
                f"{type(self).__name__} needs at least {self.min_samples} samples "
                f"({self.min_samples / self.sample_rate:.3f} s at {self.sample_rate} Hz), got {samples}: "
                "pad the waveform with zeros"
            )

    def centred_times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres of a front-end whose frame t is centred on sample t x hop."""
        return torch.arange(frames, dtype=torch.float64) * self.hop

    @classmethod
    def registry(cls) -> Registry[ModuleComponent[Frontend]]:
        """The registry of front-ends."""
        return FRONTENDS

    def _get_name(self) -> str:
        # Printed as saved files call it: caches of training clips are keyed by this text.
        return FRONTENDS.name_of(type(self)) or type(self).__name__


class WrappingFrontend(Frontend):
    """A front-end around another, whose rate, frames and settings it has.

    Args:
        inner: the other one.
    """

    def __init__(self, inner: Frontend) -> None:
        super().__init__()
        self.inner = inner
        self.sample_rate = inner.sample_rate
        self.hop = inner.hop
        self.channels = inner.channels
        self.bins = inner.bins
        self.min_samples = inner.min_samples

    def extra_repr(self) -> str:
        """What decides the front-end within."""
        return self.inner.extra_repr()

    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""
        return self.inner.frames(samples)

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres in seconds."""
        return self.inner.times(frames)


class EnergyFrontend(Frontend):
    """A front-end in two steps: energies, which add up when sounds are mixed, and a compression of each energy.

    Training caches the energies of clips; objectives mix, shift and disturb them before the compression.
    """

    storage_form = "energies"

    @property
    @abstractmethod
    def framing_settings(self) -> FramingSettings:
        """How waveforms are cut into frames."""

    @abstractmethod
    def energies(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch bins time"]:
        """Energies (or magnitudes) of every bin, before the compression.

        Raises:
            InvalidArgumentError: the waveforms are shorter than ``min_samples``.
        """

    @abstractmethod
    def compress(self, energies: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The compression, such as a logarithm with a floor."""

    @abstractmethod
    def energy_settings(self) -> dict[str, object]:
        """The settings that decide the energies, as plain JSON data: equal ones share cached clips."""

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """Compressed energies, the channel axis being 1."""
        return self.compress(self.energies(waveforms)).unsqueeze(1)


FRONTENDS: Registry[ModuleComponent[Frontend]] = Registry(
    "front-end", ("soundloom.frontends", "soundloom.encoders"), base=Frontend
)
"""Every front-end, by the name that saved files call it."""

F = TypeVar("F", bound=Frontend)


def register_frontend(
    name: str,
    *,
    settings: type | None = None,
    wraps: str | None = None,
    presets: Mapping[str, Callable[[], Frontend]] | None = None,
    aliases: Sequence[str] = (),
) -> Callable[[type[F]], type[F]]:
    """Register a front-end class, which is built as ``Class()``, ``Class(settings)`` or ``Class(inner)``.

    Args:
        name: what saved files call it; it never changes, the class may be renamed.
        settings: the class of its settings, a frozen dataclass. An instance keeps them as ``settings``.
        wraps: the attribute that holds the front-end it wraps.
        presets: name -> a function that builds one; needed where the settings have no defaults.
        aliases: other names that are understood in saved files.

    Raises:
        ComponentError: the name is taken, the class is no front-end, or its settings are no frozen dataclass.
    """
    return register_class(FRONTENDS, name, settings=settings, wraps=wraps, presets=presets, aliases=aliases)
