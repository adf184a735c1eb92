"""Registry of evaluation protocols, which the command line, the report and the tests read.

A protocol over clips is called ``function(embeddings, labels, splits, settings=..., seed=...)``, one over frames
``function(frames, clips, labels, splits, settings=..., seed=...)``; one that needs no splits is called without them.
Each registers beside its definition, in `soundloom.evaluation.probes` and `soundloom.evaluation.retrieval`.
`correlation` and `ablation` need other inputs than labels and are not among them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from soundloom.components import Registry
from soundloom.errors import ComponentError, EvaluationError
from soundloom.evaluation.scores import Details, Score

__all__ = ["PROTOCOLS", "Protocol", "find_protocol"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One protocol.

    Attributes:
        function: what measures.
        settings: the class of its settings; without arguments, the paper's values.
        details: the class of its score's details.
        paper: where it comes from.
        window: seconds of a frame, for protocols over frames; None for embeddings of whole clips.
        splits: whether it is called with splits.
    """

    function: Callable[..., Score]
    settings: type
    details: type[Details]
    paper: str
    window: float | None = None
    splits: bool = True


PROTOCOLS: Registry[Protocol] = Registry(
    "protocol", ("soundloom.evaluation.probes", "soundloom.evaluation.retrieval"), error=EvaluationError
)


def find_protocol(name: str) -> Protocol:
    """The protocol of a registered name, or the `Protocol` that ``package.module:object`` names.

    Raises:
        EvaluationError: no such protocol.
        ComponentError: the object cannot be imported, or is no `Protocol`.
    """
    return PROTOCOLS.find(name, adapt=_protocol)


def _protocol(target: object, name: str) -> Protocol:
    if not isinstance(target, Protocol):
        raise ComponentError(f"{name} is a {type(target).__name__}: it should be a soundloom.evaluation.Protocol")
    return target
