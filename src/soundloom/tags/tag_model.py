"""Tag model of an aligned stream, saved beside the model: tags to directions, embeddings to tag scores.

    FOLDER/config.json, model.safetensors, README.md     the stream, as `soundloom.save_pretrained` writes it
    FOLDER/vocabulary.json                               the tags
    FOLDER/tags.safetensors                              the tag encoder, the tag decoder, the head that predicts tags,
                                                         as far as there are, and the maps

Sound and tags are compared as they were trained to agree (Favory 2020, equations 8 to 12): with W the audio's linear
map and phi_t the tags' side, by

    s(z)  =  cos(W z, phi_t),

and among sounds that have some direction u of the common space in common, a set of tags is a *direction* g in the space
of the stream's own embeddings: what is left of phi_t when u is taken away, brought back through W. With phi_t and u at
unit length

    g  =  W' (phi_t - (phi_t . u) u),

the gradient of s at a sound whose W z points along u, up to its length. An index of embeddings can be asked for it
(`soundloom.library.search.tag_query`). Taking u away matters: embeddings that come out of a ReLU all point one way, and
whatever is long would agree with any tag. For u stands the mean of W z / |W z| (`AlignedTags.common`), in which a
sound counts the same however long its embedding is.

Where the tags were decoded, too, the decoder predicts the tags of a sound (`AlignedTags.predict`). It takes z_t, which
a sound has not; but the sound lies nearer to some tags than to others, and for its z_t stands the mean of theirs, each
weighted by how near it lies:

    z  =  sum_t softmax_t( (s_t - s_t usually) / tau )  e_t(tag t),         tau = 0.1, as in training (equation 11).

A stream trained to predict tags directly (the paper's CNN) has a head instead, which scores tags without a direction;
the classifier of a published network is linear and gives one (`soundloom.tags.class_head`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from soundloom.atomic_file import replacing
from soundloom.encoders import COALA_DIM, COALATagEncoder
from soundloom.errors import InvalidArgumentError, ModelError, QueryError
from soundloom.models.saved_model import CONFIG, WEIGHTS, from_pretrained
from soundloom.models.weights.download import sha256_of
from soundloom.tags.class_head import ClassHead, TagHead
from soundloom.tags.linear_tags import TAGS, VOCABULARY
from soundloom.tags.tag_decoder import TagDecoder
from soundloom.tags.vocabulary import Vocabulary

__all__ = ["TAGS", "VOCABULARY", "AlignedTags"]

_FORMAT = "1"
_NO_TAGS = "no tags to search by: give one at least"

TEMPERATURE = 0.1
"""Of the cosines in training (Favory 2020, equation 11)."""


class AlignedTags(nn.Module):
    """A vocabulary, and what brings its tags and a stream's embeddings together. Ready to use, not to train.

    Args:
        part: name of the stream.
        dim: size of its embeddings, D.
        vocabulary: the tags.
        encoder: the tag encoder, with its map to phi_t.
        audio_map: W, without a constant term; with the tag encoder.
        decoder: from z_t to a logit for each tag; with the tag encoder, if there is one.
        head: from an embedding to a logit for each tag, where the stream predicts tags directly.

    Attributes:
        centre: what the sounds that were learned from have in common, [1152] (`common`); zeros if it is not known.
        fingerprints: `Embedder.fingerprints` of the model beside which the tags were saved; empty if not known.

    Raises:
        InvalidArgumentError: neither a tag encoder with its audio map, nor a head; or a decoder without an encoder.
    """

    centre: Tensor

    def __init__(
        self,
        part: str,
        dim: int,
        vocabulary: Vocabulary,
        *,
        encoder: COALATagEncoder | None = None,
        audio_map: nn.Linear | None = None,
        decoder: TagDecoder | None = None,
        head: ClassHead | TagHead | None = None,
    ) -> None:
        super().__init__()
        if (encoder is None) != (audio_map is None) or (encoder is None and head is None):
            raise InvalidArgumentError(f"{part}: tags need a tag encoder and the audio's map to it, or a head")
        if decoder is not None and encoder is None:
            raise InvalidArgumentError(f"{part}: a tag decoder needs the tag encoder whose embeddings it takes")
        self.part = part
        self.dim = dim
        self.vocabulary = vocabulary
        self.encoder = encoder
        self.audio_map = audio_map
        self.decoder = decoder
        self.head = head
        self.fingerprints: tuple[str, ...] = ()
        self.register_buffer("centre", torch.zeros(COALA_DIM))
        self.eval()

    @torch.inference_mode()
    def direction(
        self, tags: Sequence[str], not_: Sequence[str] = (), *, around: Float[Tensor, " 1152"] | None = None
    ) -> Float[Tensor, " dim"]:
        """Where in the space of the embeddings sounds with some tags lie, and without some others: g.

        The tags go through the tag encoder together, as it has learned them; those to be avoided likewise, and what
        they give is taken away.

        Args:
            tags: words of the vocabulary.
            not_: words of the vocabulary, too.
            around: what sounds have in common, u, of any length (`common`); nothing is taken away if not given or zero.

        Raises:
            QueryError: a word is not in the vocabulary, there is no word at all, or the stream has a head that gives no
                direction.
        """
        if not tags and not not_:
            raise QueryError(_NO_TAGS)
        if self.encoder is None or self.audio_map is None:
            query = self.vocabulary.query(tags) - self.vocabulary.query(not_)
            along = None if self.head is None else self.head.direction(torch.from_numpy(query))
            if along is not None:
                return along
            raise QueryError(
                f"{self.part!r} predicts tags but cannot be searched by them: it was trained without a tag encoder "
                "(contrast_weight 0)"
            )
        wanted, unwanted = ([*tags], 1.0), ([*not_], -1.0)
        sides = [
            sign * self._phi(torch.from_numpy(self.vocabulary.query(words))[None])
            for words, sign in (wanted, unwanted)
            if words
        ]
        phi = torch.cat(sides).sum(dim=0)
        if around is not None:
            middle = functional.normalize(around, dim=0)
            phi = phi - (phi @ middle) * middle
        return (phi @ self.audio_map.weight).clone()

    def query_direction(
        self, sample: Float[np.ndarray, "sampled dim"], tags: Sequence[str], not_: Sequence[str] = ()
    ) -> Float[np.ndarray, " dim"]:
        """`direction`, from NumPy to NumPy, around what a sample of sounds has in common."""
        common = self.common(torch.from_numpy(np.ascontiguousarray(sample)))
        return np.asarray(self.direction(tags, not_, around=common).numpy())

    def probabilities(self, embeddings: Float[np.ndarray, "sounds dim"]) -> Float[np.ndarray, "sounds tags"]:
        """`suggestion_scores`, from NumPy to NumPy."""
        return np.asarray(self.suggestion_scores(torch.from_numpy(embeddings)).numpy())

    @property
    def windowed(self) -> bool:
        """Whether tags are scored for the model's windows one by one, as the published classifier scores them."""
        return self.head is not None and self.head.windowed

    @torch.inference_mode()
    def common(self, embeddings: Float[Tensor, "sounds dim"]) -> Float[Tensor, " 1152"]:
        """The mean of W z / |W z| over some sounds; zeros of none, or where a head predicts tags."""
        if self.audio_map is None or not len(embeddings):
            return torch.zeros(COALA_DIM)
        return functional.normalize(self.audio_map(embeddings), dim=1).mean(dim=0)

    @torch.inference_mode()
    def scores(self, embeddings: Float[Tensor, "sounds dim"]) -> Float[Tensor, "sounds tags"]:
        """How well each tag alone fits each sound: cosines in [-1, 1], or probabilities where a head predicts them."""
        if self.encoder is None or self.audio_map is None:
            assert self.head is not None  # one of the two is there by construction
            scores: Tensor = self.head(embeddings).sigmoid()
            return scores
        sounds = functional.normalize(self.audio_map(embeddings), dim=1)
        return sounds @ self._phi(torch.eye(len(self.vocabulary))).T

    @torch.inference_mode()
    def suggestion_scores(self, embeddings: Float[Tensor, "sounds dim"]) -> Float[Tensor, "sounds tags"]:
        """How probable each tag is for each sound, in [0, 1]; derived in `soundloom.tags.suggestions`."""
        scores = self.scores(embeddings)
        if self.encoder is None:
            return scores
        return (_frequencies(self.vocabulary).logit() + (scores - self.usual()) / TEMPERATURE).sigmoid()

    @torch.inference_mode()
    def usual(self) -> Float[Tensor, " tags"]:
        """How well each tag alone fits the training sounds, on average; zeros where a head predicts tags."""
        if self.encoder is None:
            return torch.zeros(len(self.vocabulary))
        return self._phi(torch.eye(len(self.vocabulary))) @ self.centre

    @torch.inference_mode()
    def predict(self, embeddings: Float[Tensor, "sounds dim"]) -> Float[Tensor, "sounds tags"] | None:
        """Probabilities of the tags of each sound; None where there is neither a head nor a decoder."""
        if self.encoder is None:
            return self.scores(embeddings)
        if self.decoder is None:
            return None
        nearness = ((self.scores(embeddings) - self.usual()) / TEMPERATURE).softmax(dim=1)
        probabilities: Tensor = self.decoder(nearness @ self.encoder(torch.eye(len(self.vocabulary)))).sigmoid()
        return probabilities

    def _phi(self, tags: Tensor) -> Tensor:
        """phi_t at unit length."""
        assert self.encoder is not None
        return functional.normalize(self.encoder.align(self.encoder(tags)), dim=1)

    def save(self, folder: str | os.PathLike[str], *, half: bool = False) -> None:
        """Write the tags' side beside a saved stream.

        Args:
            folder: where the stream was saved.
            half: in half the bytes; cosines then differ by some ten-thousandths.

        Raises:
            ModelError: there is no saved stream of such embeddings there, or the folder cannot be written.
        """
        place = Path(folder)
        state = {
            key: (tensor.half() if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
            for key, tensor in self.state_dict().items()
        }
        try:
            digest = sha256_of(place / WEIGHTS)
            prints = " ".join(from_pretrained(place).fingerprints()) if (place / CONFIG).is_file() else ""
            about = {"format": _FORMAT, "part": self.part, "weights_sha256": digest, "fingerprints": prints}
            with replacing(place / TAGS, shared=True) as fresh:
                save_file(state, fresh, metadata=about)
                self.vocabulary.save(place / VOCABULARY)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot save tags beside the model {os.fspath(folder)!r}: {error}") from error

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> AlignedTags:
        """Read the tags' side of a saved stream.

        Raises:
            ModelError: the model has none, or it is damaged or of another saving of the stream.
        """
        place = Path(folder).expanduser()
        if not (place / TAGS).is_file():
            raise ModelError(
                f"the model {os.fspath(folder)!r} knows no tags: there is no {TAGS}. "
                "Train one that does with: soundloom train coala"
            )
        try:
            with safe_open(place / TAGS, framework="pt") as file:
                about = file.metadata() or {}
            state = load_file(place / TAGS)
            if about.get("format") != _FORMAT:
                raise InvalidArgumentError(f"format {about.get('format')!r}, this version reads {_FORMAT}")
            if about.get("weights_sha256") != sha256_of(place / WEIGHTS):
                raise InvalidArgumentError(f"{WEIGHTS} beside it is of another saving")
            tags = cls._empty(about["part"], Vocabulary.load(place / VOCABULARY), state)
            # Copied into tensors of its own: those mapped from a file lie anyhow aligned, and matrix products round
            # by alignment. Halves become floats again.
            tags.load_state_dict(state)
            tags.fingerprints = tuple(about.get("fingerprints", "").split())
        except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(f"{place / TAGS} is damaged or does not fit ({error}): train or save it again") from None
        return tags

    @classmethod
    def _empty(cls, part: str, vocabulary: Vocabulary, state: dict[str, Tensor]) -> AlignedTags:
        """The modules that a file's tensors are of."""
        audio_map, encoder, decoder = None, None, None
        head: ClassHead | TagHead | None = None
        widths = ("audio_map.weight", "head.0.weight", "head.linear.weight")
        dim = next(state[key].shape[1] for key in widths if key in state)
        if "audio_map.weight" in state:
            encoder = COALATagEncoder(len(vocabulary))
            audio_map = nn.Linear(dim, len(state["audio_map.weight"]), bias=False)
        if any(key.startswith("decoder.") for key in state):
            decoder = TagDecoder(len(vocabulary))
        if "head.0.weight" in state:
            hidden = len(state["head.0.weight"])
            head = TagHead(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, len(vocabulary)))
        if "head.linear.weight" in state:
            head = ClassHead(nn.Linear(dim, len(vocabulary)), dim)
        return cls(part, dim, vocabulary, encoder=encoder, audio_map=audio_map, decoder=decoder, head=head)


def _frequencies(vocabulary: Vocabulary) -> Float[Tensor, " tags"]:
    """The share of the sounds that had each tag; equal ones where that is not known."""
    if not vocabulary.counts or not vocabulary.sounds:
        return torch.full((len(vocabulary),), 1 / (len(vocabulary) + 1))
    # As if one more sound had half of each tag: none is certain.
    return (torch.tensor(vocabulary.counts) + 0.5) / (vocabulary.sounds + 1)
