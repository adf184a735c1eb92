"""Description of a model for ``soundloom info MODEL``: licence, sizes, layers, classes, origin of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from soundloom.cli.console import echo, print_json
from soundloom.cli.model_loader import model_loader
from soundloom.errors import MissingExtraError

if TYPE_CHECKING:
    from soundloom.embedder import Embedder
    from soundloom.models.model_registry import ModelPart

__all__ = ["PartInfo", "print_model"]


@dataclass(frozen=True, kw_only=True)
class PartInfo:
    """A part of a model.

    Attributes:
        name: as it is written.
        licence: by SPDX name, as far as it is stated.
        title: what it is, in a line; empty of a saved model.
        source: where it comes from.
        weights: address, size and hash of published weights; empty of others.
    """

    name: str
    licence: str | None
    title: str
    source: str
    weights: str


def print_model(name: str, *, offline: bool, json_wanted: bool) -> None:
    """Print what a model is. Published weights are not fetched: sizes are those of the network without them."""
    if find_spec("torch") is None:
        _print_listed(name, json_wanted=json_wanted)
        return
    from soundloom.models import model_parts

    parts = model_parts(name, offline=offline)
    published = [part.name.partition("#")[0] for part in parts if part.row is not None and part.row.checkpoint]
    load = model_loader(offline=offline)
    model = load(name, weights=dict.fromkeys(published, "random") or "published")
    about = [_part_info(part) for part in parts]
    facts = _facts(model)
    if json_wanted:
        print_json({"model": name, **facts, "parts": about})
        return
    echo(f"{'model':>10}  {name}, {model.dim} numbers at {model.sample_rate} Hz, {facts['parameters']:,} weights")
    _print_parts(about)
    for stream in facts["streams"]:
        layers = f", layers {', '.join(map(str, stream['layers']))}" if len(stream["layers"]) > 1 else ""
        echo(f"{'stream':>10}  {stream['name']} ({stream['dim']}): {stream['frontend']}, {stream['encoder']}{layers}")
        if stream["classes"]:
            echo(f"{'classes':>10}  {len(stream['classes'])}: {', '.join(stream['classes'][:5])} ...")


def _print_listed(name: str, *, json_wanted: bool) -> None:
    """Print what is known of a model where PyTorch is not installed: its listing, and sizes of the packaged one."""
    from soundloom.cli import listings
    from soundloom.models.without_torch import refusal
    from soundloom.packaged import PackagedModel, is_packaged

    listing = listings.models().get(name)
    if listing is None:
        raise refusal(name)
    weights = "{address}, {size}, {digest}".format_map(listing.checkpoint) if listing.checkpoint else ""
    about = [
        PartInfo(
            name=name, licence=listing.licence or None, title=listing.title, source=listing.source, weights=weights
        )
    ]
    model = PackagedModel() if is_packaged(name) else None
    facts = {"dim": model.dim, "sample_rate": model.sample_rate} if model is not None else {}
    if json_wanted:
        print_json({"model": name, **facts, "parts": about})
        return
    sizes = f", {model.dim} numbers at {model.sample_rate} Hz" if model is not None else ""
    echo(f"{'model':>10}  {name}{sizes}")
    _print_parts(about)
    for part, columns in model.parts.items() if model is not None else ():
        echo(f"{'stream':>10}  {part} ({columns.stop - columns.start})")
    echo(f"{'more':>10}  layers and classes are shown where PyTorch is installed: {MissingExtraError.remedy('torch')}")


def _print_parts(about: Sequence[PartInfo]) -> None:
    for part in about:
        for label, value in (
            ("part" if len(about) > 1 else "", part.name),
            ("what", part.title),
            ("source", part.source),
            ("licence", part.licence or "not stated"),
            ("weights", part.weights),
        ):
            if label and value:
                echo(f"{label:>10}  {value}")


def _part_info(part: ModelPart) -> PartInfo:
    from soundloom.models.weights.published_checkpoints import CHECKPOINTS

    if part.row is None:
        return PartInfo(name=part.name, licence=part.licence, title="", source=str(part.folder), weights="")
    weights = ""
    if part.row.checkpoint:
        source = CHECKPOINTS[part.row.checkpoint].source
        weights = f"{source.address}, {source.size}, {source.digest}"
    return PartInfo(name=part.name, licence=part.licence, title=part.row.title, source=part.row.source, weights=weights)


def _facts(model: Embedder) -> dict[str, Any]:
    return {
        "dim": model.dim,
        "sample_rate": model.sample_rate,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "streams": [
            {
                "name": stream.name,
                "dim": stream.dim,
                "frontend": stream.frontend._get_name(),
                "encoder": stream.encoder._get_name(),
                "layers": stream.encoder.available,
                "classes": stream.encoder.classes,
            }
            for stream in model.streams
        ],
    }
