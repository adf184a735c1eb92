"""Every adapter on a miniature of the real layout, whole and broken in each way a download can be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from soundloom import corpora
from soundloom.corpora import CORPORA, Corpus, CorpusError


@dataclass(frozen=True, kw_only=True)
class Miniature:
    """A small copy of a set: its lists as text, its sounds as names, and what it must be read as."""

    lists: dict[str, str] = field(default_factory=dict)
    sounds: tuple[str, ...]
    counts: dict[str, int]
    options: dict[str, object] = field(default_factory=dict)
    official: bool = True

    def build(self, root: Path) -> Path:
        for name, text in self.lists.items():
            write(root / name, text)
        for name in self.sounds:
            write(root / name, "sound")
        return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def esc50() -> Miniature:
    names = [f"{fold}-{fold}00-A-{target}.wav" for fold in (1, 2) for target in (0, 7, 49)]
    category = {0: "dog", 7: "rooster", 49: "airplane"}
    rows = [
        f"{name},{name[0]},{int(name[8:-4])},{category[int(name[8:-4])]},{name[8:-4] != '49'},{name[2:5]},A"
        for name in names
    ]
    header = "filename,fold,target,category,esc10,src_file,take"
    return Miniature(
        lists={"meta/esc50.csv": "\n".join([header, *rows])},
        sounds=tuple(f"audio/{name}" for name in names),
        counts={"clips": 6, "classes": 3, "groups": 2, "fold 1": 3, "fold 2": 3},
    )


def esc10() -> Miniature:
    whole = esc50()
    sounds = tuple(name for name in whole.sounds if not name.endswith("-49.wav"))
    return Miniature(lists=whole.lists, sounds=sounds, counts={"clips": 4, "classes": 2, "fold 1": 2, "fold 2": 2})


def urbansound8k() -> Miniature:
    header = "slice_file_name,fsID,start,end,salience,fold,classID,class"
    rows = ["100-3-0-0.wav,100,0.0,4.0,1,5,3,dog_bark", "200-0-0-1.wav,200,2.5,6.5,2,10,0,air_conditioner"]
    return Miniature(
        lists={"metadata/UrbanSound8K.csv": "\n".join([header, *rows])},
        sounds=("audio/fold5/100-3-0-0.wav", "audio/fold10/200-0-0-1.wav"),
        counts={"clips": 2, "classes": 2, "fold 5": 1, "fold 10": 1},
    )


def fsd50k() -> Miniature:
    about = {"title": "x", "description": "x", "license": "x"}
    dev = {"64760": about | {"tags": ["electric", "guitar"], "uploader": "ann"}, "21914": about | {"tags": []}}
    return Miniature(
        lists={
            "FSD50K.ground_truth/dev.csv": 'fname,labels,mids,split\n64760,"Guitar,Music","/m/1,/m/2",train\n'
            "21914,Music,/m/2,val\n",
            "FSD50K.ground_truth/eval.csv": 'fname,labels,mids\n99,"Bark,Dog","/m/3,/m/4"\n',
            "FSD50K.ground_truth/vocabulary.csv": "0,Bark,/m/3\n1,Dog,/m/4\n2,Guitar,/m/1\n3,Music,/m/2\n",
            "FSD50K.metadata/dev_clips_info_FSD50K.json": json.dumps(dev),
            "FSD50K.metadata/eval_clips_info_FSD50K.json": json.dumps({"99": about | {"tags": ["woof"]}}),
        },
        sounds=("FSD50K.dev_audio/64760.wav", "FSD50K.dev_audio/21914.wav", "FSD50K.eval_audio/99.wav"),
        counts={"clips": 3, "classes": 4, "train": 1, "valid": 1, "test": 1},
    )


def audioset() -> Miniature:
    head = "# Segments csv created\n# num_ytids=2\n# YTID, start_seconds, end_seconds, positive_labels\n"
    return Miniature(
        lists={
            "class_labels_indices.csv": 'index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/m/05zppz,"Male speech, man"\n',
            "balanced_train_segments.csv": head + '--aaaaaaaa0, 30.000, 40.000, "/m/09x0r,/m/05zppz"\n'
            'YbbbbbbbbbB, 0.000, 10.000, "/m/09x0r"\n',
            "eval_segments.csv": head + 'ccccccccccc, 5.500, 15.500, "/m/05zppz"\n',
        },
        sounds=("train/Y--aaaaaaaa0.flac", "train/YbbbbbbbbbB_0_10.wav", "eval/ccccccccccc.m4a"),
        counts={"clips": 3, "classes": 2, "train": 2, "test": 1},
    )


def gtzan() -> Miniature:
    return Miniature(
        lists={
            "train_filtered.txt": "blues/blues.00029.wav\njazz/jazz.00001.wav\n",
            "valid_filtered.txt": "blues/blues.00000.wav\n",
            "test_filtered.txt": "jazz/jazz.00002.wav\n\n",
        },
        sounds=tuple(
            f"genres/{name.split('.')[0]}/{name}.au"
            for name in ("blues.00029", "jazz.00001", "blues.00000", "jazz.00002")
        ),
        counts={"clips": 4, "classes": 2, "train": 2, "valid": 1, "test": 1},
    )


def note(family: str, number: int, pitch: int) -> tuple[str, dict[str, object]]:
    about = {
        "instrument_family_str": family,
        "instrument_str": f"{family}_acoustic_{number:03}",
        "instrument_source_str": "acoustic",
        "pitch": pitch,
        "velocity": 100,
        "qualities_str": ["dark"],
    }
    return f"{family}_acoustic_{number:03}-{pitch:03}-100", about


def nsynth(*families: str) -> Miniature:
    splits = {
        "train": dict(note(family, 0, pitch) for family in families for pitch in range(60, 66)),
        "valid": dict(note(family, 1, 60) for family in ("bass", "flute")),
        "test": dict(note(family, 2, 60) for family in ("bass", "flute")),
    }
    return Miniature(
        lists={f"nsynth-{split}/examples.json": json.dumps(notes) for split, notes in splits.items()},
        sounds=tuple(f"nsynth-{split}/audio/{name}.wav" for split, notes in splits.items() for name in notes),
        counts={"classes": len(families), "train": 6 * len(families), "valid": 2, "test": 2},
    )


def nsynth_20k() -> Miniature:
    whole = nsynth("bass", "flute", "synth_lead")
    return Miniature(
        lists=whole.lists,
        sounds=whole.sounds,
        counts={"clips": 12, "classes": 2, "train": 8, "valid": 2, "test": 2},
        options={"notes": 8},
    )


def speech_commands() -> Miniature:
    return Miniature(
        lists={
            "validation_list.txt": "bed/0a_nohash_0.wav\n",
            "testing_list.txt": "cat/1b_nohash_0.wav\n",
        },
        sounds=("bed/0a_nohash_0.wav", "cat/1b_nohash_0.wav", "cat/2c_nohash_0.wav", "cat/2c_nohash_1.wav"),
        counts={"clips": 4, "classes": 2, "groups": 3, "train": 2, "valid": 1, "test": 1},
    )


def voxceleb1() -> Miniature:
    files = ("id10001/video-a/00001.wav", "id10001/video-b/00001.wav", "id10002/video-c/00002.wav")
    return Miniature(
        lists={"iden_split.txt": "\n".join(f"{number} {file}" for number, file in zip("123", files, strict=True))},
        sounds=tuple(f"wav/{file}" for file in files),
        counts={"clips": 3, "classes": 2, "groups": 3, "train": 1, "valid": 1, "test": 1},
    )


def voxforge() -> Miniature:
    archives = [f"{language}/Trunk/bob-20100{n}01-abc" for language in ("de", "it") for n in (1, 2, 3)]
    archives += ["it/anonymous-20080101-xyz", "it/anonymous-20080102-xyz"]
    return Miniature(
        sounds=tuple(f"{archive}/wav/{number}.wav" for archive in archives for number in (1, 2)),
        counts={"clips": 16, "classes": 2, "groups": 8},
        official=False,
    )


def cremad() -> Miniature:
    return Miniature(
        sounds=tuple(
            f"AudioWAV/10{actor:02}_DFA_{emotion}_XX.wav" for actor in range(1, 11) for emotion in ("ANG", "SAD")
        ),
        counts={"clips": 20, "classes": 2, "groups": 10},
        official=False,
    )


def surge() -> Miniature:
    return Miniature(
        sounds=tuple(f"patch-{tone}-velocity64/{pitch}.ogg" for tone in range(10) for pitch in (21, 108, 60)),
        counts={"clips": 30, "classes": 3, "groups": 10},
        official=False,
    )


def fsdd(**counts: int) -> Miniature:
    return Miniature(
        sounds=tuple(
            f"recordings/{digit}_{who}_{take}.wav" for digit in "01" for who in ("ann", "bo") for take in (4, 5)
        ),
        counts={"clips": 8, "classes": 2, "train": 4, "test": 4, **counts},
    )


def arabic_commands() -> Miniature:
    names = tuple(f"audio/stop/{speaker}.opus" for speaker in range(3))
    rows = [f"{name},stop,{name[-6]},{split}" for name, split in zip(names, ("train", "val", "test"), strict=True)]
    return Miniature(
        lists={"arabic_commands.csv": "\n".join(["path,keyword,speaker,split", *rows])},
        sounds=names,
        counts={"clips": 3, "classes": 1, "groups": 3, "train": 1, "valid": 1, "test": 1},
    )


def notes(official: bool, **counts: int) -> Miniature:
    rows = [(instrument, midi, take) for instrument in ("hang", "piano") for midi in (57, 60, 101) for take in (1, 2)]
    names = tuple(f"pitch/{instrument}/{midi}-{take}.opus" for instrument, midi, take in rows)
    lines = [f"{name},{row[0]},{row[1]},2.0" for name, row in zip(names, rows, strict=True)]
    return Miniature(
        lists={"pitch.csv": "\n".join(["path,instrument,midi,seconds", *lines])},
        sounds=names,
        counts={"clips": 12, **counts},
        official=official,
    )


def pool() -> Miniature:
    return Miniature(
        lists={
            "pool.csv": "path,dataset,kind,label,tags,midi,text,group,licence,seconds\n"
            'pool/a.opus,x,music,"bass, bowed",arco|f|f,48,,b1,CC0,1.0\npool/b.opus,x,env,rain,,,wet,,CC0,2.0\n'
        },
        sounds=("pool/a.opus", "pool/b.opus"),
        counts={"clips": 2, "classes": 2, "groups": 2},
        official=False,
    )


def hear() -> Miniature:
    return Miniature(
        lists={
            "task_metadata.json": json.dumps({"embedding_type": "scene", "prediction_type": "multiclass"}),
            "labelvocabulary.csv": "idx,label\n1,10\n0,9\n",
            "train.json": json.dumps({"a.wav": ["9"], "b.wav": [10]}),
            "valid.json": json.dumps({"c.wav": ["9"]}),
            "test.json": json.dumps({"d.wav": ["10"]}),
        },
        sounds=("48000/train/a.wav", "48000/train/b.wav", "48000/valid/c.wav", "48000/test/d.wav", "16000/test/d.wav"),
        counts={"clips": 4, "classes": 2, "train": 2, "valid": 1, "test": 1},
    )


def folder() -> Miniature:
    return Miniature(
        sounds=("dog/a.wav", "dog/deeper/b.FLAC", "cat/c.ogg"),
        counts={"clips": 3, "classes": 2},
        official=False,
    )


def csv() -> Miniature:
    return Miniature(
        lists={
            "clips.csv": "path,label,split,fold,group,start,end,tags,mood\n"
            "a.wav,dog,train,1,g1,,,big | loud,calm\na.wav,cat,test,2,,0.5,1.5,,cross\n"
        },
        sounds=("a.wav",),
        counts={"clips": 2, "classes": 2, "groups": 2, "train": 1, "test": 1, "fold 1": 1, "fold 2": 1},
        options={"table": "clips.csv"},
    )


MINIATURES: dict[str, Callable[[], Miniature]] = {
    "esc50": esc50,
    "esc10": esc10,
    "urbansound8k": urbansound8k,
    "fsd50k": fsd50k,
    "audioset": audioset,
    "gtzan": gtzan,
    "nsynth": lambda: nsynth("bass", "flute"),
    "nsynth-20k": nsynth_20k,
    "speech-commands": speech_commands,
    "voxceleb1": voxceleb1,
    "voxforge": voxforge,
    "cremad": cremad,
    "surge": surge,
    "fsdd-digits": fsdd,
    "fsdd-speakers": fsdd,
    "arabic-commands": arabic_commands,
    "notes-pitch": lambda: notes(True, classes=3, groups=2, **{"fold 1": 6, "fold 2": 6}),
    "notes-instrument": lambda: notes(False, classes=2, groups=6),
    "pool": pool,
    "hear": hear,
    "folder": folder,
    "csv": csv,
}

# Lists that begin with a line of column names.
HEADED = {
    "esc50.csv",
    "UrbanSound8K.csv",
    "dev.csv",
    "eval.csv",
    "class_labels_indices.csv",
    "arabic_commands.csv",
    "pitch.csv",
    "pool.csv",
    "labelvocabulary.csv",
    "clips.csv",
}
# A task may lack a split; only when it has none is something wrong.
OPTIONAL = {"train.json", "valid.json", "test.json"}

EVERY = pytest.mark.parametrize("name", CORPORA)
LISTS = [(name, listing) for name, mini in MINIATURES.items() for listing in mini().lists]
WITH_LISTS = pytest.mark.parametrize(("name", "listing"), LISTS)
TABLES = pytest.mark.parametrize(
    ("name", "listing"),
    [(name, listing) for name, mini in MINIATURES.items() for listing in mini().lists if Path(listing).name in HEADED],
)


def test_every_corpus_has_a_miniature():
    assert sorted(MINIATURES) == sorted(CORPORA) == sorted(corpora.names())


def load(name: str, root: Path, **settings) -> Corpus:
    return corpora.load(name, root, **(MINIATURES[name]().options | settings))


def built(name: str, tmp_path: Path) -> tuple[Miniature, Path]:
    mini = MINIATURES[name]()
    return mini, mini.build(tmp_path / "downloads" / "copy")


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


@EVERY
def test_short_and_long_counts_say_both_numbers(name, tmp_path):
    mini, root = built(name, tmp_path)
    what, count = next(iter(mini.counts.items()))
    with pytest.raises(CorpusError, match=f"expected {count + 1} {what}, found {count} {what}"):
        load(name, root, counts={what: count + 1})
    with pytest.raises(CorpusError, match="expected 77 fold 9, found 0 fold 9"):
        load(name, root, counts={"fold 9": 77})


def refused(name: str) -> str:
    """The pattern of a refusal: only public sets have somewhere to be got from."""
    return r"expected .*found" if CORPORA[name].own else r"expected .*found .*Get it from"


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


# What is particular to each set.


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
    with pytest.raises(CorpusError, match=r"esc50 needs its folder: load\('esc50', root\)"):
        corpora.load("esc50")
    with pytest.raises(CorpusError, match="check is one of"):
        corpora.load("esc50", tmp_path, check="maybe")
    with pytest.raises(CorpusError, match="a saved corpus has no options"):
        corpora.load(tmp_path / "corpus.parquet", seed=3)
