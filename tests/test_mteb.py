"""The encoder for mteb: batches as mteb decodes them, cosines, and sounds and texts in one space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import soundloom
from helpers import tiny_transformers
from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.mteb import MtebEncoder
from soundloom.tags import text_tower

RATE = 16000


def sounds(count: int, rate: int = RATE) -> list[dict[str, object]]:
    random = np.random.default_rng(0)
    return [{"array": 0.1 * random.standard_normal(rate), "sampling_rate": rate} for _ in range(count)]


def test_batches_are_embedded_in_their_order() -> None:
    encoder, model, items = MtebEncoder("logmel+mfcc"), soundloom.load("logmel+mfcc"), sounds(3)
    found = encoder.encode([{"audio": items[:2]}, {"audio": items[2:]}], task_metadata=None, hf_split="test")
    expected = [model.embed(np.asarray(item["array"], np.float32), RATE) for item in items]
    np.testing.assert_array_equal(found, np.stack(expected))
    stereo = {"array": np.stack([items[0]["array"]] * 2), "sampling_rate": RATE}
    np.testing.assert_array_equal(encoder.encode([{"audio": [stereo]}])[0], found[0])
    assert MtebEncoder(model).encode([]).shape == (0, model.dim)


def test_similarities_are_cosines() -> None:
    random = np.random.default_rng(1)
    one, two = random.standard_normal((3, 4)), random.standard_normal((3, 4))
    expected = one @ two.T / np.linalg.norm(one, axis=1)[:, None] / np.linalg.norm(two, axis=1)
    encoder = MtebEncoder("logmel")
    torch.testing.assert_close(encoder.similarity(one, two), torch.tensor(expected, dtype=torch.float32))
    torch.testing.assert_close(
        encoder.similarity_pairwise(one, two), torch.tensor(np.diagonal(expected).copy(), dtype=torch.float32)
    )


def test_sounds_and_texts_meet_where_the_model_has_a_text_tower(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = tiny_transformers.save_clap(tmp_path / "clap")
    encoder, tower, items = MtebEncoder(f"logmel+{folder}"), text_tower(folder), sounds(2, 48000)
    texts = encoder.encode([{"text": ["rain on a roof", "dog"]}])
    np.testing.assert_array_equal(texts, tower.embed_text(["rain on a roof", "dog"]).numpy())
    own = soundloom.load(str(folder))
    stored = torch.from_numpy(np.stack([own.embed(np.asarray(item["array"], np.float32), 48000) for item in items]))
    found = encoder.similarity(encoder.encode([{"audio": items}]), texts)
    torch.testing.assert_close(found, tower.similarities(stored, ["rain on a roof", "dog"]), rtol=1e-4, atol=1e-5)
    alone = MtebEncoder(str(folder), texts=False)
    torch.testing.assert_close(torch.from_numpy(alone.encode([{"audio": items}])), stored)


def test_what_cannot_be_embedded_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="'logmel' takes no texts"):
        MtebEncoder("logmel").encode([{"text": ["dog"]}])
    with pytest.raises(InvalidArgumentError, match=r"got \['image'\]"):
        MtebEncoder("logmel").encode([{"image": []}])


def test_the_description_is_mteb_s() -> None:
    encoder = MtebEncoder("logmel")
    try:
        from mteb.models.model_meta import ModelMeta
        from mteb.models.models_protocols import EncoderProtocol
    except ImportError:
        with pytest.raises(ModelError, match="pip install mteb"):
            _ = encoder.mteb_model_meta
        return
    meta = encoder.mteb_model_meta
    assert isinstance(meta, ModelMeta)
    assert isinstance(encoder, EncoderProtocol)
    assert (meta.name, meta.embed_dim, meta.modalities) == ("soundloom/logmel", 128, ["audio"])
