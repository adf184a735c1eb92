"""What a new user types in the first hour: each does it, or says how it is done.

A row is a command line, what comes of it (0: done, 1: cannot be done, 2: not understood), and a piece of what is said.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.command_line import run
from soundloom.library import Library

COMMANDS = (
    # What is there, and help
    ("--help", 0, "soundloom index ~/sounds"),
    ("serch dog", 2, "No such command"),
    ("find dog", 2, "Did you mean soundloom search?"),
    ("add sounds", 2, "Did you mean soundloom index?"),
    ("stats", 2, "Did you mean soundloom info?"),
    ("remove sounds", 2, "Did you mean soundloom roots forget?"),
    ("search ''", 1, "leave it out to list files"),
    ("search", 0, "all files"),
    ("search --help", 0, "Examples:"),
    ("info", 0, "mfcc"),
    ("info sounds.loom", 0, "mfcc"),
    ("info loom+yamnet", 0, "loom+yamnet, 2840 numbers at 16000 Hz"),
    ("info nowhere.loom", 1, "nowhere.loom"),
    ("info sounds/birds/owl.wav", 1, "soundloom search --names --text owl --columns"),
    ("roots", 0, "sounds"),
    ("roots list", 0, "sounds"),
    ("index", 0, "unchanged"),
    ("index lost", 1, "no file or folder 'lost'"),
    ("index sounds --exclude 'night/'", 0, "excluded"),
    ("index empty -l hollow.loom", 0, "no sounds in '"),
    ("index cut -l cut.loom --rehash", 0, "failed as before"),
    ("info -l cut.loom", 0, "a new library (soundloom index SOUNDS -l NEW --accept-truncated)"),
    ("tag cut", 1, "take what there is with --accept-truncated"),
    ("map -l hollow.loom", 1, "holds no sounds: add some with soundloom index"),
    ("roots -l hollow.loom", 0, "present        0 files"),
    ("roots relocate sounds empty", 1, "none of its"),
    ("index --dry-run", 2, "No such option '--dry-run'.\n"),
    ("index --purne", 2, "Did you mean '--prune'?"),
    ("index --files list.txt", 0, "unchanged"),
    ("index --columns-from sites.csv", 0, "site of 1 file"),
    ("index --columns-from list.txt", 1, "no column to add"),
    ("index --levels", 0, "levels of 0 files measured"),
    # By name
    ("search dog", 0, "dog_bark_1.wav"),
    ("search dogs --names", 0, "dog_bark_1.wav"),
    ("search 'dog bark'", 0, "dog_bark_1.wav"),
    ("search dog bark --names", 0, "dog_bark_1.wav"),
    ("search DOG --names", 0, "dog_bark_1.wav"),
    ("search dog_bark_1", 0, "as text: --text dog_bark_1"),
    ("search --text dog_bark_1", 0, "found by"),
    ("search dog --names --folder Vögel", 1, "lies in a folder 'Vögel'"),
    ("search 'dog -owl'", 1, "write --not owl; as words: --text 'dog owl'"),
    ("search 'dog NOT owl'", 1, "write --not owl"),
    ("search 'dog OR owl'", 1, "search for each alone"),
    ("search zebra", 1, "no name, tag, title or folder"),
    ("search zebra --names", 1, "nothing found: 'zebra'"),
    ("search --longer 2 --shorter 1", 0, "nothing found: at least 2 s, at most 1 s"),
    ("search --hours 22-24", 0, "nothing found: in the hours 22-24 by names and headers"),
    ("search --rate 44.1", 1, "has the sample rate 44 Hz: there are 16000"),
    ("search zebra --names --sort bogus", 1, "there is no field 'bogus'"),
    ("search zebra --names --columns bogus", 1, "there is no field 'bogus'"),
    ("search dog --names --sort size", 1, "conditions alone, as in --where 'size IS NOT NULL'"),
    ("search dog --names --columns mtime_ns", 1, "conditions alone, as in --where 'mtime_ns IS NOT NULL'"),
    ("annotations counts -o hours.csv", 2, "should end in .png"),
    ("search birds --names", 0, "owl.wav"),
    ("search --text owl --names", 0, "owl.wav"),
    ("search dog -k 1", 0, "dog_bark_1.wav"),
    ("search dog --top 1", 0, "dog_bark_1.wav"),
    ("search dog -k 0", 2, "0 is not in the range"),
    # By sound
    ("search sounds/birds/owl.wav", 0, "similar"),
    ("search owl.wav", 0, "similar"),
    ("search owl.wav --include-query -k 1", 0, "owl.wav"),
    ("search owl.mp3", 1, "did you mean 'owl.wav'"),
    ("search /nowhere/owl.wav", 1, "no file or folder '/nowhere/owl.wav', and no sound of that name"),
    ("search /owl.wav@0-1", 1, "did you mean 'owl.wav'"),
    ("search --like /nowhere/owl.wav", 1, "did you mean 'owl.wav'"),
    ("search sounds/birds/owl.wav@0:00.5-1", 0, "most like sounds/birds/owl.wav@0.5-1\n"),
    ("search owl.wav --start 0:00.5 --end 1", 0, "similar"),
    ("search owl.wav --start soon", 2, "write seconds such as 12.5, or 1:30"),
    ("search owl.wav --end 0", 1, "must end after it begins"),
    ("search sounds/birds", 1, "is a folder: search by a sound in it"),
    ("search --like owl.wav --unlike bus.wav", 0, "similar"),
    ("search --duration 5", 2, 'It is a field of files, for --where, as in --where "duration > 5".'),
    ("search --duplicates", 2, "It is a command: soundloom duplicates\n"),
    ("search --dedupe", 2, "It is a command: soundloom duplicates\n"),
    ("index sounds --watch", 2, "It is a command: soundloom watch\n"),
    ("info --roots", 2, "It is a command: soundloom roots\n"),
    ("search dog --min-duration 2", 2, "Did you mean '--longer'?"),
    ("search dog --since 2024", 2, "Did you mean '--after'?"),
    ("search dog --count 3", 2, "Did you mean '--limit'?"),
    ("search dog --path birds", 2, "Did you mean '--folder'?"),
    ("search dog --csv hits.csv", 2, "Did you mean '--out'?"),
    ("search --similar owl.wav", 2, "Did you mean '--like'?"),
    ("detect sounds -d owls --threshold 0.5", 2, "Did you mean '--above'?"),
    ("tag owl.wav --threshold 0.5", 2, "Did you mean '--least'?"),
    ("tag owl.wav --above 0.5", 2, "Did you mean '--least'?"),
    ("tag sounds/birds/owl.wav -m nope", 1, "no model 'nope'"),
    ("words -m nope", 1, "no model 'nope'"),
    ("words ower", 1, "'ower' is in none of the 521 words"),
    ("train distil sounds/birds/owl.wav -o r --teachers yamnet", 1, "is a file of another kind: a corpus is a folder"),
    ("train distil sounds -o r --steps abc", 2, "--steps should be a whole number, got 'abc'"),
    ("train distil sounds -o r --steps -1", 2, "--steps must be at least 1, got -1"),
    ("train loom sounds -o r --steps 3", 2, "Did you mean '--general-steps'?"),
    ("search --where 'bogus = 1'", 1, "notices, size"),
    ("search --where \"duration < 'abc'\"", 1, "it compares a number with text, and 'abc' is none"),
    ("search --tag 'a, b'", 1, "--word 'a, b'"),
    ("index sounds --jobs 2", 2, "Did you mean '--workers'?"),
    ("index sounds --include '*.wav'", 2, "delete its line in LIBRARY/exclude.txt"),
    ("index --no-exclude", 2, "delete its line in LIBRARY/exclude.txt"),
    ("index sounds --recursive", 2, "Folders are searched with their subfolders."),
    ("index sounds --resume", 2, "What was stopped goes on by itself."),
    ("search --tags night", 2, "'--tag'"),
    ("search --version", 2, "soundloom --version"),
    ("search dog --limit 1", 0, "dog_bark_1.wav"),
    ("search dog_bark_1@2", 1, "'2' is no region of dog_bark_1"),
    (
        "search birds/",
        1,
        "'birds/' is a folder of the library: search by a sound in it, or among its sounds with --folder",
    ),
    ("search .", 1, "is a folder"),
    ("search '*.wav'", 1, "name LIKE '%.wav'"),
    ("search 'ow*'", 1, "name LIKE 'ow%'"),
    ("search 'o*[l]'", 1, "name LIKE 'o%[l]%'"),
    ("search owl --exclude birds", 2, '--where "path NOT LIKE'),
    ("search --saved owls", 1, "none is saved: save one in the page, soundloom serve"),
    ("map --saved owls", 2, "soundloom search --saved NAME"),
    ("searches", 2, "soundloom info"),
    ("search 'what is it? owl' --names", 1, "nothing found"),
    ("search --like thunder", 1, "for what the model takes for it: --word thunder"),
    ("search owl.wav dog", 0, "dog_bark_1.wav"),
    ("search owl.wav --every-segment", 0, "similar"),
    ("search owl.wav --explain", 0, "because of"),
    ("search owl.wav --weights pitch=2", 1, "pitch"),
    ("search list.txt", 1, "soundloom tags add TAG --files list.txt"),
    # By words of a model that knows none
    ("search --word rain", 1, "knows no tags"),
    ("search siren", 1, "knows no words"),
    # Filters
    ("search --tag night", 0, "owl.wav"),
    ("words rain", 0, "Rain on surface: rain on roof"),
    ("words a crying baby", 0, "Baby cry, infant cry"),
    ("words jackhamer", 1, "did you mean 'Jackhammer'"),
    ("words -m mfcc", 1, "knows no words"),
    ("search --tag nigt", 1, "did you mean 'night'"),
    ("search --folder city", 0, "bus.wav"),
    ("search dog --folder ''", 2, "the name is empty"),
    ("search dog --tag ' '", 2, "the name is empty"),
    ("search dog --word ''", 2, "the name is empty"),
    ("search --folder citty", 1, "did you mean 'city'"),
    ("search --rate 16000 --longer 1", 0, "owl.wav"),
    ("search --shorter 0:01", 0, "bus.wav"),
    ("search --shorter 900ms", 0, "bus.wav"),
    ("search --longer 0.02min", 0, "owl.wav"),
    ("search --longer 10parsecs", 2, "write seconds such as 12.5, or 1:30"),
    ("search --rate 16k", 0, "owl.wav"),
    ("search --rate '16 kHz' --names", 0, "owl.wav"),
    ("search --rate high", 2, "write hertz, such as 48000, or 44.1k"),
    ("search --after 2024-05 --before 2024-06", 0, "20240514_053000.wav"),
    ("search --after 2024 --before 2025", 0, "20240514_053000.wav"),
    ("search --after 2024-13", 2, "such as 2024-05-31"),
    ("search --after 2024-05-01 --before 2024-06-01", 0, "after 2024-05-01, before 2024-06-01\n"),
    ("search --after 1.5.2024 --before 01.06.2024", 0, "20240514_053000.wav"),
    ("search --after 31.2.2024", 2, "such as 2024-05-31"),
    ("search --facets ''", 2, "the list is empty"),
    ("search dog_bark_1=2 --like owl.wav", 0, "dog_bark_1.wav=2 and like"),
    ("search --after yesterday", 2, "such as 2024-05-31"),
    ("search --where 'duration < 2'", 0, "bus.wav"),
    ("search --where \"recorded > 'yesterday'\"", 1, "'yesterday' is no time as recorded has it"),
    ("search --where 'count(*) > 1'", 1, "count() is of many sounds"),
    ("search --where 'samplerate = 44100'", 1, "did you mean sample_rate"),
    ("search --where 'sample_rate = 16000 AND duration < 1'", 0, "bus.wav"),
    ("search --where 'duration < 2; DROP TABLE segments'", 1, "one condition is all"),
    ("search --sort duration", 0, "bus.wav"),
    ("search --sort -duration --columns rate,codec", 0, "WAV PCM_16"),
    ("search --where \"codec = 'WAV'\"", 1, "there is 'WAV PCM_16'; for what holds it write codec LIKE '%WAV%'"),
    ("search --where \"codec = 'wav'\"", 1, "write codec ILIKE '%wav%'"),
    ("search --where \"codec ILIKE '%wav%'\"", 0, "owl.wav"),
    ("search --where \"codec = 'WAV' OR duration > 0\"", 0, "owl.wav"),
    ("search --where \"name = 'owl.wav' AND duration > 99\"", 0, "nothing found"),
    ("search --sort -duration,codec", 0, "owl.wav"),
    ("search --sort lenght", 1, "did you mean length"),
    ("search --facets folder", 0, "birds"),
    ("search --facets colour", 1, "no field 'colour'"),
    ("search --facets codec --sort duration", 2, "leave out --sort"),
    ("search zebra --facets codec", 0, "nothing found: 'zebra': counted by names"),
    ("search --facets codec -k 3", 2, "leave out --top"),
    ("info --facets", 0, "sample_rate:"),
    # Results for other programs
    ("search dog --names --out hits.csv", 0, "1 hit written to hits.csv"),
    ("search dog --names -o hits.m3u8", 0, "written to hits.m3u8"),
    ("search --folder birds -o labels.txt", 0, "hits written to labels\n"),
    ("search dog --names -o hits.m3u", 2, "did you mean 'hits.m3u8'?"),
    ("search dog --names -o hits.selections.txt", 0, "written to"),
    ("search dog --names -o hits.pdf", 2, "end it in .csv"),
    ("search dog --names --copy-to picked", 0, "1 file copied to picked"),
    ("search dog --names --json", 0, '"found_by"'),
    ("search owl.wav --picture hits.pdf", 2, "end its name in .png"),
    ("embed sounds/birds -o e.parquet -m mfcc", 0, "rows of"),
    ("embed sounds/birds -o e.xlsx -m mfcc", 2, "end it in .parquet"),
    ("embed sounds/birds -o e.npy", 2, "end it in .parquet, .csv, .npz, which holds the array"),
    ("embed empty -o none.csv -m mfcc", 1, "no sounds in 'empty'"),
    ("tag empty", 1, "no sounds in 'empty'"),
    ("tag sounds/birds/owl.wav@0-1", 1, "name 'sounds/birds/owl.wav', or search by the part"),
    ("index sounds/birds/owl.wav@0-1", 1, "sounds are taken whole here"),
    ("tag sounds -m onnx:none.onnx", 1, "cannot read the ONNX file 'none.onnx': there is no such file"),
    ("clusters -o clusters.csv", 0, "written to clusters.csv"),
    ("clusters -o clusters.csv --json", 0, '"example"'),
    ("search dog --names -o hits.parquet", 0, "1 hit written"),
    ("import hits.parquet -l other.loom", 1, "path and embedding are needed, as soundloom embed writes them"),
    ("tags delete night", 2, "Did you mean soundloom tags remove?"),
    ("roots rm sounds", 2, "Did you mean soundloom roots forget?"),
    ("roots add sounds", 2, "Did you mean soundloom index"),
    ("tags frob", 2, "Commands: add, list, remove, rename."),
    ("owl", 2, "To search for it: soundloom search owl"),
    # Tags and duplicates
    ("tags", 0, "night"),
    ("tags list", 0, "night"),
    ("tags add dog --text dog", 0, "the tag 'dog' now"),
    ("tags add loud", 2, "say which sounds"),
    ("tags add '' owl.wav", 2, "the name is empty"),
    ("tags add loud ''", 2, "the name of a sound is empty"),
    ("tags rename night dusk", 0, "the tag 'dusk' instead of 'night'"),
    ("tags remove night owl.wav", 0, "no longer has the tag 'night'"),
    ("tags remove night", 2, "or --everywhere"),
    ("tags remove nigth --everywhere", 1, "did you mean 'night'"),
    ("tags remove nigth owl.wav", 1, "did you mean 'night'"),
    ("tags -o tags.csv", 0, "written to tags.csv"),
    ("tags add dog --text zebra", 1, "nothing found: 'zebra'; no tag was changed; text is looked for in names"),
    ("tags remove night --text 'big zebra'", 1, "soundloom search 'big zebra' -o hits.csv"),
    ("tags add long --longer 1:00", 1, "nothing found: at least 60 s; no tag was changed\n"),
    ("tags add long --where 'duration > 60'", 1, "nothing found: duration > 60; no tag was changed\n"),
    ("tags add dog --folder nowhere", 1, "lies in a folder 'nowhere'"),
    ("tags add Night bus.wav", 0, "to make them one: soundloom tags rename night Night"),
    ("tags remove NIGHT owl.wav", 0, "1 segment no longer has the tag 'night'"),
    ("tags remove Night --everywhere", 0, "1 segment no longer has the tag 'night'"),
    ("tags rename NIGHT dusk", 0, "the tag 'dusk' instead of 'night'"),
    ("tag --examples --tag x --yes zebra.wav", 1, "has of that name: soundloom search --names zebra.wav"),
    ("tag --examples --tag x --yes sounds/birds", 1, "'sounds/birds' is a folder: name a sound in it\n"),
    ("tag --examples --tag x --yes birds", 1, "'birds' is a folder of the library: name a sound in it\n"),
    ("duplicates --exact --similar 0.9", 2, "give one of them"),
    ("map -o map.pdf", 2, "should end in .png"),
    ("duplicates", 0, "1 group of duplicates, 2 files"),
    ("duplicates --exact", 0, "exact"),
    ("duplicates -o copies.m3u8", 0, "written to copies.m3u8"),
    ("duplicates --similar 0.99", 0, "group"),
    ("duplicates --similar 2", 2, "not in the range"),
    # A library where something else is expected
    ("search sounds.loom", 1, "is a library: say what to search for"),
    ("search dog sounds.loom --names", 1, "with -l sounds.loom"),
    ("index sounds.loom", 1, "is a library, and sounds are expected"),
    ("embed sounds.loom -o e.parquet -m mfcc", 1, "is a library, and sounds are expected"),
    ("clusters sounds.loom", 2, "-l sounds.loom"),
    ("duplicates sounds.loom", 2, "-l sounds.loom"),
    # The library as a whole
    ("clusters", 0, "segments  files  name"),
    ("distances -o near.csv --nearest 1", 0, "6 pairs: near.csv"),
    ("distances -o near.txt", 1, ".csv or .parquet"),
    ("distances", 2, "Missing option '-o'"),
    ("export sounds.loom all.parquet", 0, "6 segments of 6 files"),
    ("search dog --names -n 1", 0, "dog"),
    ("export -l sounds.loom -o all.npz", 0, "6 segments of 6 files"),
    ("export sounds.loom all.xlsx", 1, ".parquet, .npz, .csv"),
    ("export nowhere.loom all.parquet", 1, "nowhere.loom"),
    ("import sites.csv -l other.loom", 1, "all columns but path, start, end and about are its numbers, and of 'site'"),
    ("corpora esc50=sounds", 1, "The root is the folder with meta/esc50.csv"),
    ("train triplet lost --out run", 1, "the corpora are audioset, "),
    ("watch -l nowhere.loom", 1, "nowhere.loom"),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven sounds, one of them twice, in a library of a model without words; two are tagged."""
    world = tmp_path_factory.mktemp("first")
    rng = np.random.default_rng(0)
    for name in ("dogs/dog_bark_1", "birds/owl", "birds/robin", "city/bus", "field/20240514_053000"):
        path = world / "sounds" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.normal(size=8000 if "bus" in name else 24000), 16000)
    (world / "sounds" / "night").mkdir()
    shutil.copy(world / "sounds" / "birds" / "robin.wav", world / "sounds" / "night" / "copy.wav")
    (world / "empty").mkdir()
    (world / "sites.csv").write_text("path,site\nowl.wav,wood\n")
    (world / "list.txt").write_text("sounds/birds/owl.wav\n")
    Library.create(world / "hollow.loom", "mfcc").add(world / "empty", workers=1)
    (world / "cut").mkdir()
    (world / "cut" / "short.wav").write_bytes((world / "sounds" / "birds" / "owl.wav").read_bytes()[:20000])
    Library.create(world / "cut.loom", "mfcc").add(world / "cut", workers=1)
    library = Library.create(world / "sounds.loom", "mfcc")
    library.add(world / "sounds", workers=1)
    library.tags.add("night", [world / "sounds" / "birds" / "owl.wav"])
    library.duplicates.find(workers=1)
    library.index()
    return world


def test_there_are_sixty() -> None:
    lines = [line for line, _, _ in COMMANDS]
    assert len(lines) == len(set(lines)) >= 60


@pytest.mark.parametrize(("line", "code", "said"), COMMANDS, ids=[line for line, _, _ in COMMANDS])
def test_a_command_does_it_or_says_how(
    line: str, code: int, said: str, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    changed = line.startswith(("tags add", "tags rename", "tags remove", "index"))
    if changed:
        shutil.copytree("sounds.loom", "before.loom")
    try:
        result = run(*shlex.split(line))
    finally:
        if changed:
            shutil.rmtree("sounds.loom")
            Path("before.loom").rename("sounds.loom")
    output = result.stdout + result.stderr
    assert (result.exit_code, said in output) == (code, True), output
    assert "Traceback" not in output
