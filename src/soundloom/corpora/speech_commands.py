"""Speech Commands, version 2: 105,829 words of up to one second, 35 classes (Warden 2018, arXiv 1804.03209).

All 35 words are classes, as in the evaluations of general representations; the twelve-class form with "unknown" and
"silence" is another task. The lists keep a speaker on one side; what they do not name is for training.
"""

from __future__ import annotations

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.table import Corpus

__all__ = ["SPEECH_COMMANDS"]


def _read(copy: Copy) -> Corpus:
    named = dict.fromkeys(copy.lines("validation_list.txt"), "valid")
    named |= dict.fromkeys(copy.lines("testing_list.txt"), "test")
    spoken = dict(copy.matching(r"(?P<word>[a-z]+)/(?P<speaker>[0-9a-f]+)_nohash_\d+\.wav"))
    # A file that only the lists know has to be reported as missing.
    missing = sorted(set(named) - set(spoken))
    files = [*spoken, *missing]
    return copy.corpus(
        files,
        [file.split("/")[0] for file in files],
        splits=[named.get(file, "train") for file in files],
        groups=[file.split("/")[1].split("_")[0] for file in files],
    )


SPEECH_COMMANDS = register_corpus(
    CorpusAdapter(
        name="speech-commands",
        title="Speech Commands v2, 35 words",
        task="single-label",
        layout="{word}/{speaker}_nohash_{take}.wav, validation_list.txt and testing_list.txt",
        address="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        licence="CC BY 4.0",
        counts={"clips": 105829, "classes": 35, "train": 84843, "valid": 9981, "test": 11005},
        read=_read,
    )
)
