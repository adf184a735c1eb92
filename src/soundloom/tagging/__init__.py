"""Free-form tags: out of names, tables and files into words, into a vocabulary, into the space of the sounds."""

from soundloom.tagging.aligned import AlignedTags
from soundloom.tagging.embedded import embedded_texts
from soundloom.tagging.finding import aligned_tags
from soundloom.tagging.sources import SOURCES, TagFile, words_of
from soundloom.tagging.suggesting import Suggestion, suggest_tags
from soundloom.tagging.vocabulary import Vocabulary, VocabularySettings
from soundloom.tagging.words import normalise, words_of_path

__all__ = [
    "SOURCES",
    "AlignedTags",
    "Suggestion",
    "TagFile",
    "Vocabulary",
    "VocabularySettings",
    "aligned_tags",
    "embedded_texts",
    "normalise",
    "suggest_tags",
    "words_of",
    "words_of_path",
]
