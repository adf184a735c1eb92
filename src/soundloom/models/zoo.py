"""Published models: front-end, encoder, window and checkpoint of VGGish, CNN14, AST and COALA.

Named without layers (``cnn14``) a model gives the embedding that its users take today; with layers
(``cnn14#3#6``) the fusion of Niizumi 2022, section III. Window by window as published:

    vggish   examples of 96 frames (0.96 s); fusion joins them along time before equation 3
    cnn14    any length; cut at 10 s, the length it was trained on
    ast      1024 frames (10.24 s), a shorter sound filled as in training
    coala    patches of 96 frames (2.2 s)
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom.embedder import Embedder, Stream, Window
from soundloom.encoders import AST, CNN14, COALA_DIM, COALAAudioEncoder, COALASettings, COALATagEncoder, VGGish
from soundloom.errors import ModelError
from soundloom.frontends import Fbank, LogMel
from soundloom.models.model_registry import published_stream, register_model
from soundloom.models.names import PartName
from soundloom.models.weights.published_checkpoints import check_mel
from soundloom.models.weights.weight_source import WeightSource
from soundloom.models.weights.weight_store import fetch_vocabulary

__all__ = ["ast", "cnn14_16k", "cnn14_32k", "cnn14_stream", "coala", "coala_encoder", "coala_tags", "vggish"]

_MEL_TOLERANCE = 1e-6
_VGGISH_DEVIATION, _VGGISH_TOLERANCE = 0.343, 0.1


def _vggish_output(model: Embedder, tone: Float[np.ndarray, " samples"]) -> str:
    """The deviation of embeddings before the last ReLU (tensorflow/models, research/audioset/vggish_smoke_test.py)."""
    kept: list[Tensor] = []
    (stream,) = model.streams
    last = cast(VGGish, stream.encoder).embeddings[-2]  # the ReLU after it works in place
    handle = last.register_forward_hook(lambda _, __, output: kept.append(output.clone()))
    try:
        with torch.inference_mode():
            # Whole examples alone, as the publishers' code cuts them.
            stream.frames(torch.from_numpy(tone)[None, : stream.samples_for(3 * 96)])
    finally:
        handle.remove()
    deviation = float(torch.cat(kept).std(correction=0))
    if abs(deviation / _VGGISH_DEVIATION - 1) > _VGGISH_TOLERANCE:
        raise ModelError(f"the embedding of a tone deviates by {deviation:.3f}, published is {_VGGISH_DEVIATION}")
    return f"the embedding of a tone deviates by {deviation:.3f}, published is {_VGGISH_DEVIATION}"


@register_model(
    "vggish",
    title="VGGish, 128 numbers; layers as vggish#10#15",
    source="Hershey 2017, trained on YouTube-8M; fusion of Niizumi 2022",
    layers=VGGish.available,
    checkpoint="vggish",
    known_output=_vggish_output,
)
def vggish(part: PartName, source: WeightSource) -> Stream:
    """VGGish (Hershey 2017); the baseline is its last layer, averaged over the examples."""
    encoder = VGGish()
    source.fill(part.word, encoder, "vggish")
    return published_stream(part, LogMel.vggish(), encoder, Window(frames=96, fixed=True))


@register_model(
    "cnn14",
    title="CNN14 at 16 kHz, 2048 numbers; layers as cnn14#3#6",
    source="Kong 2020 (PANNs), trained on AudioSet; fusion of Niizumi 2022",
    layers=CNN14.available,
    checkpoint="cnn14-16k",
)
def cnn14_16k(part: PartName, source: WeightSource) -> Stream:
    """CNN14 (Kong 2020) at 16 kHz, the one of Niizumi 2022; the baseline is its 2048-unit layer."""
    return _cnn14(part, source, 16000)


@register_model(
    "cnn14-32k",
    title="CNN14 at 32 kHz, 2048 numbers; layers as cnn14-32k#3#6",
    source="Kong 2020 (PANNs), trained on AudioSet",
    layers=CNN14.available,
    checkpoint="cnn14-32k",
)
def cnn14_32k(part: PartName, source: WeightSource) -> Stream:
    """CNN14 (Kong 2020) at 32 kHz."""
    return _cnn14(part, source, 32000)


def _cnn14(part: PartName, source: WeightSource, sample_rate: int) -> Stream:
    return cnn14_stream(part, source, CNN14(), sample_rate, Window(frames=1000, fixed=False))


def cnn14_stream(
    part: PartName, source: WeightSource, encoder: CNN14, sample_rate: int, window: Window | None
) -> Stream:
    """CNN14 at 16 or 32 kHz, filled with weights.

    Raises:
        ModelError: the weights' own mel matrix is not that of the front-end.
    """
    frontend = LogMel.panns(sample_rate)
    stored = source.fill(part.word, encoder, f"cnn14-{sample_rate // 1000}k")
    if stored and "logmel_extractor.melW" in stored:
        check_mel(stored, frontend.bank.filters.T, tolerance=_MEL_TOLERANCE)
    # Centred frames: n of them need n - 1 hops of sound.
    shortest = round((encoder.stride - 1) * frontend.hop * sample_rate)
    return published_stream(part, frontend, encoder, window, min_samples=shortest)


@register_model(
    "ast",
    title="Audio Spectrogram Transformer, 768 numbers; layers as ast#5#12",
    source="Gong 2021, trained on AudioSet (--weights also takes the authors' own .pth); fusion of Niizumi 2022",
    layers=range(1, 13),
    checkpoint="ast",
)
def ast(part: PartName, source: WeightSource) -> Stream:
    """AST (Gong 2021); its layers have no time axis, so windows are averaged by duration."""
    encoder, frontend = AST(), Fbank()
    source.fill(part.word, encoder, "ast")
    window = Window(frames=1024, fixed=True, fill=frontend.settings.padding_value)
    return published_stream(part, frontend, encoder, window)


@register_model(
    "coala",
    title="COALA's audio encoder, 1152 numbers, aligned with tags",
    source="Favory 2020, trained on Freesound",
    layers=COALAAudioEncoder.available,
    checkpoint="coala-audio",
)
def coala(part: PartName, source: WeightSource) -> Stream:
    """COALA's audio encoder (Favory 2020), without the random noise that its published code adds."""
    return published_stream(part, LogMel.coala(), coala_encoder(part, source), Window(frames=96, fixed=True))


