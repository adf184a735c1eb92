"""Miniatures of the public corpora: the real layout and lists of each, and what it must be read as."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from soundloom import corpora
from soundloom.corpora import CORPORA, Corpus


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


def load(name: str, root: Path, **settings) -> Corpus:
    return corpora.load(name, root, **(MINIATURES[name]().options | settings))


def built(name: str, tmp_path: Path) -> tuple[Miniature, Path]:
    mini = MINIATURES[name]()
    return mini, mini.build(tmp_path / "downloads" / "copy")


def refused(name: str) -> str:
    """The pattern of a refusal: only public sets have somewhere to be got from."""
    return r"expected .*found" if CORPORA[name].own else r"expected .*found .*Get it from"
