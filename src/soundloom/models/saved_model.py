"""Saved models: ``save_pretrained`` and ``from_pretrained``, a folder of JSON and safetensors.

    FOLDER/config.json          what the model is made of, with the hash of its weights (`model_config`)
    FOLDER/model.safetensors    the weights, keys ``parts.NUMBER.frontend.*`` and ``parts.NUMBER.encoder.*``
    FOLDER/README.md            the model card (`model_card`)

What else soundloom keeps beside a model, the tags that it knows (`soundloom.tags`) and its tagger
(`soundloom.tagger`), goes to the hub and comes from it along with the model.

What is loaded is what was saved: the same embeddings to the bit, the same fingerprint. Each file is written beside
its name and renamed when whole, the configuration last; as it carries the hash of the weights, two savings that got
mixed are noticed. Nothing is unpickled.

A folder holds no code. Front-ends and encoders of other packages are named, and found where the package is installed
and registers them; else their code must be trusted (`soundloom.components.trust`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from soundloom.atomic_file import replacing
from soundloom.components.config_file import check_safetensors, one_line, read_json
from soundloom.embedder import Embedder, Woven
from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.models import hub
from soundloom.models.model_card import Card
from soundloom.models.model_config import ModelConfig
from soundloom.models.names import SavedName
from soundloom.models.onnx_file import is_onnx, load_onnx, path_of
from soundloom.models.transformers_folder import EXTRACTORS, TOKENISERS, is_transformers, load_folder
from soundloom.models.weights.download import Announcement, sha256_of
from soundloom.models.weights.published_checkpoints import check_state

__all__ = [
    "BACKGROUND",
    "CONFIG",
    "PACKAGED",
    "TRAINING_CLIPS",
    "WEIGHTS",
    "check_savable",
    "check_there",
    "from_pretrained",
    "is_saved",
    "push_to_hub",
    "save_pretrained",
]

PACKAGED = Path(__file__).parent
"""Where the models lie that come with the package, each in a folder of its name."""

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"

_LARGE = 1 << 16
"""Numbers of a tensor that is worth storing in half precision."""

BACKGROUND = "background.safetensors"
"""Statistics of sounds of all kinds, for detectors (`soundloom.detectors.background`)."""

TRAINING_CLIPS = "training_clips.safetensors"
"""What identifies the clips that a model was trained on (`soundloom.evaluation.training_clips`)."""

COMPANIONS = ("tags.safetensors", "vocabulary.json", "tagger.safetensors", "tagger.json", BACKGROUND, TRAINING_CLIPS)
"""Files of a model's folder that are no part of the model itself."""


def save_pretrained(model: Embedder, folder: str | os.PathLike[str], *, card: Card | None = None) -> Path:
    """Write a model to a folder, from which `from_pretrained` and `soundloom.load` make it again.

    Args:
        model: a stream or a weaving of streams.
        folder: where; made if it is not there, and a model in it replaced.
        card: what the model card says besides the facts of the model.

    Returns:
        The folder.

    Raises:
        ModelError: this is no model, it has parts that cannot be saved, or the folder cannot be written.
    """
    if not isinstance(model, Embedder):
        raise ModelError(f"got a {type(model).__name__}, and a model is saved: load it with soundloom.load(NAME) first")
    folder = Path(folder).expanduser()
    state = {
        f"parts.{number}.{key}": tensor.detach().cpu().contiguous()
        for number, stream in enumerate(model.embedders)
        for key, tensor in stream.state_dict().items()
    }
    odd = [key for key, tensor in state.items() if tensor.is_floating_point() and tensor.dtype != torch.float32]
    if odd:
        raise ModelError(f"models are saved in float32, but {odd[0]} is {state[odd[0]].dtype}: use model.float() first")
    check_savable(model)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stored = {key: _as_stored(tensor) for key, tensor in state.items()}
        _write(folder / WEIGHTS, lambda path: save_file(stored, path, metadata={"format": "pt"}))
        config = ModelConfig.of(model, sha256_of(folder / WEIGHTS))
        text = json.dumps(config.to_plain(), indent=2, ensure_ascii=False) + "\n"
        _write(folder / CARD, lambda path: path.write_text((card or Card()).text(model, config), encoding="utf-8"))
        _write(folder / CONFIG, lambda path: path.write_text(text, encoding="utf-8"))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot save {model.name!r} to {os.fspath(folder)!r}: {error}") from error
    return folder


