"""Checkpoints in the published layouts, small and of random numbers."""

from __future__ import annotations

import torch


def seeded(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.tensor(3) if key.endswith("num_batches_tracked") else torch.randn(shape, generator=generator)
        for key, shape in shapes.items()
    }


# The published layouts in miniature, a row of the table each, with the published file that fits it.
SMALL: dict[str, dict[str, tuple[int, ...]]] = {
    "cnn14-16k": {
        "spectrogram_extractor.stft.conv_real.weight": (5, 1, 8),
        "logmel_extractor.melW": (5, 2),
        "bn0.weight": (2,),
        "bn0.num_batches_tracked": (),
        "conv_block1.conv1.weight": (4, 1, 3, 3),
    },
    "vggish": {"features.0.weight": (4, 1, 3, 3), "features.0.bias": (4,), "embeddings.0.weight": (6, 8)},
    "vggish-pca": {"pca_eigen_vectors": (4, 4), "pca_means": (4,)},
    "ast": {"audio_spectrogram_transformer.embeddings.cls_token": (1, 1, 6), "classifier.dense.bias": (5,)},
    "coala-audio": {"audio_encoder.0.weight": (4, 1, 4, 4), "fc_audio.0.weight": (9, 9)},
    "coala-tag": {"tag_encoder.0.weight": (5, 7), "fc_tag.0.weight": (9, 9)},
    "coala-scaler": dict.fromkeys(("scale_", "min_", "data_min_", "data_max_"), (96,)),
}


def assert_same(got: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
