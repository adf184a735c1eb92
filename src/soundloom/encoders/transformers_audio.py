"""Audio models of the transformers library as encoders: waveform in, their numbered hidden states out.

Layer n is ``hidden_states[n]`` of ``AutoModel`` (layer 0, the input of the first block, is not offered). The library's
own feature extractor runs inside, on one row at a time, so that a row does not depend on its batch; the sound is
never padded to another sound's length nor cropped at random. Families that fill a fixed window (Whisper, AST, CLAP) are
given the sound alone; the steps that lie in the filling are cut off their layers.

Hidden states come in three orders, told apart by family:

    [batch, time, dim]                    wav2vec 2.0 and its kin, w2v-BERT, Whisper, Moonshine, Parakeet, PE-Audio
    [batch, tokens, dim]                  AST: special tokens, then patches, frequency before time (Gong et al. 2021)
    [batch, channel, height, width]       CLAP: HTS-AT folds time into four stripes of frequency (Chen et al. 2022)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom.encoders.base import Encoder
from soundloom.errors import MissingExtraError, ModelError

__all__ = ["HubAudioEncoder", "HubAudioSettings", "audio_tower", "count_layers"]

_STRIPES = 4
"""Into how many stripes of frequency HTS-AT folds the time axis."""


@dataclass(frozen=True, kw_only=True)
class HubAudioSettings:
    """What a model of the transformers library is built from; weights apart.

    Attributes:
        config: the model's ``config.json``.
        extractor: its ``preprocessor_config.json``.
        window: the most seconds it takes at once.
        filled: whether the feature extractor fills shorter sounds up to the window.
        stride: samples of sound to one step of the shortest layer.
    """

    config: str
    extractor: str
    window: float
    filled: bool
    stride: int

    def __repr__(self) -> str:
        kind = json.loads(self.config).get("model_type")
        return f"HubAudioSettings({kind}, window={self.window:g}, stride={self.stride})"


class HubAudioEncoder(Encoder):
    """A model of the transformers library over representations ``[batch, 1, 1, samples]``.

    Args:
        settings: what it is built from.
        model: the model with its weights; built from the settings, with random ones, if not given.

    Attributes:
        settings: as given.
        model: the audio tower.
        sample_rate: hertz.
    """

    def __init__(self, settings: HubAudioSettings, model: nn.Module | None = None) -> None:
        super().__init__()
        self.settings = settings
        self._extractor = _build_extractor(settings.extractor)
        self.sample_rate = int(self._extractor.sampling_rate)
        self.model = audio_tower(_build_model(settings.config)) if model is None else model
        self.family = str(self.model.config.model_type)
        self.stride = settings.stride
        self.available = tuple(range(1, count_layers(self.model.config) + 1))

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The wanted hidden states: [B, D, 1, T], of AST and CLAP [B, D, F, T].

        Raises:
            ValueError: a wanted layer is not in ``available``.
        """
        self.check_wanted(wanted)
        samples = representation.shape[-1]
        hidden = self._run(representation).hidden_states
        return [self._spread(hidden[number], samples) for number in wanted]

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The last hidden state over time [B, D, T]; of AST and CLAP the pooled output [B, D, 1]."""
        output = self._run(representation)
        if _is_image(self.family):
            return output.pooler_output[:, :, None]
        return self._spread(output.last_hidden_state, representation.shape[-1])[:, :, 0]

    def extra_repr(self) -> str:
        """The settings in full: a fingerprint counts them."""
        return f"{self.settings.config} {self.settings.extractor} {self.settings.window} {self.settings.stride}"

    def _run(self, representation: Tensor) -> Any:
        waveforms = representation.flatten(1).detach().cpu().numpy()
        rows = [
            self._extractor(waveform, sampling_rate=self.sample_rate, return_tensors="np") for waveform in waveforms
        ]
        place = next(self.model.parameters())
        inputs = {
            key: torch.from_numpy(np.concatenate([np.asarray(row[key]) for row in rows])).to(place.device)
            for key in rows[0]
        }
        inputs = {key: value.to(place.dtype) if value.is_floating_point() else value for key, value in inputs.items()}
        return self.model(**inputs, output_hidden_states=True)

    def _spread(self, hidden: Tensor, samples: int) -> Float[Tensor, "batch channel frequency time"]:
        """A hidden state with its axes apart, and without the steps that lie in the filling."""
        if self.family == "audio-spectrogram-transformer":
            config = self.model.config
            bins = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
            spread = hidden[:, 2:].movedim(1, -1).unflatten(-1, (bins, -1))
        elif hidden.ndim == 4:
            folded = hidden.unflatten(2, (_STRIPES, -1))  # [B, C, stripe, F, T / 4]
            spread = folded.movedim(2, 3).flatten(3)
        else:
            spread = hidden.movedim(1, -1).unsqueeze(2)
        if not self.settings.filled:
            return spread
        share = samples / (self.settings.window * self.sample_rate)
        return spread[..., : max(1, ceil(round(spread.shape[-1] * share, 6)))]


def audio_tower(model: nn.Module) -> nn.Module:
    """The part of a model that takes sound: CLAP's audio model, the encoder of Whisper and Moonshine, or the whole."""
    for name in ("audio_model", "encoder"):
        inner = getattr(model, name, None)
        if isinstance(inner, nn.Module) and hasattr(inner, "config") and hasattr(inner, "main_input_name"):
            if name == "encoder" and not getattr(model.config, "is_encoder_decoder", False):
                continue
            return inner
    return model


def count_layers(config: Any) -> int:
    """How many hidden states follow the first block's input."""
    if config.model_type == "clap_audio_model":
        return len(config.depths)
    for name in ("encoder_layers", "encoder_num_hidden_layers", "num_hidden_layers"):
        count = getattr(config, name, None)
        if isinstance(count, int):
            return count
    raise ModelError(f"a model of the type {config.model_type!r} does not say how many layers it has")


def _is_image(family: str) -> bool:
    return family in ("audio-spectrogram-transformer", "clap_audio_model")


def _transformers() -> Any:
    try:
        import transformers
    except ModuleNotFoundError:
        raise MissingExtraError("transformers", "hf", "models of the transformers library") from None
    return transformers


def _build_model(config: str) -> nn.Module:
    data = json.loads(config)
    kind = data.pop("model_type")
    transformers = _transformers()
    model: nn.Module = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **data))
    return model


def _build_extractor(extractor: str) -> Any:
    data = json.loads(extractor)
    kind = data.get("feature_extractor_type")
    found = getattr(_transformers(), str(kind), None)
    if found is None:
        raise ModelError(f"transformers has no feature extractor {kind!r}: update it")
    return found.from_dict(data)
