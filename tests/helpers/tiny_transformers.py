"""Audio models of the transformers library, tiny and random, written to folders as their authors publish them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SMALL = {"num_attention_heads": 2, "intermediate_size": 48, "num_hidden_layers": 3, "hidden_size": 32}

WAV2VEC2 = SMALL | {
    "conv_dim": (16, 16, 16),
    "conv_stride": (5, 8, 8),
    "conv_kernel": (10, 8, 8),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}

TEXT = {"vocab_size": 64, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 48, "num_hidden_layers": 2}


def _wav2vec2_kin(name: str, **more: Any) -> Callable[[Any], tuple[Any, Any]]:
    def build(library: Any) -> tuple[Any, Any]:
        config = getattr(library, f"{name}Config")(**(WAV2VEC2 | more))
        return getattr(library, f"{name}Model")(config), library.Wav2Vec2FeatureExtractor()

    return build


def _w2v_bert(library: Any) -> tuple[Any, Any]:
    config = library.Wav2Vec2BertConfig(**SMALL, feature_projection_input_dim=160)
    extractor = library.SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80, stride=2)
    return library.Wav2Vec2BertModel(config), extractor


def _whisper(library: Any) -> tuple[Any, Any]:
    config = library.WhisperConfig(
        vocab_size=64,
        d_model=32,
        encoder_layers=3,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return library.WhisperModel(config), library.WhisperFeatureExtractor()


def _ast(library: Any) -> tuple[Any, Any]:
    return library.ASTModel(library.ASTConfig(**SMALL, max_length=256)), library.ASTFeatureExtractor(max_length=256)


def _clap(library: Any) -> tuple[Any, Any]:
    audio = {
        "patch_embeds_hidden_size": 16,
        "hidden_size": 128,
        "depths": [1, 1, 2, 1],
        "num_attention_heads": [1, 2, 2, 4],
        "projection_dim": 24,
        "enable_fusion": False,
    }
    text = TEXT | {"projection_dim": 24, "max_position_embeddings": 40}
    config = library.ClapConfig(text_config=text, audio_config=audio, projection_dim=24)
    return library.ClapModel(config), library.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")


def _moonshine(library: Any) -> tuple[Any, Any]:
    config = library.MoonshineConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        encoder_num_hidden_layers=3,
        decoder_num_hidden_layers=1,
        encoder_num_attention_heads=2,
        decoder_num_attention_heads=2,
    )
    return library.MoonshineModel(config), library.Wav2Vec2FeatureExtractor(do_normalize=False)


def _parakeet(library: Any) -> tuple[Any, Any]:
    config = library.ParakeetEncoderConfig(**SMALL, num_mel_bins=80, subsampling_conv_channels=16)
    return library.ParakeetEncoder(config), library.ParakeetFeatureExtractor()


def _layer_norm(library: Any) -> tuple[Any, Any]:
    """The larger wav2vec 2.0, whose extractor gives a mask."""
    config = library.Wav2Vec2Config(**WAV2VEC2, feat_extract_norm="layer", do_stable_layer_norm=True)
    return library.Wav2Vec2Model(config), library.Wav2Vec2FeatureExtractor(return_attention_mask=True)


_BUILDERS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "wav2vec2": _wav2vec2_kin("Wav2Vec2"),
    "wav2vec2-layer-norm": _layer_norm,
    "hubert": _wav2vec2_kin("Hubert"),
    "wavlm": _wav2vec2_kin("WavLM", num_buckets=32, max_bucket_distance=80),
    "data2vec-audio": _wav2vec2_kin("Data2VecAudio", num_conv_pos_embeddings=2, conv_pos_kernel_size=5),
    "unispeech-sat": _wav2vec2_kin("UniSpeechSat"),
    "sew": _wav2vec2_kin("SEW", squeeze_factor=2),
    "wav2vec2-conformer": _wav2vec2_kin("Wav2Vec2Conformer", position_embeddings_type="relative"),
    "w2v-bert": _w2v_bert,
    "whisper": _whisper,
    "ast": _ast,
    "clap": _clap,
    "moonshine": _moonshine,
    "parakeet": _parakeet,
}

FAMILIES = tuple(_BUILDERS)


def save(family: str, folder: Path, seed: int = 0) -> Path:
    """Write a model of a family, the same for every seed, with its feature extractor and a licence."""
    import transformers

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="At least one mel filter")
        torch.manual_seed(seed)
        model, extractor = _BUILDERS[family](transformers)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# tiny\n", encoding="utf-8")
    return folder


def save_clap(folder: Path, seed: int = 0) -> Path:
    """A CLAP model with a tokeniser of seven words: <unk>, <pad>, rain, on, a, roof and dog are tokens 0 to 6."""
    import tokenizers
    import transformers

    save("clap", folder, seed=seed)
    words = {"<unk>": 0, "<pad>": 1, "rain": 2, "on": 3, "a": 4, "roof": 5, "dog": 6}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>", pad_token="<pad>")
    wrapped.save_pretrained(folder)
    return folder
