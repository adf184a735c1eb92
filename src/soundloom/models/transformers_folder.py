"""Folders written by the transformers library as models: windows, stride and shortest sound found out, weights read.

    FOLDER/config.json                 the model's type and sizes
    FOLDER/preprocessor_config.json    its feature extractor; or processor_config.json
    FOLDER/model.safetensors           its weights; or in pieces, model-00001-of-00002.safetensors, with their index
    FOLDER/README.md                   the licence

Weights are read from safetensors alone, and no code from the folder is run. Windows are soundloom's own: families with
a fixed window take that, others 30 s at most; nothing is cropped at random.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from soundloom.embedder import Stream, Window
from soundloom.encoders import TransformersAudio, TransformersAudioSettings
from soundloom.encoders.shortest_input import noise, shortest_input
from soundloom.encoders.transformers_audio import audio_tower, transformers_library
from soundloom.errors import ModelError
from soundloom.frontends.framed_waveform import PatchSettings, WaveformPatches
from soundloom.models.names import word_of

__all__ = ["EXTRACTORS", "TOKENISERS", "is_transformers", "load_folder", "quiet"]

EXTRACTORS = ("preprocessor_config.json", "processor_config.json")
"""Files that may hold the feature extractor's settings."""

TOKENISERS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt")
"""Files of the tokeniser of a model with a text tower."""

_WINDOW = 30.0
"""Seconds that a model without a window of its own takes at once."""

_LEFT_OUT = {
    "_name_or_path", "_commit_hash", "architectures", "auto_map", "dtype", "torch_dtype",
    "transformers_version", "id2label", "label2id", "processor_class", "_processor_class",
}  # fmt: skip
"""Settings that no output depends on."""

_PLUGIN = "write it as a plug-in of your own, which can run any code: docs/extending.md"


def is_transformers(config: object) -> bool:
    """Whether the data of a ``config.json`` are a transformers model's rather than a saved soundloom model's."""
    return isinstance(config, Mapping) and "model_type" in config and "format" not in config


def load_folder(folder: Path, config: Mapping[str, Any], name: str) -> Stream:
    """The model in a folder, its customary embedding averaged over time.

    Args:
        folder: where its files lie.
        config: the data of its ``config.json``.
        name: what the model is called.

    Raises:
        ModelError: it is not an audio model that transformers has, it needs code from its folder, it has no weights in
            safetensors, or they do not fit.
        MissingExtraError: transformers is not installed.
    """
    transformers = transformers_library()
    _check_known(transformers, config, folder)
    if not any(folder.glob("model*.safetensors")):
        raise ModelError(
            f"no weights in {str(folder)!r}: there is no model.safetensors, and weights of any other form are not "
            "read. On the Hugging Face hub a converted copy often is a revision: hf:OWNER/NAME@refs/pr/NUMBER"
        )
    with quiet(transformers), _explained(folder):
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        whole, found = transformers.AutoModel.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    tower = audio_tower(whole)
    _check_weights(found, whole, tower, folder)
    if getattr(tower, "main_input_name", "") not in ("input_values", "input_features"):
        raise ModelError(f"{str(folder)!r} is a {config['model_type']!r}, which takes no sound")
    settings = _measured(tower, extractor)
    encoder = TransformersAudio(settings, tower).eval().requires_grad_(False)
    return Stream(
        word_of(name),
        WaveformPatches(PatchSettings(sample_rate=encoder.sample_rate, length=1)),
        encoder,
        layers=None,
        pooling="mean",
        window=Window(frames=round(settings.window * encoder.sample_rate), fixed=False),
        min_samples=shortest_input(partial(_takes, encoder), encoder.sample_rate),
    )


