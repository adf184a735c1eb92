"""The real folders, where they are at hand: published counts, files that exist, folds as they were published."""

from __future__ import annotations

from collections import Counter

import pytest

from soundloom import corpora

WHERE = {
    "esc50": "esc50",
    "esc10": "esc50",
    "fsdd-digits": "fsdd",
    "fsdd-speakers": "fsdd",
    "arabic-commands": ".",
    "notes-pitch": ".",
    "notes-instrument": ".",
    "pool": ".",
}


@pytest.mark.parametrize("name", WHERE)
def test_every_file_of_the_real_copy_is_there(name, shared_audio):
    corpus = corpora.load(name, shared_audio / WHERE[name], check="full")
    assert len(corpus) == corpora.CORPORA[name].counts["clips"]


def test_esc50(shared_audio):
    corpus = corpora.load("esc50", shared_audio / "esc50")
    summary = corpus.summary()
    assert summary.folds == dict.fromkeys(range(1, 6), 400)
    assert set(summary.classes.values()) == {40}
    assert corpus.classes[:2] == ("dog", "rooster")
    # Two folds for four recordings, which the published list files under two classes each; one for all others.
    folds_of = Counter(group for group, _ in set(zip(corpus.column("group"), corpus.column("fold"), strict=True)))
    assert Counter(folds_of.values()) == {1: 1520, 2: 4}


def test_fsdd(shared_audio):
    assert corpora.load("fsdd-digits", shared_audio / "fsdd").summary().splits == {"train": 2700, "test": 300}
    by_speaker = corpora.load("fsdd-digits", shared_audio / "fsdd", disjoint="speakers")
    assert by_speaker.summary().folds == dict.fromkeys(range(1, 7), 500)


def test_arabic_commands_keep_speakers_apart(shared_audio):
    corpus = corpora.load("arabic-commands", shared_audio)
    speakers = {split: set(corpus.filter(split=split).column("group")) for split in ("train", "valid", "test")}
    assert {split: len(who) for split, who in speakers.items()} == {"train": 18, "valid": 6, "test": 6}
    assert len(set().union(*speakers.values())) == 30
    assert len(corpus.classes) == 40


def test_pool_splits_by_group_in_the_asked_shares(shared_audio):
    pool = corpora.load("pool", shared_audio)
    assert all(pool.column("tags"))
    parted = pool.with_grouped_splits((0.8, 0.1, 0.1), seed=0)
    shares = {split: count / len(pool) for split, count in parted.summary().splits.items()}
    assert shares == pytest.approx({"train": 0.8, "valid": 0.1, "test": 0.1}, abs=0.002)
    owners = {pair for pair in zip(parted.column("group"), parted.column("split"), strict=True) if pair[0]}
    assert len(owners) == len({group for group, _ in owners})
