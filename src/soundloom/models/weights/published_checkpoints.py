"""Registry of published checkpoints: address, hash, licence, keys and shapes, and how their keys are renamed.

One table, ``CHECKPOINTS``. A row says where the file is published and under which hash, licence and paper, and the
shape of every tensor in it: a file with other keys is refused by name of the key rather than failing later, or worse,
loading in part. Encoders keep the published key names, so that most rows need no renaming.

Sources: the authors' release pages (zenodo 3987831 for PANNs, harritaylor/torchvggish v0.1, the model page
MIT/ast-finetuned-audioset-10-10-0.4593, the repository xavierfav/coala).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.components import Registry
from soundloom.errors import ModelError, UnknownModelError
from soundloom.models.weights import checkpoint_layouts
from soundloom.models.weights.ast_original import from_original
from soundloom.models.weights.checkpoint_layouts import Shapes
from soundloom.models.weights.download import PublishedFile

__all__ = ["CHECKPOINTS", "Checkpoint", "State", "check_mel", "check_state", "extract", "register_checkpoint"]

State = dict[str, Tensor]

Format = Literal["torch", "safetensors", "scaler", "vocabulary", "other"]

_LISTED = 6


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A row of the table.

    Attributes:
        name: what to call it by.
        title: what it is, in a line.
        source: the file, as published.
        format: how it is written: a ``torch.save`` pickle, safetensors, a pickled scikit-learn scaler, a JSON
            vocabulary, or otherwise, as ``read`` understands it.
        licence: the licence of the weights, by SPDX name.
        citation: the paper.
        shapes: every key, after renaming, and its tensor's shape.
        container: the key of the pickled dict under which the state dict lies; empty if the file is the state dict.
        renames: published key prefixes and what replaces them; a prefix that does not occur is no error.
        front_end: prefixes of keys that belong to the front-end, not to the encoder; they may be missing.
        translate: brings the tensors of another published file of the same weights under our key names, and leaves
            others as they are.
        read: reads a file of another format: a path to tensors under our key names.
    """

    name: str
    title: str
    source: PublishedFile
    format: Format
    licence: str
    citation: str
    shapes: Shapes
    container: str = ""
    renames: tuple[tuple[str, str], ...] = ()
    front_end: tuple[str, ...] = ()
    translate: Callable[[State], State] | None = None
    read: Callable[[Path], State] | None = None

    def split(self, state: State) -> tuple[State, State]:
        """The encoder's share of a state dict, and the front-end's."""
        front_end = {key: tensor for key, tensor in state.items() if key.startswith(self.front_end)}
        return {key: tensor for key, tensor in state.items() if key not in front_end}, front_end


_PANNS = "https://zenodo.org/records/3987831/files"
_KONG = "Q. Kong et al., PANNs: Large-scale pretrained audio neural networks for audio pattern recognition, 2020"
_TORCHVGGISH = "https://github.com/harritaylor/torchvggish/releases/download/v0.1"
_HERSHEY = "S. Hershey et al., CNN architectures for large-scale audio classification, 2017"
_AST = "https://huggingface.co/MIT/ast-finetuned-audioset-10-10-0.4593/resolve/f826b80d28226b62986cc218e5cec390b1096902"
_COALA = "https://raw.githubusercontent.com/xavierfav/coala/master"
_FAVORY = (
    "X. Favory et al., COALA: Co-aligned autoencoders for learning semantically enriched audio representations, 2020"
)


def _cnn14(
    kilohertz: int, *, fft: int, file: str, size: int, sha256: str, md5: str, mirrors: tuple[str, ...] = ()
) -> Checkpoint:
    return Checkpoint(
        name=f"cnn14-{kilohertz}k",
        title=f"CNN14 at {kilohertz} kHz, trained on AudioSet tags",
        source=PublishedFile(
            address=f"{_PANNS}/{quote(file)}?download=1",
            filename=file,
            mirrors=mirrors,
            bytes=size,
            sha256=sha256,
            md5=md5,
        ),
        format="torch",
        licence="CC-BY-4.0",
        citation=_KONG,
        shapes=dict(checkpoint_layouts.cnn14(fft)),
        container="model",
        front_end=("spectrogram_extractor.", "logmel_extractor."),
    )


def _coala(
    name: str, title: str, path: str, shapes: Shapes, *, format: Format = "torch", sha256: str | None = None
) -> Checkpoint:
    source = PublishedFile(address=f"{_COALA}/{path}", filename=path.rpartition("/")[2], sha256=sha256)
    return Checkpoint(
        name=name, title=title, source=source, format=format, licence="MIT", citation=_FAVORY, shapes=shapes
    )


