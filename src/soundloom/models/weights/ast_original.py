"""AST's weights as its authors publish them, in the keys of the same weights for the transformers library.

The authors' repository (YuanGongND/ast) links ``audioset_10_10_0.4593.pth``, whose keys begin with ``module.v.`` and
``module.mlp_head.``; `soundloom.encoders.ast` has the keys of MIT/ast-finetuned-audioset-10-10-0.4593. The authors'
networks for other strides, lengths or classes have tensors of other shapes, and are refused by these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

__all__ = ["from_original"]

_TRUNK = "audio_spectrogram_transformer."
_RENAMED = (
    (r"v\.(cls_token)", r"embeddings.\1"),
    (r"v\.dist_token", r"embeddings.distillation_token"),
    (r"v\.pos_embed", r"embeddings.position_embeddings"),
    (r"v\.patch_embed\.proj\.(\w+)", r"embeddings.patch_embeddings.projection.\1"),
    (r"v\.blocks\.(\d+)\.norm1\.(\w+)", r"encoder.layer.\1.layernorm_before.\2"),
    (r"v\.blocks\.(\d+)\.attn\.qkv\.(\w+)", r"encoder.layer.\1.attention.attention.{}.\2"),
    (r"v\.blocks\.(\d+)\.attn\.proj\.(\w+)", r"encoder.layer.\1.attention.output.dense.\2"),
    (r"v\.blocks\.(\d+)\.norm2\.(\w+)", r"encoder.layer.\1.layernorm_after.\2"),
    (r"v\.blocks\.(\d+)\.mlp\.fc1\.(\w+)", r"encoder.layer.\1.intermediate.dense.\2"),
    (r"v\.blocks\.(\d+)\.mlp\.fc2\.(\w+)", r"encoder.layer.\1.output.dense.\2"),
    (r"v\.norm\.(\w+)", r"layernorm.\1"),
)
_CLASSIFIER = {"mlp_head.0.": "classifier.layernorm.", "mlp_head.1.": "classifier.dense."}
_LEFT_OUT = ("v.head.", "v.head_dist.")
"""Image classifiers that the vision transformer was trained with first."""


def from_original(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with the authors' keys renamed and their joint query, key and value matrix in its three thirds.

    Keys of other weights stay what they are.
    """
    translated: dict[str, Tensor] = {}
    for key, value in state.items():
        own = key.removeprefix("module.")
        if own.startswith(_LEFT_OUT):
            continue
        name = _translate(own)
        if name is None:
            translated[key] = value
        elif "{}" in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                translated[name.format(part)] = third
        else:
            translated[name] = value
    return translated


def _translate(key: str) -> str | None:
    for published, ours in _CLASSIFIER.items():
        if key.startswith(published):
            return ours + key.removeprefix(published)
    for pattern, replacement in _RENAMED:
        match = re.fullmatch(pattern, key)
        if match:
            return _TRUNK + match.expand(replacement)
    return None
