"""Audio models of the transformers library as encoders: raw samples to their numbered hidden states.

Layer n is ``hidden_states[n]`` of ``AutoModel``; layer 0, the input of the first block, is not offered. The library's
own feature extractor runs inside, on one row at a time, so that a row does not depend on its batch: no sound is padded
to the length of another. Families whose extractor fills a fixed window (Whisper, AST, CLAP) get one sound in it, and
the steps of their layers that lie in the filling are cut off.

Hidden states have one of three layouts:

    [batch, time, dim]                    wav2vec 2.0 and its kin, w2v-BERT, Whisper, Moonshine, Parakeet
    [batch, tokens, dim]                  AST: two special tokens, then patches, frequency before time (Gong 2021)
    [batch, channel, height, width]       CLAP: HTS-AT folds time into four stripes of frequency (Chen 2022)
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from soundloom.encoders.base import Encoder, register_encoder
from soundloom.errors import InvalidArgumentError, MissingExtraError, ModelError

__all__ = ["TransformersAudio", "TransformersAudioSettings", "audio_tower", "transformers_library"]

_AST, _CLAP = "audio-spectrogram-transformer", "clap_audio_model"

_STRIPES = 4
"""How many stripes of frequency HTS-AT folds the time axis into."""

_SMALLEST = {
    "model_type": "wav2vec2",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "conv_dim": [8, 8],
    "conv_stride": [16, 20],
    "conv_kernel": [32, 20],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 1,
}


@dataclass(frozen=True, kw_only=True)
class TransformersAudioSettings:
    """What a model of the transformers library is built from, besides its weights.

    Attributes:
        config: the configuration of the part that takes sound, as the text of a JSON object.
        extractor: its feature extractor, as the text of a JSON object.
        window: the most seconds it takes at once.
        filled: whether the feature extractor fills shorter sounds up to the window.
        stride: samples of sound to one step of the shortest layer.
    """

    config: str = json.dumps(_SMALLEST)
    extractor: str = '{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}'
    window: float = 30.0
    filled: bool = False
    stride: int = 320

    def __post_init__(self) -> None:
        if self.window <= 0 or self.stride < 1:
            raise InvalidArgumentError(
                f"window is above 0 seconds and stride 1 sample or more, got {self.window} and {self.stride}"
            )


@register_encoder("TransformersAudio", settings=TransformersAudioSettings, aliases=("transformers",))
class TransformersAudio(Encoder):
    """A model of the transformers library over raw samples ``[batch, 1, 1, samples]``; gradients end at its input.

    Args:
        settings: what it is built from; a very small wav2vec 2.0 if not given.
        model: a model whose weights are taken over; random ones if not given.

    Attributes:
        settings: as given.
        model: the part of the model that takes sound.
        sample_rate: hertz.
        family: the model's type in the transformers library.

    Raises:
        MissingExtraError: transformers is not installed.
        ModelError: the installed transformers has no such model or feature extractor.
    """

    # Both are what the settings and weights make them; the library adds hooks to the model when it first runs.
    transient = ("_extractor", "model")
    export_obstacle = "whose feature extractor computes outside torch"

    def __init__(self, settings: TransformersAudioSettings | None = None, model: nn.Module | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or TransformersAudioSettings()
        self._extractor = _build_extractor(settings.extractor)
        self.sample_rate = int(self._extractor.sampling_rate)
        self.model = _build_model(settings.config, random=model is None).eval()
        if model is not None:
            self.model.load_state_dict(model.state_dict())
        config: Any = self.model.config
        self.family = str(config.model_type)
        self.stride = settings.stride
        self.available = tuple(range(1, _count_layers(config) + 1))

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The wanted hidden states: [B, D, 1, T], of AST and CLAP [B, D, F, T]. All blocks are computed.

        Raises:
            InvalidArgumentError: a wanted layer is not in ``available``, or the representation is not of samples.
            ModelError: the model returns no such hidden states.
        """
        self.check_wanted(wanted)
        samples = representation.shape[-1]
        hidden = getattr(self._run(representation), "hidden_states", None)
        if hidden is None or len(hidden) <= max(wanted):
            raise ModelError(f"a model of the type {self.family!r} returns no hidden states that could be its layers")
        return [self._spread(hidden[number], samples) for number in wanted]

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The last hidden state over time [B, D, T]; of AST and CLAP the pooled output [B, D, 1]."""
        output = self._run(representation)
        if self.family in (_AST, _CLAP):
            pooled: Tensor = output.pooler_output
            return pooled[:, :, None]
        return self._spread(output.last_hidden_state, representation.shape[-1])[:, :, 0]

    def extra_repr(self) -> str:
        """The settings in full: what, besides the weights, decides the layers."""
        return repr(self.settings)

    def extract(self, representation: Float[Tensor, "batch channel frequency time"]) -> dict[str, Tensor]:
        """What the library's feature extractor makes of each row, as the model takes it.

        Raises:
            InvalidArgumentError: the representation is not of samples.
        """
        if representation.shape[1:3] != (1, 1):
            raise InvalidArgumentError(
                f"{type(self).__name__} takes samples [batch, 1, 1, time], got {list(representation.shape)}"
            )
        waveforms = representation.flatten(1).detach().cpu().numpy()
        if self.settings.filled:
            # A rest of a few samples that joined the last window; CLAP's extractor would crop at random.
            waveforms = waveforms[:, : round(self.settings.window * self.sample_rate)]
        rows = [
            self._extractor(waveform, sampling_rate=self.sample_rate, return_tensors="np") for waveform in waveforms
        ]
        inputs = {key: torch.from_numpy(np.concatenate([np.asarray(row[key]) for row in rows])) for key in rows[0]}
        weight = next(self.model.parameters())
        return {
            key: value.to(weight.device, weight.dtype if value.is_floating_point() else None)
            for key, value in inputs.items()
        }

    def _run(self, representation: Tensor) -> Any:
        return self.model(**self.extract(representation), output_hidden_states=True)

    def _spread(self, hidden: Tensor, samples: int) -> Float[Tensor, "batch channel frequency time"]:
        """A hidden state with its axes apart, without the steps that lie in the filling."""
        if self.family == _AST:
            config: Any = self.model.config
            bins = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
            spread = torch.unflatten(hidden[:, 2:].movedim(1, -1), -1, (bins, -1))
        elif hidden.ndim == 4:
            folded = torch.unflatten(hidden, 2, (_STRIPES, -1))  # [B, C, stripe, F, T / 4]
            spread = folded.movedim(2, 3).flatten(3)
        else:
            spread = hidden.movedim(1, -1).unsqueeze(2)
        if not self.settings.filled:
            return spread
        share = samples / (self.settings.window * self.sample_rate)
        return spread[..., : max(1, ceil(round(spread.shape[-1] * share, 6)))]


def audio_tower(model: nn.Module) -> nn.Module:
    """The part of a model that takes sound.

    CLAP's audio model, the encoder of Whisper and Moonshine; else the model itself.
    """
    inner = getattr(model, "audio_model", None)
    if inner is None and getattr(model.config, "is_encoder_decoder", False):
        inner = getattr(model, "encoder", None)
    return inner if isinstance(inner, nn.Module) and hasattr(inner, "main_input_name") else model


def transformers_library() -> Any:
    """The transformers library.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import transformers
    except ModuleNotFoundError:
        raise MissingExtraError("transformers", "hf", "a model of the transformers library") from None
    return transformers


