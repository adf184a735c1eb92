"""Free-form tags: from names, tables and files to words, a vocabulary, and the space of the embeddings.

The names below are loaded when they are first used: words and the texts in files need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundloom.lazy_names import lazy_names

if TYPE_CHECKING:
    from soundloom.tags.file_metadata import embedded_texts
    from soundloom.tags.lookup import aligned_tags, class_tags
    from soundloom.tags.suggestions import Suggestion, suggest_tags
    from soundloom.tags.tag_model import AlignedTags
    from soundloom.tags.tag_sources import SOURCES, TagFile, words_of
    from soundloom.tags.text_towers import TextTower, text_tower
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

_HOMES = {
    "AlignedTags": "tag_model",
    "SOURCES": "tag_sources",
    "Suggestion": "suggestions",
    "TagFile": "tag_sources",
    "TextTower": "text_towers",
    "Vocabulary": "vocabulary",
    "VocabularySettings": "vocabulary",
    "aligned_tags": "lookup",
    "class_tags": "lookup",
    "embedded_texts": "file_metadata",
    "normalise": "tokenise",
    "suggest_tags": "suggestions",
    "text_tower": "text_towers",
    "words_of": "tag_sources",
    "words_of_path": "tokenise",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