_ROWS = (
    _cnn14(
        16,
        fft=512,
        file="Cnn14_16k_mAP=0.438.pth",
        size=358_668_570,
        sha256="e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6",
        md5="362fc5ff18f1d6ad2f6d464b45893f2c",
    ),
    _cnn14(
        32,
        fft=1024,
        file="Cnn14_mAP=0.431.pth",
        mirrors=("https://huggingface.co/thelou1s/panns-inference/resolve/main/Cnn14_mAP%3D0.431.pth",),
        size=327_428_481,
        sha256="0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
        md5="541141fa2ee191a88f24a3219fff024e",
    ),
    Checkpoint(
        name="vggish",
        title="VGGish at 16 kHz, trained on YouTube-8M labels, ported from TensorFlow",
        source=PublishedFile(
            address=f"{_TORCHVGGISH}/vggish-10086976.pth",
            filename="vggish-10086976.pth",
            bytes=288_567_937,
            sha256="10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
        ),
        format="torch",
        licence="Apache-2.0",
        citation=_HERSHEY,
        shapes=dict(checkpoint_layouts.vggish()),
        # The other port, pytorch_vggish.pth by tcvrick, has the same layers under another name.
        renames=(("fc.", "embeddings."),),
    ),
    Checkpoint(
        name="vggish-pca",
        title="the principal components that AudioSet's released VGGish embeddings were turned to",
        source=PublishedFile(
            address=f"{_TORCHVGGISH}/vggish_pca_params-970ea276.pth",
            filename="vggish_pca_params-970ea276.pth",
            bytes=181_358,
            sha256="970ea276",
        ),
        format="torch",
        licence="Apache-2.0",
        citation=_HERSHEY,
        shapes={"pca_eigen_vectors": (128, 128), "pca_means": (128,)},
    ),
    Checkpoint(
        name="ast",
        title="AST at 16 kHz, strides of 10, trained on AudioSet tags",
        source=PublishedFile(
            address=f"{_AST}/model.safetensors",
            filename="model.safetensors",
            bytes=346_404_948,
            sha256="ae0c1e2ad4e1381d851fa9bf298ba13ebc9c5a914cdee2dbe427a6583869924d",
        ),
        format="safetensors",
        licence="BSD-3-Clause",
        citation="Y. Gong et al., AST: Audio spectrogram transformer, 2021",
        shapes=dict(checkpoint_layouts.ast()),
        translate=from_original,
    ),
    _coala(
        "coala-audio",
        "COALA's audio encoder at 22 kHz, aligned with Freesound tags, with autoencoders",
        "saved_models/dual_ae_c/audio_encoder_epoch_200.pt",
        dict(checkpoint_layouts.coala_audio()),
    ),
    _coala(
        "coala-tag",
        "COALA's tag encoder, the other side of coala-audio",
        "saved_models/dual_ae_c/tag_encoder_epoch_200.pt",
        dict(checkpoint_layouts.coala_tag()),
    ),
    _coala(
        "coala-scaler",
        "the range of each mel band over COALA's training set, to scale its input by",
        "scaler_top_1000.pkl",
        dict.fromkeys(("scale_", "min_", "data_min_", "data_max_", "data_range_"), (96,)),
        format="scaler",
        sha256="a19797fdf2fcff78d2198707d485160470367d4aae41f227a51705454eb6cc29",
    ),
    _coala(
        "coala-vocabulary",
        "the 1000 tags that coala-tag knows, in the order of its input",
        "json/id2token_top_1000.json",
        {},
        format="vocabulary",
        sha256="e3f9c0f73af2fc19762b52764138fa76822ca437e2856313193a6a1ee9680771",
    ),
)

CHECKPOINTS: Registry[Checkpoint] = Registry(
    "checkpoint", ("soundloom.models",), base=Checkpoint, error=UnknownModelError
)
"""Every published checkpoint, by name."""


def register_checkpoint(checkpoint: Checkpoint) -> Checkpoint:
    """Add published weights, under the checkpoint's own name; gives it back.

    Raises:
        ComponentError: the name is taken by another.
    """
    known = CHECKPOINTS.registered(checkpoint.name)
    return known if known == checkpoint else CHECKPOINTS.register(checkpoint.name, checkpoint)


for _row in _ROWS:
    register_checkpoint(_row)


