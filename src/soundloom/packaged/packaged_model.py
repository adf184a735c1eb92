"""The default model as one ONNX graph of any length, for embedding without PyTorch.

Its Fourier transforms are NumPy's (`soundloom.packaged.spectra`), all else is a graph in ONNX Runtime, recorded from
the PyTorch model by `soundloom.packaged_graph`. Embeddings agree with those of the PyTorch model to 1e-4 of their
largest number; to 3e-3 where bands hold nothing but the rounding of a loud tone, or its filters' echo. It embeds
whole sounds only: for vectors over time, single layers or training load the PyTorch model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from soundloom.embedding_model import EmbeddingModel
from soundloom.errors import MissingExtraError, ModelError
from soundloom.packaged.spectra import GraphLayout, inputs_of, mel_inputs_of, seconds_of

__all__ = [
    "ENGINE",
    "FOLDER",
    "GRAPH",
    "NAME",
    "PackagedModel",
    "PackagedPart",
    "is_installed",
    "is_packaged",
]

NAME = "loom"
"""The model that comes with the package."""

ENGINE = "packaged"
"""What `EmbeddingModel.engine` is of it."""

FOLDER = Path(__file__).parents[1] / "models" / NAME
"""Where it lies."""

GRAPH = "model.onnx"
"""The graph, whose weights are in ``model.safetensors`` beside it."""


def is_installed() -> bool:
    """Whether ONNX Runtime is here to run it."""
    return find_spec("onnxruntime") is not None


class _GraphModel(EmbeddingModel):
    """A model whose graph runs on one thread; several threads may embed at a time.

    Args:
        file: the graph, beside the weights that it refers to.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ModelError: the graph cannot be read.
    """

    engine = ENGINE

    def __init__(self, file: Path) -> None:
        if not is_installed():
            raise MissingExtraError("onnxruntime", "onnx", "the packaged model")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no common class
            raise ModelError(f"the graph {str(file)!r} cannot be read: {error}") from error
        facts: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        self._layout = GraphLayout(**json.loads(facts["layout"]))
        self._fingerprints = tuple(json.loads(facts["fingerprints"]))
        self._settings: dict[str, Any] = json.loads(facts["settings"])
        self.name = facts["model"]
        self.sample_rate = self._layout.sample_rate
        self.dim = self.frame_dim = int(facts["dim"])
        self.parts = {name: slice(*columns) for name, columns in json.loads(facts["parts"]).items()}
        self.min_samples = int(facts["min_samples"])
        self.balance = json.loads(facts["balance"])
        self.centred = tuple(json.loads(facts.get("centred", "[]")))

    def settings(self) -> dict[str, Any]:
        """Those of the PyTorch model."""
        return self._settings

    def fingerprints(self) -> tuple[str, ...]:
        """Those of the PyTorch model."""
        return self._fingerprints

    def embed_frames_of(
        self,
        samples: Float[np.ndarray, " samples"],  # noqa: ARG002 (the interface)
    ) -> tuple[Float[np.ndarray, "time dim"], Float[np.ndarray, " time"]]:
        """Refused: the graph pools over time.

        Raises:
            MissingExtraError: PyTorch, whose model gives them, is not installed.
            ModelError: it is.
        """
        if find_spec("torch") is None:
            raise MissingExtraError("torch", "torch", f"{self.name!r} over time")
        raise ModelError(
            f"the packaged {self.name!r} embeds sounds whole: for vectors over time use the engine torch "
            f"(soundloom.load({self.name!r}), or --engine torch)"
        )

    def _run(self, inputs: Mapping[str, np.ndarray]) -> Float[np.ndarray, " dim"]:
        (embedding,) = self._session.run(None, {name: inputs[name] for name in self._inputs})
        vector: Float[np.ndarray, " dim"] = embedding[0]
        return vector


class PackagedModel(_GraphModel):
    """The packaged model.

    Args:
        folder: with ``model.onnx`` and the weights that it refers to.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ModelError: the graph cannot be read.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(folder / GRAPH)

    def embed_samples(self, samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " dim"]:
        """Embed one waveform, in one piece, on one thread: what libraries store."""
        missing = max(0, self.min_samples - len(samples))
        return self._run(inputs_of(np.pad(samples, (0, missing)), self._layout))


class PackagedPart(_GraphModel):
    """The part of the packaged model that knows words, alone.

    Args:
        name: of the part.
        folder: with ``NAME.onnx`` and the weights that it refers to.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ModelError: the graph cannot be read.
    """

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        super().__init__(folder / f"{name}.onnx")

    @property
    def window(self) -> float:
        """Seconds that fill the part's window."""
        return seconds_of(self._layout.window, self.sample_rate)

    @property
    def hop(self) -> float:
        """Seconds from one such window's start to the next, without overlap."""
        return seconds_of(2 * self._layout.window, self.sample_rate) - self.window

    def embed_samples(self, samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " dim"]:
        """Embed one waveform, in one piece, on one thread."""
        missing = max(0, self.min_samples - len(samples))
        return self._run(mel_inputs_of(np.pad(samples, (0, missing)), self._layout))


def is_packaged(name: object, weights: object = "published") -> bool:
    """Whether a model, by its name and weights, is the one that comes as a graph."""
    return name == NAME and weights in ("published", None)
