"""The authors' AST checkpoints (``module.v.*``, ``module.mlp_head.*``) in the keys of ``soundloom.encoders.ast``.

Not needed for the checkpoints published for the transformers library: those load as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from soundloom.errors import InvalidArgumentError

__all__ = ["from_original"]

_RENAMED = (
    (r"^module\.v\.(cls_token)$", r"embeddings.\1"),
    (r"^module\.v\.dist_token$", r"embeddings.distillation_token"),
    (r"^module\.v\.pos_embed$", r"embeddings.position_embeddings"),
    (r"^module\.v\.patch_embed\.proj\.", r"embeddings.patch_embeddings.projection."),
    (r"^module\.v\.blocks\.(\d+)\.norm1\.", r"encoder.layer.\1.layernorm_before."),
    (r"^module\.v\.blocks\.(\d+)\.attn\.qkv\.", r"encoder.layer.\1.attention.attention.{}."),
    (r"^module\.v\.blocks\.(\d+)\.attn\.proj\.", r"encoder.layer.\1.attention.output.dense."),
    (r"^module\.v\.blocks\.(\d+)\.norm2\.", r"encoder.layer.\1.layernorm_after."),
    (r"^module\.v\.blocks\.(\d+)\.mlp\.fc1\.", r"encoder.layer.\1.intermediate.dense."),
    (r"^module\.v\.blocks\.(\d+)\.mlp\.fc2\.", r"encoder.layer.\1.output.dense."),
    (r"^module\.v\.norm\.", r"layernorm."),
)
_CLASSIFIER = {"module.mlp_head.0.": "classifier.layernorm.", "module.mlp_head.1.": "classifier.dense."}


def from_original(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate a checkpoint of the authors' repository into the keys used here.

    The image classifiers left over from the vision transformer (``module.v.head*``) are dropped; the joint
    query, key and value matrix is split into its three thirds.

    Raises:
        InvalidArgumentError: a key is not one of an AST's.
    """
    translated: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.startswith("module.v.head"):
            continue
        name = _translate(key)
        if "{}" in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                translated[name.format(part)] = third
        else:
            translated[name] = value
    return translated


def _translate(key: str) -> str:
    for published, ours in _CLASSIFIER.items():
        if key.startswith(published):
            return ours + key.removeprefix(published)
    for pattern, replacement in _RENAMED:
        name, count = re.subn(pattern, replacement, key)
        if count:
            return f"audio_spectrogram_transformer.{name}"
    raise InvalidArgumentError(
        f"{key!r} is no key of an AST checkpoint, which look like 'module.v.blocks.0.norm1.weight'"
    )
