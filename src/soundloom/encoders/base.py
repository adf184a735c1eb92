"""Contract of encoders: a representation to numbered layers, and their registry.

An encoder of one's own is a subclass in one file, registered beside its definition with `register_encoder`
(docs/extending.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from soundloom.components import ModuleComponent, Registry, register_class
from soundloom.errors import InvalidArgumentError

__all__ = ["ENCODERS", "Encoder", "register_encoder"]


class Encoder(nn.Module, ABC):
    """A representation in, layers out.

    Attributes:
        available: the layer numbers that can be asked for, in computing order. The numbers are the
            paper's (Niizumi 2022, tables I and II) where a paper numbers them.
        stride: frames of the representation to one fused frame, so that T_o = T // stride in Niizumi
            2022, equation 1, or as many as the shortest wanted layer has, if those are fewer; None when the encoder
            gives one vector a window, without a time axis.
        has_alignment: whether `align` maps embeddings to where they meet another modality.
        output_version: to be raised when the same settings and weights give another output than before, so that
            embeddings stored before are not taken for new ones.
        transient: attributes that no output depends on, such as a cache; fingerprints leave them out. Of a module that
            is named here they count the weights alone.
        classes: names of the outputs of `class_layer`, in order; empty without one.
        export_obstacle: why it cannot be exported to ONNX, as the end of a sentence; empty where it can.
    """

    available: tuple[int, ...]
    stride: int | None
    has_alignment: ClassVar[bool] = False
    output_version: ClassVar[int] = 1
    transient: ClassVar[tuple[str, ...]] = ()
    export_obstacle: ClassVar[str] = ""
    classes: tuple[str, ...] = ()

    @abstractmethod
    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The wanted layers, in the order asked for.

        Nothing past the last wanted layer is computed. A layer without a time axis has time 1.

        Raises:
            InvalidArgumentError: a wanted layer is not in ``available``.
        """

    def baseline(
        self,
        representation: Float[Tensor, "batch channel frequency time"],  # noqa: ARG002 (for those that have one)
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The embedding that applications of the published model use, unfused; frames of it over time.

        Raises:
            InvalidArgumentError: this architecture has no customary embedding besides its layers.
        """
        raise InvalidArgumentError(
            f"{type(self).__name__} has no customary embedding: name the layers, of {list(self.available)}"
        )

    def align(self, embeddings: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch _aligned"]:  # noqa: ARG002
        """Embeddings where they are compared with another modality, such as tags.

        Raises:
            InvalidArgumentError: this architecture has no such map (``has_alignment`` is false).
        """
        raise InvalidArgumentError(f"{type(self).__name__} has no map to align its embeddings by")

    @property
    def architecture(self) -> str:
        """The settings that are the same in all encoders that weights fit."""
        return self.extra_repr()

    @property
    def local(self) -> Encoder | None:
        """The same for long sounds, encoding every frame alone; None: a frame's layers depend on others.

        What depends on a window as a whole is left to `finish`.
        """
        return None

    def finish(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch dim time"]:
        """Of a `local` encoder: the fused frames of a window as the encoder gives them for the window alone."""
        return frames

    @property
    def alignment_map(self) -> nn.Sequential | None:
        """The linear map of `align`, its first module being linear; None without one."""
        return None

    @property
    def class_layer(self) -> nn.Linear | None:
        """The linear map from a frame of `baseline` to logits of `classes`; None without one."""
        return None

    def check_wanted(self, wanted: Sequence[int]) -> None:
        """Refuse layers that this encoder does not have.

        Raises:
            InvalidArgumentError: names them, and those that it has.
        """
        unknown = [layer for layer in wanted if layer not in self.available]
        if unknown or not wanted:
            fault = f"there is no layer {_listed(unknown)}" if unknown else "no layer is asked for"
            raise InvalidArgumentError(f"{fault}: those of {type(self).__name__} are {_listed(self.available)}")

    @classmethod
    def registry(cls) -> Registry[ModuleComponent[Encoder]]:
        """The registry of encoders."""
        return ENCODERS

    def _get_name(self) -> str:
        # Printed as saved files call it.
        return ENCODERS.name_of(type(self)) or type(self).__name__


ENCODERS: Registry[ModuleComponent[Encoder]] = Registry("encoder", ("soundloom.encoders",), base=Encoder)
"""Every encoder, by the name that saved files call it."""

E = TypeVar("E", bound=Encoder)


def register_encoder(
    name: str,
    *,
    settings: type | None = None,
    presets: Mapping[str, Callable[[], Encoder]] | None = None,
    aliases: Sequence[str] = (),
) -> Callable[[type[E]], type[E]]:
    """Register an encoder class, which is built as ``Class()`` or ``Class(settings)``.

    Args:
        name: what saved files call it; it never changes, the class may be renamed.
        settings: the class of its settings, a frozen dataclass. An instance keeps them as ``settings``.
        presets: name -> a function that builds one; needed where the settings have no defaults.
        aliases: other names that are understood in saved files.

    Raises:
        ComponentError: the name is taken, the class is no encoder, or its settings are no frozen dataclass.
    """
    return register_class(ENCODERS, name, settings=settings, wraps=None, presets=presets, aliases=aliases)


def _listed(layers: Iterable[int]) -> str:
    return ", ".join(map(str, layers))
