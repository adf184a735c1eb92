"""Initial stream of a training: untrained weights, or those of a model to be fine-tuned.

A model that is woven of several streams gives the one that is asked for by its architecture, or else the largest.
"""

from __future__ import annotations

from soundloom.embedder import Embedder, Stream
from soundloom.frontends import CentredFrontend
from soundloom.models import load
from soundloom.recipes.architectures import build_stream
from soundloom.training import TrainingError

__all__ = ["OWN", "initial_stream", "streams_of"]

OWN = "own"
"""In place of an architecture: that of the model to start from."""


def initial_stream(kind: str, init: str | None, seed: int, name: str) -> Stream:
    """A stream to train.

    Args:
        kind: its architecture, one of `soundloom.recipes.STREAMS`; or `OWN`.
        init: a model to take the weights from; none for weights drawn from the seed.
        seed: of the weights.
        name: what the stream is called.

    Raises:
        TrainingError: the model has no stream of that architecture, or none that can learn; or `OWN` without a model.
        ModelError: there is no such model.
    """
    if init is None:
        if kind == OWN:
            raise TrainingError(f"stream {OWN!r} is the stream of the model to start from: name that by init")
        return build_stream(kind, seed, name)
    parts = [part for part in streams_of(load(init)) if _size(part)]
    if not parts:
        raise TrainingError(f"{init} has no weights that could learn: start from another model, or without --init")
    if kind == OWN:
        stream = max(parts, key=_size)
    else:
        wanted = build_stream(kind, seed, name)
        fitting = [part for part in parts if _shape(part) == _shape(wanted)]
        if not fitting:
            named = ", ".join(part.name for part in parts)
            raise TrainingError(
                f"no stream of {init} (of {named}) has the architecture {kind}: leave --stream out to train the "
                "model's own, or name the architecture that it was trained with"
            )
        # The weights alone: a reduction, or fused layers, were made for those of before.
        wanted.encoder.load_state_dict(fitting[0].encoder.state_dict())
        stream = wanted.with_frontend(fitting[0].frontend)
    stream.encoder.requires_grad_(True)
    return stream.renamed(name)


def streams_of(model: Embedder) -> tuple[Stream, ...]:
    """The streams of a model.

    Raises:
        TrainingError: it has parts of another kind, which cannot be trained.
    """
    if len(model.streams) < len(model.parts):
        raise TrainingError(f"{model.name} has parts that are no streams of front-end and encoder: they cannot learn")
    return model.streams


def _size(stream: Stream) -> int:
    return sum(parameter.numel() for parameter in stream.encoder.parameters())


def _shape(stream: Stream) -> tuple[object, ...]:
    """What two streams share if the weights of one fit the other."""
    frontend, encoder = stream.frontend, stream.encoder
    if isinstance(frontend, CentredFrontend):
        frontend = frontend.inner
    weights = {name: tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}
    return frontend._get_name(), frontend.extra_repr(), encoder._get_name(), encoder.architecture, weights
