"""What is particular to each adapter: classes, splits, groups and names, and what is refused of its lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.miniature_corpora import built, load, write
from soundloom import corpora
from soundloom.corpora import CorpusError


def test_esc50_classes_are_in_the_order_of_their_targets(tmp_path):
    _, root = built("esc50", tmp_path)
    corpus = load("esc50", root, partial=True)
    assert corpus.classes == ("dog", "rooster", "airplane")
    assert corpus.column("fold") == [1, 1, 1, 2, 2, 2]


def test_a_number_that_is_none(tmp_path):
    mini, root = built("esc50", tmp_path)
    write(root / "meta/esc50.csv", mini.lists["meta/esc50.csv"].replace("-A-0.wav,1,", "-A-0.wav,one,"))
    with pytest.raises(CorpusError, match=r"whole numbers for fold, found .*'one'"):
        load("esc50", root, partial=True)


def test_urbansound8k_slices_are_whole_files(tmp_path):
    _, root = built("urbansound8k", tmp_path)
    corpus = load("urbansound8k", root, partial=True)
    assert corpus.column("start") == [None, None]
    assert corpus.classes == ("air_conditioner", "dog_bark")


def test_fsd50k_tags_and_uploaders(tmp_path):
    _, root = built("fsd50k", tmp_path)
    corpus = load("fsd50k", root, partial=True)
    assert corpus.column("tags") == [["electric", "guitar"], [], ["woof"]]
    assert corpus.column("group") == ["ann", None, None]
    assert corpus.label_matrix().sum(axis=1).tolist() == [2, 1, 2]
    assert corpus.column("split") == ["train", "valid", "test"]
    (root / "FSD50K.metadata/dev_clips_info_FSD50K.json").unlink()
    assert load("fsd50k", root, partial=True, tags=False).column("tags") == [[], [], []]


def test_a_split_nobody_knows(tmp_path):
    mini, root = built("arabic-commands", tmp_path)
    write(root / "arabic_commands.csv", mini.lists["arabic_commands.csv"].replace(",val", ",later"))
    with pytest.raises(CorpusError, match=r"train, valid or test as splits, found \['later'\]"):
        load("arabic-commands", root, partial=True)


def test_audioset_ids_that_begin_with_y_and_whole_videos(tmp_path):
    _, root = built("audioset", tmp_path)
    corpus = load("audioset", root, partial=True, trimmed=False)
    assert [Path(path).name for path in corpus.column("path")] == [
        "Y--aaaaaaaa0.flac",
        "YbbbbbbbbbB_0_10.wav",
        "ccccccccccc.m4a",
    ]
    assert corpus.column("start") == [30.0, 0.0, 5.5]
    assert corpus.column("labels")[0] == ["Speech", "Male speech, man"]
    assert load("audioset", root, partial=True).column("end") == [None, None, None]
    assert load("audioset", root, partial=True, segments=("eval",)).summary().splits == {"test": 1}
    with pytest.raises(CorpusError, match=r"segments are of .*got \['dev'\]"):
        load("audioset", root, segments=("dev",))


def test_gtzan_lists_from_elsewhere(tmp_path):
    mini, root = built("gtzan", tmp_path)
    for name in mini.lists:
        (root / name).rename(tmp_path / name)
    assert load("gtzan", root, lists=tmp_path, counts=mini.counts).classes == ("blues", "jazz")


def test_nsynth_has_notes_and_qualities(tmp_path):
    _, root = built("nsynth", tmp_path)
    corpus = load("nsynth", root, partial=True)
    assert corpus.column("pitch")[:6] == [60, 61, 62, 63, 64, 65]
    assert corpus.column("tags")[0] == ["dark"]
    assert corpus.column("group")[0] == "bass_acoustic_000"


def test_nsynth_20k_is_balanced_seeded_and_can_be_named(tmp_path):
    _, root = built("nsynth-20k", tmp_path)
    first, again, other = (load("nsynth-20k", root, partial=True, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.column("path") != other.column("path")
    assert first.filter(split="train").summary().classes == {"bass": 4, "flute": 4}
    write(tmp_path / "chosen.json", json.dumps({"bass": ["bass_acoustic_000-060-100"]}))
    chosen = load("nsynth-20k", root, partial=True, selection=tmp_path / "chosen.json")
    assert chosen.summary().splits == {"train": 1, "valid": 2, "test": 2}
    write(tmp_path / "chosen.json", json.dumps({"bass": ["tuba_acoustic_000-060-100"]}))
    with pytest.raises(CorpusError, match=r"1 others, such as .*tuba"):
        load("nsynth-20k", root, partial=True, selection=tmp_path / "chosen.json")
    with pytest.raises(CorpusError, match="expected 50 training notes of the family 'bass', found 6"):
        load("nsynth-20k", root, partial=True, notes=100)


def test_nsynth_notes_without_a_field(tmp_path):
    _, root = built("nsynth", tmp_path)
    write(root / "nsynth-valid/examples.json", json.dumps({"x": {"pitch": 3}}))
    with pytest.raises(CorpusError, match=r"of every note in examples\.json, found 1 without"):
        load("nsynth", root, partial=True)
    with pytest.raises(CorpusError, match="found 1 without"):
        load("nsynth-20k", root, partial=True)


def test_a_list_that_is_no_json(tmp_path):
    _, root = built("nsynth", tmp_path)
    write(root / "nsynth-valid/examples.json", "{half")
    with pytest.raises(CorpusError, match=r"expected JSON in nsynth-valid/examples\.json"):
        load("nsynth", root, partial=True)


def test_a_list_that_is_no_text(tmp_path):
    _, root = built("gtzan", tmp_path)
    (root / "train_filtered.txt").write_bytes(b"\xff\xfe\x00b")
    with pytest.raises(CorpusError, match=r"expected text in \S*train_filtered\.txt"):
        load("gtzan", root, partial=True)


def test_speech_commands_background_noise_is_no_word(tmp_path):
    mini, root = built("speech-commands", tmp_path)
    write(root / "_background_noise_/pink_noise.wav", "sound")
    corpus = load("speech-commands", root, counts=mini.counts)
    assert corpus.classes == ("bed", "cat")


def test_speech_commands_notices_a_listed_file_that_is_gone(tmp_path):
    _, root = built("speech-commands", tmp_path)
    (root / "cat/1b_nohash_0.wav").unlink()
    with pytest.raises(CorpusError, match=r"1 of them missing or empty, such as .*1b_nohash_0"):
        load("speech-commands", root)


def test_voxceleb_lines_of_another_list(tmp_path):
    _, root = built("voxceleb1", tmp_path)
    write(root / "iden_split.txt", "1 id10001/video-a/00001.wav id10002/video-c/00002.wav")
    with pytest.raises(CorpusError, match="lines like '1 id10001"):
        load("voxceleb1", root)


def test_voxforge_keeps_archives_or_speakers_together(tmp_path):
    _, root = built("voxforge", tmp_path)
    by_archive = load("voxforge", root, partial=True)
    assert by_archive.column("group")[0] == "de/bob-20100101-abc"
    by_speaker = load("voxforge", root, partial=True, by="speaker")
    assert set(by_speaker.column("group")) == {
        "de/bob",
        "it/bob",
        "it/anonymous-20080101-xyz",
        "it/anonymous-20080102-xyz",
    }
    with pytest.raises(CorpusError, match="by is 'archive' or 'speaker', got 'month'"):
        load("voxforge", root, by="month")


def test_voxforge_follows_a_list(tmp_path):
    root = tmp_path / "copy"
    write(root / "ann-20100101-abc/wav/1.wav", "sound")
    write(root / "bo-20100101-abc/wav/1.wav", "sound")
    lines = "file_name,label,split\nann-20100101-abc/wav/1.wav,de,train\nbo-20100101-abc/wav/1.wav,it,test\n"
    write(root / "voxforge.csv", lines)
    corpus = load("voxforge", root, partial=True)
    assert (corpus.split_origin, corpus.column("split")) == ("listed", ["train", "test"])
    assert corpus.column("group") == ["ann-20100101-abc", "bo-20100101-abc"]
    assert corpus.classes == ("de", "it")


def test_cremad_follows_a_list_and_reads_names(tmp_path):
    _, root = built("cremad", tmp_path)
    assert load("cremad", root, partial=True).column("level") == ["XX"] * 20
    listed = "file_name,label,speaker_id,split\n1001_DFA_ANG_XX.wav,ANG,1001,val\n"
    write(tmp_path / "mine.csv", listed)
    corpus = load("cremad", root, partial=True, splits=tmp_path / "mine.csv")
    assert (corpus.split_origin, corpus.column("split"), corpus.column("group")) == ("listed", ["valid"], ["1001"])


def test_cremad_seed_moves_the_actors(tmp_path):
    _, root = built("cremad", tmp_path)
    first, other = (load("cremad", root, partial=True, seed=seed).column("split") for seed in (0, 1))
    assert first != other


def test_surge_pitches_and_list(tmp_path):
    _, root = built("surge", tmp_path)
    corpus = load("surge", root, partial=True)
    assert corpus.classes == ("21", "60", "108")
    assert corpus.column("midi")[:3] == [int(label) for [label] in corpus.column("labels")[:3]]
    tones = sorted(set(corpus.column("group")))
    rows = "\n".join(f"{tone},{'test' if tone == tones[0] else 'train'}" for tone in tones)
    write(root / "dataset_surge_tone_splits.csv", f"tone,split\n{rows}\n")
    listed = load("surge", root, partial=True)
    assert (listed.split_origin, listed.summary().splits) == ("listed", {"train": 27, "test": 3})
    write(root / "dataset_surge_tone_splits.csv", f"tone,split\n{tones[0]},test\n")
    with pytest.raises(CorpusError, match="found none for 9, such as"):
        load("surge", root, partial=True)


def test_fsdd_speakers_can_be_held_out_of_the_digits(tmp_path):
    _, root = built("fsdd-digits", tmp_path)
    corpus = load("fsdd-digits", root, partial=True, disjoint="speakers")
    assert set(corpus.column("split")) == {None}
    assert {(who, fold) for who, fold in zip(corpus.column("group"), corpus.column("fold"), strict=True)} == {
        ("ann", 1),
        ("bo", 2),
    }
    takes = load("fsdd-digits", root, partial=True)
    assert takes.filter(split="test").column("take") == [4] * 4
    assert load("fsdd-speakers", root, partial=True).classes == ("ann", "bo")
    with pytest.raises(CorpusError, match="'takes' or 'speakers', got 'digits'"):
        load("fsdd-digits", root, disjoint="digits")


def test_names_of_another_form_are_shown(tmp_path):
    write(tmp_path / "recordings/seven.wav", "sound")
    with pytest.raises(CorpusError, match=r"1 audio files of other names, such as \['recordings/seven\.wav'\]"):
        load("fsdd-digits", tmp_path)


def test_notes_have_one_fold_per_instrument(tmp_path):
    _, root = built("notes-pitch", tmp_path)
    corpus = load("notes-pitch", root, partial=True)
    assert corpus.classes == ("57", "60", "101")
    assert {(group, fold) for group, fold in zip(corpus.column("group"), corpus.column("fold"), strict=True)} == {
        ("hang", 1),
        ("piano", 2),
    }


def test_pool_tags_begin_with_the_label(tmp_path):
    _, root = built("pool", tmp_path)
    corpus = load("pool", root, partial=True)
    assert corpus.column("tags") == [["bass, bowed", "arco", "f"], ["rain"]]
    assert corpus.column("midi") == [48, None]
    assert corpus.column("group") == ["b1", None]


def test_hear_takes_the_highest_rate_unless_told(tmp_path):
    _, root = built("hear", tmp_path)
    assert "/48000/" in load("hear", root).column("path")[0]
    assert load("hear", root, sample_rate=16000, partial=True).column("path") == [str(root / "16000/test/d.wav")]
    assert load("hear", root).classes == ("9", "10")
    with pytest.raises(CorpusError, match=r"its rate, 8000, found rates \[16000, 48000\]"):
        load("hear", root, sample_rate=8000)


def test_hear_folds_and_events(tmp_path):
    write(tmp_path / "task_metadata.json", json.dumps({"embedding_type": "event", "prediction_type": "multilabel"}))
    write(tmp_path / "labelvocabulary.csv", "idx,label\n0,knock\n1,cough\n")
    events = [{"label": "knock", "start": 500.0, "end": 750}, {"label": "cough", "start": 600, "end": 1000}]
    write(tmp_path / "fold00.json", json.dumps({"a.wav": events, "quiet.wav": []}))
    write(tmp_path / "fold01.json", json.dumps({"b.wav": events[:1]}))
    for name in ("fold00/a.wav", "fold00/quiet.wav", "fold01/b.wav"):
        write(tmp_path / "16000" / name, "sound")
    corpus = corpora.load(tmp_path)
    assert corpus.name == "hear"
    assert corpus.task == "multi-label"
    assert corpus.column("fold") == [0, 0, 1]
    assert corpus.column("labels") == [["knock"], ["cough"], ["knock"]]
    assert (corpus.column("start")[0], corpus.column("end")[0]) == (0.5, 0.75)
    write(tmp_path / "fold01.json", json.dumps({"b.wav": [{"label": "knock"}]}))
    with pytest.raises(CorpusError, match=r"every event of b\.wav, found"):
        corpora.load(tmp_path)
    for name in ("fold00.json", "fold01.json"):
        (tmp_path / name).unlink()
    with pytest.raises(CorpusError, match=r"train\.json, valid\.json and test\.json, or fold00\.json"):
        corpora.load(tmp_path)


def test_folder_of_splits(tmp_path):
    for name in ("train/dog/a.wav", "val/cat/b.wav", "test/dog/c.wav", "test/dog/.hidden.wav", "test/dog/notes.txt"):
        write(tmp_path / name, "sound")
    corpus = corpora.load(tmp_path)
    assert corpus.summary().splits == {"train": 1, "valid": 1, "test": 1}
    assert (corpus.classes, corpus.split_origin) == (("cat", "dog"), "listed")


def test_folder_without_labels(tmp_path):
    write(tmp_path / "a.wav", "sound")
    corpus = corpora.load(tmp_path)
    assert (len(corpus), corpus.classes, corpus.task) == (1, (), "multi-label")


def test_folder_with_a_link_to_itself_and_one_elsewhere(tmp_path):
    write(tmp_path / "elsewhere/b.wav", "sound")
    write(tmp_path / "copy/dog/a.wav", "sound")
    (tmp_path / "copy/dog/again").symlink_to(tmp_path / "copy")
    (tmp_path / "copy/cat").symlink_to(tmp_path / "elsewhere")
    corpus = corpora.load(tmp_path / "copy")
    assert corpus.column("labels") == [["cat"], ["dog"]]


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    write(tmp_path / "dog/a.wav", "sound")

    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", closed)
    with pytest.raises(CorpusError, match=r"folders that can be listed, found .*Permission denied.* Check their perm"):
        corpora.load("folder", tmp_path)


def test_folder_with_strays(tmp_path):
    write(tmp_path / "a.wav", "sound")
    write(tmp_path / "dog/b.wav", "sound")
    with pytest.raises(CorpusError, match=r"1 beside the folders, such as \['a\.wav'\]"):
        corpora.load(tmp_path)


def test_csv_by_its_path(tmp_path):
    _, root = built("csv", tmp_path)
    corpus = corpora.load(root / "clips.csv")
    assert corpus.column("tags") == [["big", "loud"], []]
    assert corpus.column("start") == [None, 0.5]
    assert corpus.column("mood") == ["calm", "cross"]
    assert (corpus.task, corpus.split_origin) == ("single-label", "listed")


def test_csv_by_its_name_and_path(tmp_path):
    _, root = built("csv", tmp_path)
    by_both, by_path = corpora.load("csv", root / "clips.csv"), corpora.load(root / "clips.csv")
    assert by_both.table.equals(by_path.table)


def test_csv_of_several_labels(tmp_path):
    write(tmp_path / "a.wav", "sound")
    write(tmp_path / "clips.csv", "path,labels\na.wav,dog|bark\n")
    corpus = corpora.load(tmp_path / "clips.csv")
    assert (corpus.column("labels"), corpus.task, corpus.split_origin) == ([["dog", "bark"]], "multi-label", "none")


def test_csv_of_absolute_paths(tmp_path):
    write(tmp_path / "sounds/a.wav", "sound")
    write(tmp_path / "lists/clips.csv", f"path,label\n{tmp_path}/sounds/a.wav,dog\n")
    assert corpora.load(tmp_path / "lists/clips.csv").column("path") == [f"{tmp_path}/sounds/a.wav"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,labels\na.wav,dog,dog\n", "either a column label or a column labels"),
        ("path,fold\na.wav,first\n", "numbers or nothing for fold"),
        ("path,start\na.wav,soon\n", "numbers or nothing for start"),
        ("path,split\na.wav,later\n", "train, valid or test as splits"),
        ("path,label\na.wav,\n", "a clip has an empty label"),
        ("path,start,end\na.wav,2.0,1.5\n", r"a\.wav' goes from 2\.0 to 1\.5 s"),
        ("path,start\na.wav,-1\n", r"goes from -1\.0 to inf s"),
        ("", r"expected columns \['path'\] in .*clips.csv, found a table that is empty"),
        ("path,label\n", "none of 0 audio files"),
    ],
)
def test_csv_mistakes(text, message, tmp_path):
    write(tmp_path / "a.wav", "sound")
    write(tmp_path / "clips.csv", text)
    with pytest.raises(CorpusError, match=message):
        corpora.load(tmp_path / "clips.csv")


def test_names_that_are_none(tmp_path):
    with pytest.raises(CorpusError, match="no corpus 'esc51': did you mean 'esc50'"):
        corpora.load("esc51", tmp_path)
    for near in (("fsdd", tmp_path), ("fsdd",)):
        with pytest.raises(CorpusError, match="did you mean 'fsdd-digits' or 'fsdd-speakers'"):
            corpora.load(*near)
    with pytest.raises(CorpusError, match="'nofolder' is neither a folder nor a file nor a corpus: the corpora are"):
        corpora.load("nofolder")
    with pytest.raises(CorpusError, match=r"esc50 needs its folder: load\('esc50', root\)"):
        corpora.load("esc50")
    with pytest.raises(CorpusError, match="check is one of"):
        corpora.load("esc50", tmp_path, check="maybe")
    with pytest.raises(CorpusError, match="a saved corpus has no options"):
        corpora.load(tmp_path / "corpus.parquet", seed=3)
