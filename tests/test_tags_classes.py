"""Words of AudioSet's classes: everyday words for them, saved with a model, and class heads behind a reduction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import soundloom
from soundloom.audioset import audioset_synonyms, yamnet_classes
from soundloom.errors import InvalidArgumentError, ModelMismatchError, QueryError
from soundloom.library import Library
from soundloom.models.saved_model import save_pretrained
from soundloom.recipes.architectures import build_stream
from soundloom.tags import AlignedTags, Vocabulary
from soundloom.tags.class_head import ClassHead

EVERYDAY = """
alarm animal applause baby bark bee bell bicycle bird boat bomb bottle breath bus car cat chainsaw chicken
child church clap clock coin cough cow cricket crow crowd cry dog door doorbell drill drum duck engine
explosion fan fire fireworks flute fly footsteps frog glass goat guitar gun hammer hand helicopter horn horse
insect jet keyboard keys kitchen knock laugh leaves lion machine man microwave money mouse music ocean owl
people phone piano pig plane police pour printer radio rain river rooster saw scream sea sheep ship silence
singing siren snake sneeze snore speech splash storm street telephone thunder toilet traffic train truck
typing vacuum violin voice walking water waves whale whistle wind woman
""".split()  # noqa: SIM905


def test_hints_are_slips_of_the_same_word() -> None:
    vocabulary = Vocabulary.of_classes(yamnet_classes())
    assert {word: vocabulary.nearest(word)[0] for word in ("dgo", "brid", "helicoptr", "jackhamer", "footstepz")} == {
        "dgo": "Dog", "brid": "Bird", "helicoptr": "Helicopter", "jackhamer": "Jackhammer", "footstepz": "footstep",
    }  # fmt: skip
    assert [vocabulary.nearest(word) for word in ("kiss", "laser", "knight", "velcro")] == [[]] * 4


def test_everyday_words_are_known() -> None:
    words = Vocabulary.of_classes(yamnet_classes())
    unknown = []
    for word in EVERYDAY:
        try:
            words.query([word])
        except QueryError:
            unknown.append(word)
    assert len(unknown) <= 0.05 * len(EVERYDAY), unknown


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("puppy", "Dog"), ("Puppies", "Dog"), ("gun", "Gunshot, gunfire"), ("Guns", "Gunshot, gunfire"),
        ("washing machine", "Mechanisms"), ("baby", "Baby cry, infant cry"), ("rain", "Rain"),
        ("infant cry", "Baby cry, infant cry"), ("buzzing", "Buzz"), ("croaking", "Croak"), ("doggy", "Dog"),
        ("whooshing", "Whoosh, swoosh, swish"),
    ],
)  # fmt: skip
def test_a_synonym_stands_for_its_class(word: str, name: str) -> None:
    words = Vocabulary.of_classes(yamnet_classes())
    (place,) = words.query([word]).nonzero()[0]
    assert words.tags[place] == name


def test_what_is_ruled_out_is_not_looked_for() -> None:
    words = Vocabulary.of_classes(yamnet_classes())
    for text in ("not dog", "no dogs", "rain without any dog"):
        with pytest.raises(QueryError, match=r"rules out 'dogs?', .* LibraryQuery\(not_words=\('dogs?',\)\)$"):
            words.query([text])


def test_no_synonym_is_a_class_of_another_name() -> None:
    names = {name: tag for tag in yamnet_classes() for name in (tag.lower(), *tag.lower().split(", "))}
    clashes = {word for word, tag in audioset_synonyms().items() if names.get(word, tag) != tag}
    assert not clashes


def test_synonyms_are_kept_with_the_vocabulary(tmp_path: Path) -> None:
    words = Vocabulary(tags=("Dog", "Cat"), synonyms={"puppy": "Dog"})
    words.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == words
    with pytest.raises(InvalidArgumentError, match="stands for one of the tags"):
        Vocabulary(tags=("Dog",), synonyms={"kitten": "Cat"})


def test_a_class_head_is_saved_and_gives_the_same_logits(tmp_path: Path) -> None:
    save_pretrained(soundloom.load("mfcc"), tmp_path)
    head = ClassHead(torch.nn.Linear(120, 3), 120)
    AlignedTags("mfcc", 120, Vocabulary(tags=("a", "b", "c")), head=head).save(tmp_path)
    again = AlignedTags.load(tmp_path)
    sounds = torch.randn(5, 120, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(again.scores(sounds), head(sounds).sigmoid())
    assert torch.allclose(again.direction(["b"]), torch.nn.functional.normalize(head.linear.weight[1].detach(), dim=0))


def test_a_library_of_an_earlier_version_is_searched_by_its_rows_and_not_by_new_words(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    sounds = [tmp_path / "sounds" / f"{number}.wav" for number in range(3)]
    sounds[0].parent.mkdir()
    for path in sounds:
        soundfile.write(path, 0.1 * generator.normal(size=16_000), 16_000)
    model = tmp_path / "model"

    def save(seed: int) -> None:
        stream = build_stream("resnet-small", seed, "mine").eval()
        save_pretrained(stream, model)
        words = Vocabulary.of_classes(("Dog", "Cat"))
        AlignedTags("mine", stream.dim, words, head=ClassHead(torch.nn.Linear(stream.dim, 2), stream.dim)).save(model)

    save(0)
    library = Library.create(tmp_path / "l.loom", str(model))
    library.add(sounds[0].parent)
    vector = library.model.embed(sounds[0])
    before = library.search_embedding(vector, 3)
    assert len(library.search_tags(["puppy"], 3)) == 3
    save(1)
    again = Library.open(tmp_path / "l.loom")
    assert again.search_embedding(vector, 3) == before
    with pytest.raises(QueryError, match=r"another version of .mine.*soundloom index --upgrade"):
        again.search_tags(["puppy"], 3)
    with pytest.raises(QueryError, match=r"no name.*'puppy'.*another version of .mine.*soundloom index --upgrade"):
        again.find("puppy")
    with pytest.raises(ModelMismatchError, match=r"Sounds that it holds"):
        again.search(generator.normal(size=16_000).astype(np.float32), 2)
