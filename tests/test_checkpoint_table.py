"""The table of published checkpoints: names, licences, layouts, and what does not fit them."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
import torch

from helpers.small_checkpoints import SMALL, assert_same, seeded
from soundloom.encoders.ast import AST
from soundloom.encoders.cnn14 import CNN14
from soundloom.encoders.coala import COALAAudioEncoder, COALATagEncoder
from soundloom.encoders.vggish import VGGish
from soundloom.errors import ModelError, UnknownModelError
from soundloom.models.weights.published_checkpoints import (
    CHECKPOINTS,
    check_mel,
    check_state,
    extract,
)
from soundloom.models.weights.weight_store import fetch


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_row_says_where_from_and_under_which_licence(name: str) -> None:
    row = CHECKPOINTS[name]
    assert row.name == name
    assert row.source.address.startswith("https://")
    assert row.title
    assert re.search(r", 20\d\d$", row.citation)
    assert row.licence in {"CC-BY-4.0", "Apache-2.0", "BSD-3-Clause", "MIT"}
    for digits in (row.source.sha256, row.source.md5):
        assert digits is None or re.fullmatch(r"[0-9a-f]{8,64}", digits)
    assert bool(row.shapes) == (row.format != "vocabulary")


def test_names_can_name_folders() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in CHECKPOINTS)


@pytest.mark.parametrize(
    ("name", "encoder", "front_end_keys"),
    [
        ("cnn14-16k", CNN14, 3),
        ("cnn14-32k", CNN14, 3),
        ("vggish", VGGish, 0),
        ("ast", AST, 0),
        ("coala-audio", COALAAudioEncoder, 0),
        ("coala-tag", COALATagEncoder, 0),
    ],
)
def test_the_layouts_are_those_of_the_encoders(name: str, encoder: type[torch.nn.Module], front_end_keys: int) -> None:
    row = CHECKPOINTS[name]
    state = {key: torch.empty(shape, device="meta") for key, shape in row.shapes.items()}
    share, front_end = row.split(state)
    assert len(front_end) == front_end_keys
    with torch.device("meta"):
        own = encoder().state_dict()
    assert {key: tuple(tensor.shape) for key, tensor in own.items()} == {
        key: tuple(tensor.shape) for key, tensor in share.items()
    }


@pytest.mark.parametrize("name", ["cnn14-32k", "vggish", "ast"])
def test_the_layouts_fill_the_published_sizes(name: str) -> None:
    # Beyond four bytes a number there is only a header of some 100 bytes a tensor. (cnn14-16k carries a big sampler.)
    row = CHECKPOINTS[name]
    assert row.source.bytes is not None
    beyond = row.source.bytes - 4 * sum(math.prod(shape) for shape in row.shapes.values())
    assert 0 < beyond < 300 * len(row.shapes)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(
        UnknownModelError, match=r"no checkpoint 'cnn15': there are aisfx, ast, cnn14-16k, cnn14-32k, .*yamnet"
    ):
        fetch("cnn15")


def test_what_differs_is_grouped_and_listed_in_part() -> None:
    expected = {f"layer{index}.weight": (2, 3) for index in range(20)}
    state = {"layer0.weight": torch.zeros(3, 2), **{f"block{index}.weight": torch.zeros(1) for index in range(3)}}
    with pytest.raises(ModelError) as caught:
        check_state(state, expected, name="ours")
    lines = str(caught.value).splitlines()
    assert lines[0] == "these are not the weights of ours, which has 20 tensors:"
    assert lines[1].startswith("  19 missing: layer1.weight, layer2.weight, ")
    assert lines[1].endswith(" and 13 more")
    assert lines[2] == "  3 unexpected: block0.weight, block1.weight, block2.weight"
    assert lines[3] == "  1 of another shape: layer0.weight (expected (2, 3), got (3, 2))"


def test_what_fits_passes_in_any_order() -> None:
    check_state({"b": torch.zeros(2), "a": torch.tensor(1)}, {"a": (), "b": (2,)}, name="ours")


@pytest.mark.parametrize(
    ("loaded", "found"),
    [
        (3, "a int"),
        ([torch.zeros(1)], "a list"),
        ({}, "a dict with the keys "),
        ({"iteration": 1, "optimizer": {}}, "a dict with the keys iteration, optimizer"),
        ({"model": {"a": 1}}, "a dict with the keys model"),
    ],
)
def test_a_file_without_a_state_dict_is_said(loaded: object, found: str) -> None:
    with pytest.raises(ModelError, match=f"expected tensors by key under 'model', found {found}"):
        extract(CHECKPOINTS["cnn14-16k"], loaded)


def test_floats_become_float32_and_counters_stay() -> None:
    row = dataclasses.replace(CHECKPOINTS["coala-tag"], shapes={"a": (2,), "b": (2,), "n": ()})
    loaded = {"a": torch.ones(2, dtype=torch.float64), "b": torch.ones(2, dtype=torch.float16), "n": torch.tensor(7)}
    assert [tensor.dtype for tensor in extract(row, loaded).values()] == [torch.float32, torch.float32, torch.int64]


def test_the_other_port_of_vggish_is_renamed() -> None:
    row = dataclasses.replace(CHECKPOINTS["vggish"], shapes=SMALL["vggish"])
    ours = seeded(SMALL["vggish"])
    theirs = {key.replace("embeddings.", "fc."): tensor for key, tensor in ours.items()}
    assert "fc.0.weight" in theirs
    assert_same(extract(row, theirs), ours)


def test_front_end_keys_may_be_missing_and_encoder_keys_may_not() -> None:
    row = dataclasses.replace(CHECKPOINTS["cnn14-16k"], shapes=SMALL["cnn14-16k"])
    encoder, front_end = row.split(seeded(SMALL["cnn14-16k"]))
    assert_same(extract(row, encoder), encoder)
    with pytest.raises(ModelError, match=r"3 missing: bn0\.weight"):
        extract(row, front_end)


def test_mel_filters_are_compared_to_the_last_bit() -> None:
    filters = torch.rand(257, 64, generator=torch.Generator().manual_seed(0))
    state = {"logmel_extractor.melW": filters.clone()}
    check_mel(state, filters)
    nudged = filters.clone()
    nudged[100, 10] = torch.nextafter(nudged[100, 10], torch.tensor(2.0))
    with pytest.raises(ModelError, match=r"differ from the checkpoint's by up to .*Slaney"):
        check_mel(state, nudged)
    check_mel(state, nudged, tolerance=1e-6)
    nudged[0, 0] = torch.nan
    with pytest.raises(ModelError, match="by up to nan"):
        check_mel(state, nudged, tolerance=1e-6)
    with pytest.raises(ModelError, match=r"of shape \(513, 64\), the checkpoint has \(257, 64\)"):
        check_mel(state, torch.zeros(513, 64))
    with pytest.raises(ModelError, match="only PANNs checkpoints store"):
        check_mel({}, filters)
