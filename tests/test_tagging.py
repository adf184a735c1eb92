"""The tag model: directions of tags, their scores and suggestions, kept beside a stream."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from soundloom import corpora
from soundloom.encoders import COALATagEncoder
from soundloom.errors import ModelError, QueryError
from soundloom.models.saved_model import WEIGHTS
from soundloom.tags import (
    AlignedTags,
    Vocabulary,
    VocabularySettings,
    suggest_tags,
    words_of,
)
from soundloom.tags.class_head import TagHead
from soundloom.tags.tag_decoder import TagDecoder
from soundloom.tags.tokenise import STOP_WORDS

# What a model makes of tags


def aligned(dim: int = 6, tags: tuple[str, ...] = ("dog", "bark", "rain")) -> AlignedTags:
    torch.manual_seed(5)
    encoder = COALATagEncoder(len(tags))
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return AlignedTags("mine", dim, Vocabulary(tags=tags), encoder=encoder, audio_map=nn.Linear(dim, 1152, bias=False))


def test_a_direction_scores_as_the_space_does() -> None:
    known = aligned()
    z = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    assert known.audio_map is not None
    assert known.encoder is not None
    with torch.inference_mode():
        phi_a = known.audio_map(z)
        phi_t = known.encoder.align(known.encoder(torch.eye(3)))
        cosines = nn.functional.cosine_similarity(phi_a[:, None], phi_t[None], dim=2)
        torch.testing.assert_close(known.scores(z), cosines)
        for number, tag in enumerate(known.vocabulary.tags):
            pulled = z @ known.direction([tag]) / phi_a.norm(dim=1)
            torch.testing.assert_close(pulled, cosines[:, number])
    # About a sound, the direction is the gradient of the cosine, up to the length of the sound's map.
    around = z[0].clone().requires_grad_()
    with torch.no_grad():
        target = known.encoder.align(known.encoder(torch.eye(3)))[1]
    nn.functional.cosine_similarity(known.audio_map(around), target, dim=0).backward()
    assert around.grad is not None
    gradient = around.grad * known.audio_map(z[0]).norm().detach()
    torch.testing.assert_close(known.direction(["bark"], around=known.common(z[:1])), gradient)
    torch.testing.assert_close(known.direction(["dog"], ["rain"]), known.direction(["dog"]) - known.direction(["rain"]))
    with pytest.raises(QueryError, match="no tags to search by"):
        known.direction([])


def test_tags_are_decoded_from_those_that_are_near(tmp_path: Path) -> None:
    known = aligned()
    assert known.predict(torch.zeros(1, 6)) is None
    known.decoder = TagDecoder(3).eval()
    known.centre.copy_(known.common(torch.randn(9, 6, generator=torch.Generator().manual_seed(2))))
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    found = known.predict(z)
    assert found is not None
    assert known.encoder is not None
    with torch.inference_mode():
        near = (known.scores(z) - known.usual()).tolist()
        each = [known.encoder(torch.eye(3)[[tag]])[0] for tag in range(3)]
        for row, scores in zip(found, near, strict=True):
            powers = [math.exp(score / 0.1) for score in scores]
            mean = sum(power / sum(powers) * side for power, side in zip(powers, each, strict=True))
            assert isinstance(mean, torch.Tensor)
            torch.testing.assert_close(row, 1 / (1 + (-known.decoder(mean[None])[0]).exp()))
    (tmp_path / WEIGHTS).write_bytes(b"of the stream")
    known.save(tmp_path)
    again = AlignedTags.load(tmp_path).predict(z)
    assert again is not None
    torch.testing.assert_close(again, found)
    head = TagHead(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    telling = AlignedTags("mine", 6, Vocabulary(tags=("dog", "rain")), head=head)
    torch.testing.assert_close(telling.predict(z), telling.scores(z))
    with pytest.raises(ValueError, match="needs the tag encoder"):
        AlignedTags("mine", 6, Vocabulary(tags=("dog", "rain")), head=head, decoder=TagDecoder(2))


@pytest.mark.parametrize("counts", [(), (40, 2, 40)])
def test_suggestions_are_by_nearness_and_frequency(counts: tuple[int, ...]) -> None:
    known = aligned()
    known.vocabulary = Vocabulary(tags=known.vocabulary.tags, counts=counts, sounds=80 if counts else 0)
    learned = torch.randn(9, 6, generator=torch.Generator().manual_seed(2))
    known.centre.copy_(known.common(learned))
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    nearer = (known.scores(z) - known.scores(learned).mean(dim=0)).tolist()
    shares = [(count + 0.5) / 81 for count in counts] or [1 / 4] * 3
    for row, found in zip(nearer, suggest_tags(known, z.numpy(), k=2), strict=True):
        odds = [share / (1 - share) * math.exp(near / 0.1) for share, near in zip(shares, row, strict=True)]
        probable = [each / (1 + each) for each in odds]
        best = sorted(range(3), key=lambda tag: -probable[tag])[:2]
        assert [suggestion.tag for suggestion in found] == [known.vocabulary.tags[tag] for tag in best]
        assert [suggestion.score for suggestion in found] == pytest.approx([probable[tag] for tag in best], abs=1e-5)


def test_suggestions_of_other_things() -> None:
    known = aligned()
    assert suggest_tags(known, np.zeros((0, 6), np.float32)) == []
    assert len(suggest_tags(known, np.ones((1, 6), np.float32), k=9)[0]) == 3
    with pytest.raises(ValueError, match="embeddings of 6, got 5"):
        suggest_tags(known, np.ones((1, 5), np.float32))


def test_a_head_tells_probabilities_and_no_direction() -> None:
    head = TagHead(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    known = AlignedTags("mine", 6, Vocabulary(tags=("dog", "rain")), head=head)
    z = torch.randn(3, 6)
    torch.testing.assert_close(known.scores(z), head(z).sigmoid())
    with pytest.raises(QueryError, match="trained without a tag encoder"):
        known.direction(["dog"])
    with pytest.raises(ValueError, match="need a tag encoder and the audio's map to it, or a head"):
        AlignedTags("mine", 6, Vocabulary(tags=("dog",)))


@pytest.mark.parametrize("headed", [True, False])
def test_kept_beside_a_model(tmp_path: Path, headed: bool) -> None:
    if headed:
        head = TagHead(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        known = AlignedTags("mine", 6, Vocabulary(tags=("dog", "bark", "rain")), head=head)
    else:
        known = aligned()
    with pytest.raises(ModelError, match="cannot read"):
        known.save(tmp_path)  # there is no model yet
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    known.centre.fill_(0.5)
    known.save(tmp_path)
    again = AlignedTags.load(tmp_path)
    z = torch.randn(3, 6)
    assert torch.equal(again.scores(z), known.scores(z))
    assert torch.equal(again.centre, known.centre)
    assert (again.part, again.vocabulary) == ("mine", known.vocabulary)
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ModelError, match="of another saving"):
        AlignedTags.load(tmp_path)
    with pytest.raises(ModelError, match="knows no tags"):
        AlignedTags.load(tmp_path / "absent")


def test_real_tags(shared_audio: Path) -> None:
    pool = corpora.load("pool", shared_audio)
    words = words_of(pool)
    vocabulary = Vocabulary.build(words, VocabularySettings(fewest_sounds=5))
    assert {"dog", "piano", "rain", "glass", "bass"} <= set(vocabulary.tags)
    assert not STOP_WORDS & set(vocabulary.tags)
    counts = vocabulary.encode(words).sum(axis=0)
    assert counts.tolist() == list(vocabulary.counts)