def check_savable(model: Embedder) -> None:
    """Refuse a model that cannot be saved, before a training or anything else that would end in saving it.

    Raises:
        ModelError: it has parts that cannot be saved; names them.
    """
    ModelConfig.of(model, "")


def from_pretrained(
    source: str | os.PathLike[str],
    *,
    offline: bool = False,
    announce: Callable[[Announcement], None] | None = None,
    trust: bool = False,
) -> Embedder:
    """Make a saved model again, ready to embed.

    Args:
        source: the folder it was saved to; ``hf:owner/name`` (``hf:owner/name@revision``) on the Hugging Face hub; or
            ``onnx:FILE``.
        offline: never touch the network.
        announce: called with what is about to be downloaded.
        trust: whether code that the model names may be imported, though no installed package registers it
            (`soundloom.components.trust`).

    Raises:
        ModelError: there is no such model, it is damaged, or it needs code that is not trusted; says which file and
            what in it.
        MissingExtraError: the hub is asked for and huggingface_hub is not installed.
    """
    if is_onnx(source):
        return load_onnx(path_of(os.fspath(source))).eval()
    folder = folder_of(source, offline=offline, announce=announce)
    name = hub.name_of(os.fspath(source)) if hub.is_address(source) else folder.resolve().name
    return _read(folder, trust, name)


def folder_of(
    source: str | os.PathLike[str], *, offline: bool = False, announce: Callable[[Announcement], None] | None = None
) -> Path:
    """Where a saved model lies on this machine, fetched from the hub if need be; see `from_pretrained`."""
    if hub.is_address(source):
        return hub.snapshot(
            os.fspath(source),
            (CONFIG,),
            besides=(CARD, *EXTRACTORS, *TOKENISERS, *COMPANIONS),
            offline=offline,
            announce=announce,
        )
    return Path(source).expanduser()


def push_to_hub(
    model: Embedder | str | os.PathLike[str],
    repository: str,
    *,
    card: Card | None = None,
    private: bool | None = None,
    token: str | None = None,
) -> str:
    """Put a model on the Hugging Face hub; returns its address there.

    Args:
        model: a stream or a weaving of streams, which is saved for it; or the folder of a saved model, whose card,
            tags and tagger go with it.
        repository: ``owner/name``; made if it is not there.
        card: as for `save_pretrained`; a folder has its own.
        private: whether a new repository is hidden; the owner's default if not given.
        token: what to log in with; that of the hub's own login if not given.

    Raises:
        ModelError: the model cannot be saved, there is none in the folder, or the hub refuses it.
        MissingExtraError: huggingface_hub is not installed.
        InvalidArgumentError: a folder and a card.
    """
    if isinstance(model, str | os.PathLike):
        if card is not None:
            raise InvalidArgumentError("a saved model has a card of its own: edit its README.md")
        # Errors are raised before anything is uploaded. Publishing a folder means trusting the code that it names.
        _read(Path(model).expanduser(), trust=True, name="")

    def save(place: Path) -> None:
        if not isinstance(model, str | os.PathLike):
            save_pretrained(model, place, card=card)
            return
        saved = Path(model).expanduser()
        for name in (CONFIG, WEIGHTS, CARD, *COMPANIONS):
            if (saved / name).is_file():
                shutil.copyfile(saved / name, place / name)

    return hub.push(repository, save, private=private, token=token)


def is_saved(source: str | os.PathLike[str]) -> bool:
    """Whether a text names a saved model rather than one of the table: a path, a model's folder, a hub address."""
    text = os.fspath(source)
    separated = any(separator in text for separator in (os.sep, os.altsep, "/") if separator)
    return hub.is_address(text) or is_onnx(text) or separated or (Path(text) / CONFIG).is_file()


def config_of(source: str, *, offline: bool = False) -> Path:
    """The ``config.json`` of a saved model, alone fetched from the hub if need be.

    Raises:
        ModelError: the model is on the hub and cannot be had.
    """
    if hub.is_address(source):
        return hub.single_file(source, CONFIG, offline=offline)
    return Path(source).expanduser() / CONFIG


def _absent(folder: Path) -> ModelError:
    """The error for a saved model whose folder is not there."""
    place = folder.as_posix()
    hint = f"; a model on the Hugging Face hub is written hf:{place}" if hub.is_repository(place) else ""
    return ModelError(f"no saved model in {os.fspath(folder)!r}: there is no such folder{hint}")


