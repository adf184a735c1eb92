"""From rows as they are kept to the representation that a stream takes; on the device, inside an objective.

What is kept of a clip (`soundloom.feature_cache`) is compact: codes of mel energies, halves, shares of the loudest
sample. A row is a frame of mel energies, before the logarithm so that sounds can be added; or the representation of a
whole chunk; or a stretch of the waveform. Learned normalisation is not part of it: it may be computed from what is
kept, and change without anything being kept anew.
"""

from __future__ import annotations

from jaxtyping import Float, Shaped
from torch import Tensor

from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache.formats import Form
from soundloom.feature_cache.waveform_format import Samples
from soundloom.frontends import EnergyFrontend, Frontend

__all__ = ["representation", "represented", "restored", "unscaled"]


def unscaled(frontend: Frontend) -> Frontend:
    """The front-end without its learned ranges, if it has any: what clips are kept for."""
    return frontend.base


def representation(
    kept: Shaped[Tensor, "batch rows *shape"], form: Form, stream: Stream
) -> Float[Tensor, "batch channel frequency time"]:
    """Windows of rows as the stream's encoder takes them: `restored`, then `represented`.

    Raises:
        InvalidArgumentError: as for these.
    """
    return represented(restored(kept, form), form, stream)


def restored(kept: Shaped[Tensor, "batch rows *shape"], form: Form) -> Float[Tensor, "batch ..."]:
    """Windows of rows as what the form stands for: energies [B, T, F], chunks [B, R, C, F, T], or waveforms [B, N].

    Raises:
        InvalidArgumentError: rows of another shape than the form's.
    """
    if tuple(kept.shape[2:]) != form.shape:
        raise InvalidArgumentError(
            f"windows must be [batch, rows, {', '.join(map(str, form.shape))}], got {list(kept.shape)}: "
            "were they drawn from another form than the objective was given?"
        )
    rows = form.restore(kept)
    return rows.flatten(1) if isinstance(form, Samples) else rows


def represented(
    sounds: Float[Tensor, "batch ..."], form: Form, stream: Stream
) -> Float[Tensor, "batch channel frequency time"]:
    """What `restored` gave as the stream's encoder takes it.

    Frames of mel energies are compressed by the stream's own front-end, and time comes last; chunks are joined along
    time. Both are then scaled, if the stream's front-end is. Waveforms go through the whole front-end.

    Raises:
        InvalidArgumentError: frames of energies for a stream whose front-end is not a log-mel spectrogram.
    """
    if isinstance(form, Samples):
        heard: Tensor = stream.frontend(sounds)
        return heard
    frontend = unscaled(stream.frontend)
    if sounds.ndim == 5:
        heard = sounds.movedim(1, 3).flatten(3)
    elif isinstance(frontend, EnergyFrontend):
        heard = frontend.compress(sounds).transpose(1, 2).unsqueeze(1)
    else:
        raise InvalidArgumentError(
            f"{stream.name}: frames of mel energies are for a log-mel front-end, this one's is "
            f"{type(frontend).__name__}: prepare the corpus as Represented(frontend, seconds=1.0)"
        )
    return stream.frontend.normalise(heard)
