"""Every adapter on a miniature of the real layout, whole and broken in each way a download can be."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers.miniature_corpora import HEADED, MINIATURES, OPTIONAL, built, load, refused, write
from soundloom import corpora
from soundloom.cli import main
from soundloom.corpora import CORPORA, CorpusError

EVERY = pytest.mark.parametrize("name", CORPORA)
LISTS = [(name, listing) for name, mini in MINIATURES.items() for listing in mini().lists]
WITH_LISTS = pytest.mark.parametrize(("name", "listing"), LISTS)
TABLES = pytest.mark.parametrize(
    ("name", "listing"),
    [(name, listing) for name, mini in MINIATURES.items() for listing in mini().lists if Path(listing).name in HEADED],
)


def test_every_corpus_has_a_miniature():
    assert sorted(MINIATURES) == sorted(CORPORA) == sorted(corpora.names())


@EVERY
@pytest.mark.parametrize("check", ["full", "sample", "none"])
def test_a_whole_copy_is_read(name, check, tmp_path):
    mini, root = built(name, tmp_path)
    corpus = load(name, root, counts=mini.counts, check=check)
    assert corpus.name == name
    assert corpus.root == root
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in corpus.column("path"))
    assert (corpus.split_origin in ("official", "listed")) == mini.official
    assert corpus.label_matrix().any(axis=0).all()
    if corpus.split_origin == "drawn":
        owners = set(zip(corpus.column("group"), corpus.column("split"), strict=True))
        assert len(owners) == len({group for group, _ in owners})


@EVERY
def test_reading_twice_gives_the_same_and_so_does_saving(name, tmp_path):
    _, root = built(name, tmp_path)
    corpus = load(name, root, partial=True)
    assert load(name, root, partial=True) == corpus
    corpus.save(tmp_path / "corpus.parquet")
    assert corpora.load(tmp_path / "corpus.parquet") == corpus


@pytest.mark.parametrize("name", [name for name, source in CORPORA.items() if source.counts])
def test_a_miniature_is_not_taken_for_the_published_set(name, tmp_path):
    _, root = built(name, tmp_path)
    with pytest.raises(CorpusError, match=r"expected \d+ .*found \d+ .*Pass partial=True.*Get it from"):
        load(name, root)


def test_the_command_takes_a_part_of_a_set_where_it_is_told_to(tmp_path):
    _, root = built("esc50", tmp_path)
    refused, taken = (CliRunner().invoke(main, ["corpora", f"esc50={root}", *more]) for more in ([], ["--partial"]))
    assert (refused.exit_code, "Pass --partial to take the copy as it is" in refused.stderr) == (1, True)
    assert (taken.exit_code, "esc50, single-label" in taken.stdout) == (0, True)


@EVERY
def test_short_and_long_counts_say_both_numbers(name, tmp_path):
    mini, root = built(name, tmp_path)
    what, count = next(iter(mini.counts.items()))
    with pytest.raises(CorpusError, match=f"expected {count + 1} {what}, found {count} {what}"):
        load(name, root, counts={what: count + 1})
    with pytest.raises(CorpusError, match="expected 77 fold 9, found 0 fold 9"):
        load(name, root, counts={"fold 9": 77})


@EVERY
def test_a_missing_file_is_found_and_can_be_left_out(name, tmp_path):
    mini, root = built(name, tmp_path)
    whole = load(name, root, partial=True)
    gone = whole.column("path")[0]
    Path(gone).unlink()
    with pytest.raises(CorpusError, match=refused(name)) as caught:
        load(name, root, counts={**mini.counts, "clips": len(whole)})
    # A set that is listed knows which file is missing; one that is read from its folders knows how many.
    assert Path(gone).stem.removeprefix("Y") in str(caught.value) or f"{len(whole) - 1} clips" in str(caught.value)
    lost = whole.column("path").count(gone)
    if len(whole) > lost:
        rest = load(name, root, partial=True, check="full")
        assert rest.column("path").count(gone) == 0
        assert len(rest) == len(whole) - lost


@EVERY
@pytest.mark.parametrize("check", ["full", "sample"])
def test_an_empty_file_counts_as_missing(name, check, tmp_path):
    mini, root = built(name, tmp_path)
    Path(load(name, root, partial=True).column("path")[0]).write_bytes(b"")
    with pytest.raises(CorpusError, match="missing or empty, such as"):
        load(name, root, counts=mini.counts, check=check)
    assert len(load(name, root, counts=mini.counts, check="none")) > 0


@EVERY
def test_no_audio_at_all(name, tmp_path):
    mini, root = built(name, tmp_path)
    for sound in mini.sounds:
        (root / sound).unlink()
    with pytest.raises(CorpusError, match=refused(name)):
        load(name, root, partial=True)


@pytest.mark.parametrize(("name", "listing"), [case for case in LISTS if case[1] in OPTIONAL])
def test_a_list_that_may_be_missing_is_one_split_less(name, listing, tmp_path):
    _, root = built(name, tmp_path)
    assert Path(listing).stem in load(name, root).summary().splits
    (root / listing).unlink()
    assert Path(listing).stem not in load(name, root).summary().splits


@pytest.mark.parametrize(("name", "listing"), [case for case in LISTS if case[1] not in OPTIONAL])
def test_a_missing_list_is_named(name, listing, tmp_path):
    _, root = built(name, tmp_path)
    (root / listing).unlink()
    with pytest.raises(CorpusError, match=rf"expected \S*{Path(listing).name}, found"):
        load(name, root, partial=True)


@TABLES
def test_a_wrong_column_is_named(name, listing, tmp_path):
    mini, root = built(name, tmp_path)
    header, rest = mini.lists[listing].split("\n", 1)
    write(root / listing, "\n".join([",".join(f"x_{cell}" for cell in header.split(",")), rest]))
    with pytest.raises(CorpusError, match=r"expected columns \[.*found columns \['x_"):
        load(name, root, partial=True)


@TABLES
def test_a_cut_line_is_shown(name, listing, tmp_path):
    mini, root = built(name, tmp_path)
    write(root / listing, mini.lists[listing].rstrip("\n") + "\nhalf a line")
    with pytest.raises(CorpusError, match=r"cells a line in .*the line 'half a line'"):
        load(name, root, partial=True)


@WITH_LISTS
def test_the_folder_above_or_below_is_recognised(name, listing, tmp_path):
    _, root = built(name, tmp_path)
    below = root / "something"
    below.mkdir()
    for wrong in (root.parent, below):
        with pytest.raises(CorpusError, match=f"It is there in '{root}': give that folder as root"):
            load(name, wrong, partial=True)


@EVERY
def test_no_folder_and_a_file_for_a_folder(name, tmp_path):
    with pytest.raises(CorpusError, match="found no such folder"):
        load(name, tmp_path / "nowhere")
    write(tmp_path / "file.zip", "zip")
    with pytest.raises(CorpusError, match="found a file"):
        load(name, tmp_path / "file.zip")


@EVERY
def test_unknown_options_are_refused(name, tmp_path):
    with pytest.raises(CorpusError, match=r"no option \['colour'\]; its own are"):
        load(name, tmp_path, colour="red")


@EVERY
def test_sources_say_what_they_are(name):
    source = CORPORA[name]
    assert all((source.title, source.layout, source.address, source.licence))
    assert source.name == name