def coala_encoder(part: PartName, source: WeightSource) -> COALAAudioEncoder:
    """COALA's published encoder and the ranges of its frames, filled with weights."""
    encoder = COALAAudioEncoder(COALASettings(published=True))

    def ranges() -> dict[str, Tensor]:
        scaler = source.fetch("coala-scaler", source.scaler(part.word))
        return {"frame_scale": scaler["scale_"], "frame_shift": scaler["min_"]}

    source.fill(part.word, encoder, "coala-audio", ranges)
    if source.chosen(part.word) == "random":
        # Any range will do for weights that have learned nothing: that of log(x + 1.19e-7) at full scale.
        nn.init.constant_(encoder.frame_scale, 1 / 20)
        nn.init.constant_(encoder.frame_shift, 16 / 20)
    return encoder


def coala_tags(source: WeightSource, word: str) -> tuple[COALATagEncoder, nn.Linear, tuple[str, ...]]:
    """The other side of COALA: its tag encoder, the map of its audio encoder to where the two meet, and its tags.

    They lie beside the audio encoder's weights when those are a file of one's own.

    Args:
        source: where the weights come from.
        word: the part's name, to look them up by.

    Raises:
        ModelError: they cannot be had, or nothing was learned.
    """
    chosen = source.chosen(word)
    if chosen == "random":
        raise ModelError(f"{word} with random weights knows no tags: use the published weights, or train it")
    beside = source.scaler(word)
    encoder = COALATagEncoder()
    encoder.load_state_dict(source.fetch("coala-tag", beside))
    linear = nn.Linear(COALA_DIM, COALA_DIM, bias=False)
    linear.load_state_dict({"weight": source.fetch("coala-audio", chosen)["fc_audio.0.weight"]})
    own = None if beside == "published" else Path(beside)
    words = fetch_vocabulary(path=own, offline=source.offline, announce=source.announce)
    if len(words) != encoder.vocabulary:
        raise ModelError(f"the tag encoder of {word} takes {encoder.vocabulary} tags, its vocabulary has {len(words)}")
    return encoder.eval(), linear, words
