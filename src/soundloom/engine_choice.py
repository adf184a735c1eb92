"""Choice of what computes a model's embeddings, before PyTorch is imported.

    packaged      the default model as one graph (`soundloom.packaged`), for sounds embedded whole; needs no PyTorch
    torch         PyTorch: batch normalisation folded into the convolutions, channels last (`soundloom.engines`)
    onnxruntime   encoders recorded once and run by ONNX Runtime (`soundloom.engines`)

To the last bit the engines differ, so a store of embeddings records the engine with them and takes the same for later
ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from soundloom import packaged
from soundloom.embedding_model import EmbeddingModel
from soundloom.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    from soundloom.embedder import Embedder

__all__ = ["ENGINES", "accelerating", "check_trusted", "load_default", "load_light", "load_on"]

ENGINES = ("auto", packaged.ENGINE, "torch", "onnxruntime")
"""What can be asked for; "auto" is the packaged graph for the default model, else ONNX Runtime where it is installed,
else torch; and always torch on a GPU."""

Loader = Callable[..., EmbeddingModel]
"""`soundloom.load`, or the same with some arguments chosen."""


def load_default(*arguments: Any, **options: Any) -> EmbeddingModel:
    """`soundloom.load`, imported when it is called."""
    from soundloom.models import load

    return load(*arguments, **options)


def load_light(name: str = packaged.NAME, **options: Any) -> EmbeddingModel:
    """`load_default`, but of the default model the packaged graph where ONNX Runtime is installed."""
    if packaged.is_packaged(name, options.get("weights")) and packaged.is_installed():
        return packaged.PackagedModel()
    return load_default(name, **options)


def check_trusted(name: str, where: str) -> None:
    """`soundloom.models.check_trusted_name`; the packaged model's needs no check, and no PyTorch for it."""
    if not packaged.is_packaged(name):
        from soundloom.models import check_trusted_name

        check_trusted_name(name, where)


def accelerating(
    load: Loader, engine: str = "auto", *, device: str = "cpu", half: bool = False, whole: bool = True
) -> Loader:
    """A loader whose models are accelerated, on the device they will run on.

    Args:
        load: gives a model by its name; `soundloom.load`, for one.
        engine: one of `ENGINES`.
        device: torch's name of it, such as "cpu" or "cuda".
        half: let a GPU compute encoders in half precision.
        whole: whether sounds are only embedded whole; vectors over time the packaged graph does not give.
    """
    if engine not in ENGINES:
        raise ModelError(f"no engine {engine!r}: choose from {', '.join(ENGINES)}")

    def load_accelerated(name: str = packaged.NAME, **options: Any) -> EmbeddingModel:
        fits = packaged.is_packaged(name, options.get("weights")) and device == "cpu" and not half
        if engine == packaged.ENGINE and not fits:
            raise ModelError(
                f"the engine {packaged.ENGINE!r} is the graph of {packaged.NAME!r} on the processor: for other models "
                "and devices choose torch or onnxruntime"
            )
        if fits and whole and (engine == packaged.ENGINE or (engine == "auto" and packaged.is_installed())):
            return packaged.PackagedModel()
        model = _as_embedder(load(name, **options), f"on the engine {engine!r}" if whole else "over time")
        from soundloom.engines import accelerated_on

        return accelerated_on(model, engine, device=device, half=half)

    return load_accelerated


def load_on(engine: str, load: Loader, name: str, weights: Any = "published") -> EmbeddingModel:
    """A model on the engine that a store of embeddings records; else, with a warning, on torch.

    Args:
        engine: as `EmbeddingModel.engine` says it.
        load: `soundloom.load`, or the same with some arguments chosen.
        name: the model's.
        weights: as for `soundloom.load`.

    Raises:
        ModelError: the model cannot be loaded.
    """
    if engine == packaged.ENGINE:
        if not packaged.is_packaged(name, weights):  # the store goes on with another model
            return accelerating(load)(name, weights=weights)
        try:
            return packaged.PackagedModel()
        except (MissingExtraError, ModelError):
            pass  # said below
    model = _as_embedder(load(name, weights=weights), f"on the engine {engine!r}")
    from soundloom.engines import resumed

    return resumed(model, engine)


def _as_embedder(model: EmbeddingModel, how: str) -> Embedder:
    """The model, which PyTorch runs; ``how`` it is wanted is said where that is not there.

    Raises:
        MissingExtraError: it is the packaged one, as PyTorch is not installed.
    """
    if isinstance(model, packaged.PackagedModel):
        raise MissingExtraError("torch", "torch", f"{model.name!r} {how}")
    return cast("Embedder", model)
