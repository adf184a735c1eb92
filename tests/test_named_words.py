"""Words of a model that a text names: everyday words, phrases and parts of names."""

from __future__ import annotations

import pytest

from soundloom.library.search.tag_query import find_known_words, remark_on_parts
from soundloom.tags import Vocabulary, aligned_tags


@pytest.mark.parametrize(
    ("text", "known", "unknown"),
    [
        ("a crying baby", ["Baby cry, infant cry"], []),
        ("Dogs barking loudly", ["Dog", "Bark"], ["loudly"]),
        ("footsteps on the stairs", ["Walk, footsteps"], []),
        ("text-to-speech", ["Speech synthesizer"], []),
        ("children", ["Child speech, kid speaking"], []),
        ("zzz 12", [], ["zzz", "12"]),
        ("birds singing", ["Bird"], []),
        ("church bells ringing", ["Church bell"], []),
        ("waves crashing", ["Waves, surf"], []),
        ("breaking glass", ["Shatter"], []),
        ("tires screeching", ["Tire squeal"], []),
        ("the dog's bark", ["Dog", "Bark"], []),
    ],
)
def test_everyday_words_and_phrases_name_classes(text: str, known: list[str], unknown: list[str]) -> None:
    tags = aligned_tags("loom")
    assert tags is not None
    assert find_known_words(text, tags.vocabulary) == (known, unknown)


def test_words_that_are_part_of_a_name_are_told() -> None:
    words = Vocabulary(tags=("Computer keyboard", "Keyboard (musical)", "Dog"))
    assert remark_on_parts(["keyboard"], words) == (
        "the model does not know 'keyboard', but 'Computer keyboard' and 'Keyboard (musical)'"
    )
    assert remark_on_parts(["key"], words) == remark_on_parts(["keyboard"], None) == ""