def _check_known(transformers: Any, config: Mapping[str, Any], folder: Path) -> None:
    kind = config["model_type"]
    if kind in transformers.models.auto.configuration_auto.CONFIG_MAPPING:
        return
    if "auto_map" in config:
        raise ModelError(f"{str(folder)!r} is a {kind!r}, which needs code from its folder, and none is run: {_PLUGIN}")
    raise ModelError(
        f"{str(folder)!r} is a {kind!r}, which transformers {transformers.__version__} does not have: update it, or "
        f"{_PLUGIN}"
    )


def _check_weights(found: Mapping[str, Any], whole: nn.Module, tower: nn.Module, folder: Path) -> None:
    """Refuse weights that leave part of what takes sound as it was drawn."""
    prefix = next((f"{path}." for path, module in whole.named_modules() if module is tower and path), "")
    missing = sorted(
        key
        for key in (*found["missing_keys"], *(row[0] for row in found["mismatched_keys"]))
        if key.startswith(prefix) and not key.endswith("masked_spec_embed")
    )
    if missing:
        raise ModelError(f"the weights in {str(folder)!r} do not fit its config.json: there is no {missing[0]!r}")


def _measured(tower: nn.Module, extractor: Any) -> TransformersAudioSettings:
    """The settings of a model: its window by family, its stride by how many steps two lengths of noise give."""
    sizes: Any = tower.config
    family = str(sizes.model_type)
    rate = int(extractor.sampling_rate)
    windows: dict[str, Callable[[], float]] = {
        "whisper": lambda: extractor.n_samples / rate,
        "audio-spectrogram-transformer": lambda: extractor.max_length * 0.01,
        "clap_audio_model": lambda: extractor.nb_max_samples / rate,
    }
    filled = family in windows
    settings = TransformersAudioSettings(
        config=_text(sizes.to_dict()),
        extractor=_text(json.loads(extractor.to_json_string())),
        window=float(windows[family]()) if filled else _WINDOW,
        filled=filled,
        stride=1,
    )
    encoder = TransformersAudio(settings, tower)
    if filled:
        samples = round(settings.window * rate)
        return replace(settings, stride=max(1, samples // _steps(encoder, samples)))
    # 2.4 s are a whole number of steps of every tested family's: 320, 384, 640 and 1280 samples.
    apart = round(2.4 * rate)
    short, long = (_steps(encoder, samples) for samples in (rate, rate + apart))
    return replace(settings, stride=max(1, round(apart / max(1, long - short))))


def _takes(encoder: TransformersAudio, samples: int) -> bool:
    """Whether so many samples give every layer a step; where the window is filled, whether the extractor takes them."""
    try:
        return _gives_steps(encoder, noise(samples))
    except (ValueError, RuntimeError, IndexError, ArithmeticError, AssertionError, RuntimeWarning):
        return False


def _gives_steps(encoder: TransformersAudio, sound: Tensor) -> bool:
    with warnings.catch_warnings(), np.errstate(all="ignore"), torch.inference_mode():
        # Such as the variance of a single frame.
        warnings.simplefilter("error", RuntimeWarning)
        if not all(bool(value.isfinite().all()) for value in encoder.extract(sound).values()):
            return False
        if encoder.settings.filled:
            return True
        layers = encoder.layers(sound, encoder.available)
    return all(layer.shape[-1] > 0 and bool(layer.isfinite().all()) for layer in layers)


def _steps(encoder: TransformersAudio, samples: int) -> int:
    with torch.inference_mode():
        return min(layer.shape[-1] for layer in encoder.layers(noise(samples), encoder.available))


def _text(data: Mapping[str, Any]) -> str:
    """Settings of the library as canonical JSON, without what no output depends on."""
    kept = {key: value for key, value in data.items() if key not in _LEFT_OUT}
    return json.dumps(kept, sort_keys=True)


@contextmanager
def _explained(folder: Path) -> Any:
    """Turn what the library raises of a folder into a `ModelError` of one line."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"transformers cannot load {str(folder)!r} as an audio model: {reason}") from error


@contextmanager
def quiet(transformers: Any) -> Any:
    """Keep the library's bars and reports of unused weights off the terminal."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="At least one mel filter")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
