"""Free-form tags: from names, tables and files to words, a vocabulary, and the space of the embeddings."""

from soundloom.tags.file_metadata import embedded_texts
from soundloom.tags.lookup import aligned_tags, class_tags
from soundloom.tags.suggestions import Suggestion, suggest_tags
from soundloom.tags.tag_model import AlignedTags
from soundloom.tags.tag_sources import SOURCES, TagFile, words_of
from soundloom.tags.text_tower import TextTower, text_tower
from soundloom.tags.tokenise import normalise, words_of_path
from soundloom.tags.vocabulary import Vocabulary, VocabularySettings

__all__ = [
    "SOURCES",
    "AlignedTags",
    "Suggestion",
    "TagFile",
    "TextTower",
    "Vocabulary",
    "VocabularySettings",
    "aligned_tags",
    "class_tags",
    "embedded_texts",
    "normalise",
    "suggest_tags",
    "text_tower",
    "words_of",
    "words_of_path",
]