def extract(checkpoint: Checkpoint, loaded: object) -> State:
    """The state dict in what a checkpoint file held, under our key names, floats as float32.

    Counters (``num_batches_tracked``) stay integers. A file that already is a bare state dict is taken as it is,
    whatever ``container`` says.

    Raises:
        ModelError: there is no state dict in it, or its keys or shapes are not the published ones.
    """
    held = loaded
    if isinstance(loaded, Mapping) and checkpoint.container in loaded:
        held = loaded[checkpoint.container]
    if not isinstance(held, Mapping) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        keys = f" with the keys {_listed(loaded)}" if isinstance(loaded, Mapping) else ""
        found = f"a {type(loaded).__name__}{keys}"
        where = f" under {checkpoint.container!r}" if checkpoint.container else ""
        raise ModelError(f"no state dict of {checkpoint.name}: expected tensors by key{where}, found {found}")
    state = {_renamed(str(key), checkpoint.renames): _float32(tensor) for key, tensor in held.items()}
    if checkpoint.translate is not None:
        state = checkpoint.translate(state)
    for key, shape in checkpoint.shapes.items():
        # Axes of size one are a matter of taste: torchvggish itself reshapes its pca_means when loading.
        if key in state and [n for n in state[key].shape if n != 1] == [n for n in shape if n != 1]:
            state[key] = state[key].reshape(shape)
    # What a front-end stores can be computed anew, and weights that people pass on often lack it.
    dispensable = {key for key in checkpoint.shapes if key.startswith(checkpoint.front_end)} - state.keys()
    needed = {key: shape for key, shape in checkpoint.shapes.items() if key not in dispensable}
    check_state(state, needed, name=checkpoint.name)
    return state


def check_state(state: Mapping[str, Tensor], expected: Shapes, *, name: str) -> None:
    """Refuse a state dict whose keys or shapes are not the expected ones.

    Raises:
        ModelError: names what is missing, what is unexpected and which shapes differ, a few of each kind.
    """
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    misshapen = [
        f"{key} (expected {tuple(shape)}, got {tuple(state[key].shape)})"
        for key, shape in expected.items()
        if key in state and tuple(state[key].shape) != tuple(shape)
    ]
    groups = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    faults = [f"  {len(keys)} {kind}: {_listed(keys)}" for kind, keys in groups.items() if keys]
    if faults:
        raise ModelError(
            f"these are not the weights of {name}, which has {len(expected)} tensors:\n"
            + "\n".join(faults)
            + "\nIs it a checkpoint of another model or variant? See: soundloom models"
        )


def check_mel(state: Mapping[str, Tensor], filters: Float[Tensor, "bins bands"], *, tolerance: float = 0.0) -> None:
    """Compare a front-end's mel filters with those that PANNs store in their checkpoints.

    Args:
        state: a state dict of cnn14-16k or cnn14-32k, the front-end's keys included.
        filters: the front-end's filters, FFT bins by mel bands.
        tolerance: largest difference allowed; 0 asks for the same bits, which filters computed in another order
            may miss in the last place.

    Raises:
        ModelError: the filters differ, or the state dict stores none.
    """
    difference = mel_difference(state, filters)
    if not difference <= tolerance:
        raise ModelError(
            f"mel filters differ from the checkpoint's by up to {difference:.3g}, allowed is {tolerance:.3g}: "
            "check the sample rate, the band edges and the normalisation (Slaney)"
        )


def mel_difference(state: Mapping[str, Tensor], filters: Float[Tensor, "bins bands"]) -> float:
    """The largest difference between a front-end's mel filters and those that PANNs store in their checkpoints.

    Raises:
        ModelError: the state dict stores none, or of another shape.
    """
    stored = state.get("logmel_extractor.melW")
    if stored is None:
        raise ModelError(
            "no key 'logmel_extractor.melW' in this state dict: only PANNs checkpoints store their mel filters"
        )
    if stored.shape != filters.shape:
        raise ModelError(f"mel filters of shape {tuple(filters.shape)}, the checkpoint has {tuple(stored.shape)}")
    return float((stored.to(torch.float64) - filters.to(torch.float64)).abs().max())


def _renamed(key: str, renames: Iterable[tuple[str, str]]) -> str:
    for published, ours in renames:
        if key.startswith(published):
            return ours + key.removeprefix(published)
    return key


def _float32(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return (tensor.to(torch.float32) if tensor.is_floating_point() else tensor).contiguous()


def _listed(keys: Iterable[object]) -> str:
    names = [str(key) for key in keys]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
