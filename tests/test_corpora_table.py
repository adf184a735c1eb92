"""The corpus object: labels as numbers, choosing clips, splits that stay, files that come back the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from soundloom import corpora
from soundloom.corpora import Corpus, CorpusError, clip_table
from soundloom.errors import SoundloomError

FRACTIONS = (0.5, 0.25, 0.25)


def make(**changes):
    table = clip_table(
        [f"/sounds/{number}.wav" for number in range(6)],
        ["dog", "cat", "dog", "bird", "cat", "dog"],
        tags=[["bark"], [], ["bark", "loud"], [], [], []],
        starts=[None, 0.5, None, None, None, None],
        ends=[None, 1.5, None, None, None, None],
        splits=["train", "train", "valid", "test", "test", None],
        folds=[1, 1, 2, 2, 3, None],
        groups=["a", "a", "b", None, None, "c"],
        extra={"midi": [60, 61, None, 63, 64, 65]},
    )
    settings = {
        "name": "toy",
        "root": Path("/sounds"),
        "task": "single-label",
        "classes": ("dog", "cat", "bird"),
        "table": table,
        "split_origin": "official",
    }
    return Corpus(**(settings | changes))


def make_multi(labels, classes=("a", "b", "c")):
    table = clip_table([f"/{number}.wav" for number in range(len(labels))], labels)
    return Corpus(name="many", root=Path("/"), task="multi-label", classes=classes, table=table)


def test_length_columns_and_repr():
    corpus = make()
    assert len(corpus) == 6
    assert corpus.column("start") == [None, 0.5, None, None, None, None]
    assert corpus.column("midi")[2] is None
    assert repr(corpus) == "Corpus('toy', 6 clips, 3 classes, single-label, splits: official)"


def test_label_ids_number_the_classes_in_their_own_order():
    assert make().label_ids().tolist() == [0, 1, 0, 2, 1, 0]


def test_label_matrix_agrees_with_a_loop():
    labels = [["a", "c"], [], ["b"], ["c", "b", "a"]]
    corpus = make_multi(labels)
    expected = [[name in row for name in corpus.classes] for row in labels]
    assert corpus.label_matrix().tolist() == expected


def test_label_matrix_after_filtering_looks_at_the_clips_that_are_left():
    labels = [["a"], ["b", "c"], [], ["c"]]
    corpus = make_multi(labels).filter(mask=np.array([False, True, True, False]))
    assert corpus.label_matrix().tolist() == [[False, True, True], [False, False, False]]


def test_multi_label_corpora_have_no_single_number():
    with pytest.raises(CorpusError, match="multi-label"):
        make_multi([["a"]]).label_ids()


def test_an_empty_corpus_counts_to_zero():
    corpus = make_multi([], classes=())
    assert corpus.label_matrix().shape == (0, 0)
    assert corpus.summary().clips == 0


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({"split": "test"}, [3, 4]),
        ({"split": ["train", "valid"]}, [0, 1, 2]),
        ({"fold": 2}, [2, 3]),
        ({"fold": range(1, 3)}, [0, 1, 2, 3]),
        ({"fold": {1, 3}}, [0, 1, 4]),
        ({"group": "a"}, [0, 1]),
        ({"label": "dog"}, [0, 2, 5]),
        ({"label": ["bird", "cat"], "split": "test"}, [3, 4]),
        ({"mask": np.array([True, False] * 3), "label": "dog"}, [0, 2]),
        ({}, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_filter_keeps_what_meets_every_condition(condition, kept):
    corpus = make()
    chosen = corpus.filter(**condition)
    assert chosen.column("path") == [f"/sounds/{number}.wav" for number in kept]
    assert chosen.classes == corpus.classes


@pytest.mark.parametrize("condition", [{"split": "tset"}, {"fold": 9}, {"group": "z"}, {"label": "dgo"}])
def test_filter_refuses_what_does_not_occur(condition):
    with pytest.raises(CorpusError, match=repr(next(iter(condition.values())))):
        make().filter(**condition)


def test_summary_counts():
    summary = make().summary()
    assert summary.splits == {"train": 2, "valid": 1, "test": 2}
    assert summary.folds == {1: 2, 2: 2, 3: 1}
    assert summary.classes == {"dog": 3, "cat": 2, "bird": 1}
    assert (summary.clips, summary.groups, summary.tags) == (6, 5, 2)


@pytest.mark.parametrize("origin", ["official", "listed"])
def test_given_splits_are_never_reshuffled(origin):
    with pytest.raises(CorpusError, match="never reshuffled"):
        make(split_origin=origin).with_grouped_splits(FRACTIONS, seed=0)


def test_drawn_splits_are_stored_and_keep_groups_whole():
    corpus = make(split_origin="none").with_grouped_splits(FRACTIONS, seed=3)
    assert (corpus.split_origin, corpus.seed) == ("drawn", 3)
    assert corpus.column("split")[0] == corpus.column("split")[1]
    assert set(corpus.column("split")) == {"train", "valid", "test"}
    assert corpus.column("split") == make(split_origin="none").with_grouped_splits(FRACTIONS, seed=3).column("split")


def test_drawn_splits_need_enough_groups():
    with pytest.raises(CorpusError, match=r"many: 1 group of sounds .* cannot be divided"):
        make_multi([["a"]]).with_grouped_splits(FRACTIONS, seed=0)


def test_saved_and_loaded_is_the_same(tmp_path):
    corpus = make(seed=None, licence="CC0", address="https://example.org")
    corpus.save(tmp_path / "split=a.parquet")
    assert Corpus.load(tmp_path / "split=a.parquet") == corpus
    assert [path.name for path in tmp_path.iterdir()] == ["split=a.parquet"]


def test_drawn_splits_survive_saving(tmp_path):
    corpus = make(split_origin="none").with_grouped_splits(FRACTIONS, seed=3)
    corpus.save(tmp_path / "corpus.parquet")
    again = Corpus.load(tmp_path / "corpus.parquet")
    assert (again.seed, again.split_origin) == (3, "drawn")
    assert again.column("split") == corpus.column("split")


def test_loading_what_is_no_corpus(tmp_path):
    with pytest.raises(CorpusError, match="is no CSV of clips: name the file itself"):
        corpora.load("csv", tmp_path)
    with pytest.raises(CorpusError, match=r"nothing\.parquet"):
        Corpus.load(tmp_path / "nothing.parquet")
    (tmp_path / "text.parquet").write_text("not parquet at all, whatever it is called")
    with pytest.raises(CorpusError, match="cannot be read as a corpus"):
        Corpus.load(tmp_path / "text.parquet")
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(CorpusError, match=r"not written by Corpus\.save"):
        Corpus.load(tmp_path / "other.parquet")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("dog", "cat")}, "labels .*bird.* not among its 2 classes"),
        ({"classes": ("dog", "cat", "bird", "dog")}, "listed twice"),
        ({"table": clip_table(["/a.wav"], [["dog", "cat"]])}, "has 2 labels; is it multi-label"),
        ({"table": clip_table(["/a.wav"], [[]])}, "has 0 labels"),
        ({"table": clip_table(["/a.wav"], ["dog"], splits=["dev"])}, r"the table has \['dev'\]"),
        ({"table": clip_table(["/a.wav"], ["dog"]).drop_columns(["fold"])}, "column 'fold' of type int32, found none"),
        ({"table": pa.table({"path": [1]})}, "column 'path' of type string, found int64"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(CorpusError, match=message):
        make(**changes)


def test_an_empty_path_is_refused():
    table = clip_table(["/a.wav"], ["dog"])
    table = table.set_column(0, "path", pa.array([None], pa.string()))
    with pytest.raises(CorpusError, match="'path' has empty values"):
        make(table=table)


def test_unknown_column():
    with pytest.raises(CorpusError, match="no column 'pitch'"):
        make().column("pitch")


def test_corpus_errors_are_soundloom_errors():
    assert issubclass(CorpusError, SoundloomError)


def test_the_list_of_corpora_needs_no_arrow():
    code = "import sys, soundloom.corpora as c; c.names(); sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