def _count_layers(config: Any) -> int:
    """How many hidden states follow the first block's input."""
    if config.model_type == _CLAP:
        return len(config.depths)
    for name in ("encoder_layers", "encoder_num_hidden_layers", "num_hidden_layers"):
        count = getattr(config, name, None)
        if isinstance(count, int):
            return count
    raise ModelError(f"a model of the type {config.model_type!r} does not say how many layers it has")


def _build_model(config: str, *, random: bool) -> nn.Module:
    """The model on the processor: buffers that are not saved are computed, whatever device is the default."""
    transformers = transformers_library()
    data = json.loads(config)
    kind = data.pop("model_type", None)
    # Drawing the weights of a full-sized model takes seconds; those that are to be replaced need not be drawn.
    drawn = random and torch.get_default_device().type != "meta"
    with torch.device("cpu"), nullcontext() if drawn else _Undrawn():
        try:
            built = transformers.AutoConfig.for_model(kind, **data)
            maker = transformers.ClapAudioModel._from_config if kind == _CLAP else transformers.AutoModel.from_config
            model: nn.Module = maker(built, dtype=torch.float32)
        except (ValueError, KeyError, ImportError) as error:
            raise ModelError(
                f"transformers {transformers.__version__} cannot build {kind!r}: {str(error)[:200]}"
            ) from None
    return audio_tower(model)


class _Undrawn(TorchFunctionMode):
    """Within it, in this thread alone, tensors keep whatever they hold instead of being filled at random."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "trunc_normal_", "kaiming_uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def _build_extractor(extractor: str) -> Any:
    data = json.loads(extractor)
    kind = str(data.get("feature_extractor_type"))
    transformers = transformers_library()
    found = getattr(transformers, kind, None)
    if not kind.endswith("FeatureExtractor") or found is None:
        raise ModelError(f"transformers {transformers.__version__} has no feature extractor {kind!r}: update it")
    try:
        with warnings.catch_warnings():
            # The library's own front-ends of AST and w2v-BERT are so.
            warnings.filterwarnings("ignore", message="At least one mel filter")
            return found.from_dict(data)
    except ImportError as error:
        raise ModelError(
            f"the feature extractor {kind!r} needs more packages: {' '.join(str(error).split())}"
        ) from None