def check_there(name: str) -> None:
    """Refuse the name of a model, part by part, if one is a path where nothing is.

    Raises:
        ModelError: there is no such folder or file.
    """
    if os.path.exists(os.path.expanduser(name)):
        return
    for part in name.split("+"):
        place = SavedName.of(part.strip()).place
        if is_onnx(place) and not path_of(place).is_file():
            raise ModelError(f"cannot read the ONNX file {str(path_of(place))!r}: there is no such file")
        if is_saved(place) and not hub.is_address(place) and not is_onnx(place):
            folder = Path(place).expanduser()
            if not folder.exists():
                raise _absent(folder)


def _read(folder: Path, trust: bool, name: str) -> Embedder:
    """The model in a folder; a name is what one is called whose folder does not say."""
    config_file, weights_file = folder / CONFIG, folder / WEIGHTS
    if config_file.is_file() and is_transformers(config := read_json(config_file)):
        return load_folder(folder, config, name).eval()
    for file in (config_file, weights_file):
        if not file.is_file():
            if not folder.is_dir():
                raise _absent(folder)
            begun = (folder / "settings.yaml").is_file()
            hint = ", as its training is not finished: the same command goes on" if begun else ""
            raise ModelError(f"no saved model in {os.fspath(folder)!r}: there is no {file.name}{hint}")
    try:
        return _build(config_file, weights_file, folder, trust)
    except ModelError as error:
        # Whatever a damaged file holds, the message is one line of readable length.
        raise ModelError(one_line(error)) from error


def _build(config_file: Path, weights_file: Path, folder: Path, trust: bool) -> Embedder:
    config = ModelConfig.read(read_json(config_file), os.fspath(config_file))
    check_safetensors(weights_file)
    if sha256_of(weights_file) != config.weights_sha256:
        raise ModelError(
            f"{weights_file} is not the file that {CONFIG} was saved with: it is damaged, or of another saving. "
            "Save the model again, or copy the whole folder anew"
        )
    try:
        state = load_file(weights_file)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{weights_file} is not a safetensors file: {error}") from None
    return _assemble(config, state, folder, trust)


def _assemble(config: ModelConfig, state: dict[str, Tensor], folder: Path, trust: bool) -> Embedder:
    places = [f"{folder / CONFIG}.parts[{number}]" for number in range(len(config.parts))]
    modules = [part.modules(place, trust=trust) for part, place in zip(config.parts, places, strict=True)]
    shapes = {
        f"parts.{number}.{key}": tuple(tensor.shape)
        for number, module in enumerate(modules)
        for key, tensor in module.state_dict().items()
    }
    try:
        check_state(state, shapes, name=repr(config.name))
    except ModelError as error:
        raise ModelError(f"{folder / WEIGHTS} does not fit {CONFIG}: {error}") from None
    parts = []
    for number, (part, module, place) in enumerate(zip(config.parts, modules, places, strict=True)):
        prefix = f"parts.{number}."
        # Copies: the tensors lie in the file as it is mapped, anyhow aligned, and matrix products round by alignment.
        mine = {key.removeprefix(prefix): _as_loaded(tensor) for key, tensor in state.items() if key.startswith(prefix)}
        module.load_state_dict(mine, assign=True)
        parts.append(part.stream(module, place))
    model = parts[0] if len(parts) == 1 else Woven(parts, config.name, config.balance, config.centred)
    if (model.sample_rate, model.dim) != (config.sample_rate, config.dim):
        raise ModelError(
            f"{folder / CONFIG} says {config.dim} numbers at {config.sample_rate} Hz, but its parts make "
            f"{model.dim} at {model.sample_rate} Hz: edited, or written by another soundloom ({config.soundloom})"
        )
    return model.eval()


def _as_stored(tensor: Tensor) -> Tensor:
    """A large tensor whose values are all numbers of half precision, in half the bytes; any other as it is."""
    if tensor.dtype != torch.float32 or tensor.numel() < _LARGE:
        return tensor
    half = tensor.half()
    return half if torch.equal(half.float(), tensor) else tensor


def _as_loaded(tensor: Tensor) -> Tensor:
    """A copy, in single precision if it was stored in half."""
    return tensor.to(torch.float32 if tensor.dtype == torch.float16 else tensor.dtype, copy=True)


def _write(path: Path, write: Callable[[Path], object]) -> None:
    with replacing(path, shared=True) as fresh:
        write(fresh)
