"""AST against the transformers library and the authors' own arithmetic, each on the file that it publishes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from soundloom.encoders import AST, ASTSettings
from soundloom.errors import ModelError
from soundloom.models.weights.published_checkpoints import CHECKPOINTS
from soundloom.models.weights.weight_store import fetch

SMALL = ASTSettings(bins=36, frames=116, width=24, hidden=40, depth=3, heads=3, tags=7)  # 3 x 11 patches


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def small() -> AST:
    """An AST whose every parameter is random, large enough for each to matter."""
    encoder = AST(SMALL).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in encoder.parameters():
        parameter.normal_(std=0.3, generator=generator)
    return encoder


def test_the_transformers_library_reads_the_keys_and_agrees(small: AST, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    safetensors = pytest.importorskip("safetensors.torch")
    config = {
        "model_type": "audio-spectrogram-transformer",
        "hidden_size": SMALL.width,
        "num_hidden_layers": SMALL.depth,
        "num_attention_heads": SMALL.heads,
        "intermediate_size": SMALL.hidden,
        "num_mel_bins": SMALL.bins,
        "max_length": SMALL.frames,
        "id2label": {str(tag): str(tag) for tag in range(SMALL.tags)},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    safetensors.save_file(small.state_dict(), tmp_path / "model.safetensors", metadata={"format": "pt"})
    reference, report = transformers.ASTForAudioClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]

    representation = noise(2, 1, SMALL.bins, SMALL.frames)
    with torch.no_grad():
        inputs = representation[:, 0].transpose(1, 2)
        trunk = reference.audio_spectrogram_transformer
        outputs = trunk(inputs, output_hidden_states=True)
        expected = [trunk.layernorm(hidden)[:, 0, :, None, None] for hidden in outputs.hidden_states[1:]]
        for layer, theirs in zip(small.layers(representation, small.available), expected, strict=True):
            torch.testing.assert_close(layer, theirs, rtol=0, atol=1e-5)
        torch.testing.assert_close(small.baseline(representation)[..., 0], outputs.pooler_output, rtol=0, atol=1e-5)
        torch.testing.assert_close(small.tags(representation), reference(inputs).logits.sigmoid(), rtol=0, atol=1e-5)


def test_a_layer_is_the_same_whether_or_not_more_are_computed(small: AST) -> None:
    # The last wanted block carries only the special tokens through.
    representation = noise(2, 1, SMALL.bins, SMALL.frames)
    together = small.layers(representation, [1, 2, 3])
    for number, expected in zip([1, 2, 3], together, strict=True):
        torch.testing.assert_close(small.layers(representation, [number])[0], expected, rtol=0, atol=1e-5)


def with_positions(encoder: AST, positions: Tensor, frames: int) -> AST:
    """The same AST made for another length, its patches' positions [D, F', T'] given."""
    state = encoder.state_dict()
    key = "audio_spectrogram_transformer.embeddings.position_embeddings"
    state[key] = torch.cat([state[key][:, :2], positions.flatten(1).T[None]], dim=1)
    made = AST(ASTSettings(**{**vars(SMALL), "frames": frames})).eval()
    made.load_state_dict(state, strict=True)
    return made


def grid(encoder: AST) -> Tensor:
    positions = encoder.state_dict()["audio_spectrogram_transformer.embeddings.position_embeddings"]
    return positions[0, 2:].T.reshape(SMALL.width, 3, 11)


@pytest.mark.parametrize(
    ("frames", "columns"),
    # 11 columns have their middle at 5, and n of them begin at 5 - n // 2 (the authors' rule, 50 - n // 2 of 101).
    [(16, [5]), (26, [4, 5]), (45, [4, 5, 6]), (106, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])],
)
def test_a_shorter_window_takes_the_middle_positions(small: AST, frames: int, columns: list[int]) -> None:
    representation = noise(2, 1, SMALL.bins, frames)
    expected = with_positions(small, grid(small)[:, :, columns], frames).baseline(representation)
    torch.testing.assert_close(small.baseline(representation), expected, rtol=0, atol=1e-5)


def test_a_longer_window_stretches_the_positions(small: AST) -> None:
    frames = 16 + 10 * 14
    representation = noise(2, 1, SMALL.bins, frames)
    stretched = functional.interpolate(grid(small)[None], size=(3, 15), mode="bilinear")[0]
    expected = with_positions(small, stretched, frames).baseline(representation)
    torch.testing.assert_close(small.baseline(representation), expected, rtol=0, atol=1e-5)


def test_a_window_shorter_than_a_patch_is_refused(small: AST) -> None:
    with pytest.raises(ValueError, match=r"\[batch, 1, 36, time >= 16\], got \[1, 1, 36, 15\]"):
        small.layers(torch.zeros(1, 1, 36, 15), [1])


def published(depth: int, width: int, hidden: int, tags: int, positions: int, patch: int) -> dict[str, tuple[int, ...]]:
    """The keys and shapes of the checkpoint published for the transformers library."""
    trunk = "audio_spectrogram_transformer"
    shapes: dict[str, tuple[int, ...]] = {
        f"{trunk}.embeddings.cls_token": (1, 1, width),
        f"{trunk}.embeddings.distillation_token": (1, 1, width),
        f"{trunk}.embeddings.position_embeddings": (1, positions, width),
        f"{trunk}.embeddings.patch_embeddings.projection.weight": (width, 1, patch, patch),
        f"{trunk}.embeddings.patch_embeddings.projection.bias": (width,),
    }
    for block in range(depth):
        for name, shape in {
            "layernorm_before": (width,),
            "attention.attention.query": (width, width),
            "attention.attention.key": (width, width),
            "attention.attention.value": (width, width),
            "attention.output.dense": (width, width),
            "layernorm_after": (width,),
            "intermediate.dense": (hidden, width),
            "output.dense": (width, hidden),
        }.items():
            shapes[f"{trunk}.encoder.layer.{block}.{name}.weight"] = shape
            shapes[f"{trunk}.encoder.layer.{block}.{name}.bias"] = shape[:1]
    for name, shape in {
        f"{trunk}.layernorm": (width,),
        "classifier.layernorm": (width,),
        "classifier.dense": (tags, width),
    }.items():
        shapes[f"{name}.weight"] = shape
        shapes[f"{name}.bias"] = shape[:1]
    return shapes


def test_the_keys_are_the_published_ones() -> None:
    with torch.device("meta"):
        encoder = AST()
    shapes = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    assert shapes == published(depth=12, width=768, hidden=3072, tags=527, positions=1214, patch=16)


def original(width: int, hidden: int, depth: int, tags: int) -> dict[str, Tensor]:
    """Random weights under the keys of the authors' own file."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return 0.3 * torch.randn(shape, generator=generator)

    state = {
        "module.v.cls_token": draw(1, 1, width),
        "module.v.dist_token": draw(1, 1, width),
        "module.v.pos_embed": draw(1, 35, width),
        "module.v.patch_embed.proj.weight": draw(width, 1, 16, 16),
        "module.v.patch_embed.proj.bias": draw(width),
        "module.v.head.weight": draw(1000, width),
        "module.v.head_dist.bias": draw(1000),
        "module.v.norm.weight": draw(width),
        "module.v.norm.bias": draw(width),
        "module.mlp_head.0.weight": draw(width),
        "module.mlp_head.0.bias": draw(width),
        "module.mlp_head.1.weight": draw(tags, width),
        "module.mlp_head.1.bias": draw(tags),
    }
    for block in range(depth):
        for name, shape in {
            "norm1": (width,),
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "norm2": (width,),
            "mlp.fc1": (hidden, width),
            "mlp.fc2": (width, hidden),
        }.items():
            state[f"module.v.blocks.{block}.{name}.weight"] = draw(*shape)
            state[f"module.v.blocks.{block}.{name}.bias"] = draw(shape[0])
    return state


def authors_layers(state: dict[str, Tensor], representation: Tensor) -> list[Tensor]:
    """Both special tokens after each block and the final norm, as the authors compute them: [batch, 2, width]."""
    weights = {key.removeprefix("module.v."): value for key, value in state.items()}
    width = weights["norm.weight"].shape[0]

    def norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, (width,), weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    def linear(name: str, x: Tensor) -> Tensor:
        return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    patches = functional.conv2d(
        representation, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=10
    )
    special = torch.cat([weights["cls_token"], weights["dist_token"]], dim=1).expand(len(representation), -1, -1)
    x = torch.cat([special, patches.flatten(2).transpose(1, 2)], dim=1) + weights["pos_embed"]
    batch, tokens, heads = len(x), x.shape[1], SMALL.heads
    layers = []
    for block in (f"blocks.{number}" for number in range(SMALL.depth)):
        joint = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x))
        query, key, value = joint.reshape(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        shares = ((query @ key.transpose(-2, -1)) * (width // heads) ** -0.5).softmax(dim=-1)
        x = x + linear(f"{block}.attn.proj", (shares @ value).transpose(1, 2).reshape(batch, tokens, width))
        x = x + linear(f"{block}.mlp.fc2", functional.gelu(linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x))))
        layers.append(norm("norm", x)[:, :2])
    return layers


SMALL_ROW = replace(
    CHECKPOINTS["ast"], shapes={key: tuple(value.shape) for key, value in AST(SMALL).state_dict().items()}
)


def test_the_authors_own_file_gives_what_their_code_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
    state = original(SMALL.width, SMALL.hidden, SMALL.depth, SMALL.tags)
    torch.save(state, tmp_path / "audioset_10_10_0.4593.pth")
    encoder = AST(SMALL).eval()
    for _ in range(2):  # the file as it is, and as it was kept
        encoder.load_state_dict(fetch(SMALL_ROW, tmp_path / "audioset_10_10_0.4593.pth"), strict=True)
    representation = noise(2, 1, SMALL.bins, SMALL.frames)
    with torch.no_grad():
        expected = authors_layers(state, representation)
        for layer, tokens in zip(encoder.layers(representation, encoder.available), expected, strict=True):
            torch.testing.assert_close(layer[:, :, 0, 0], tokens[:, 0], rtol=0, atol=1e-5)
        mean = expected[-1].mean(dim=1)
        torch.testing.assert_close(encoder.baseline(representation)[..., 0], mean, rtol=0, atol=1e-5)
        scale, shift = (state[f"module.mlp_head.0.{name}"] for name in ("weight", "bias"))
        logits = functional.linear(
            functional.layer_norm(mean, (SMALL.width,), scale, shift, 1e-5),
            state["module.mlp_head.1.weight"],
            state["module.mlp_head.1.bias"],
        )
        torch.testing.assert_close(encoder.tags(representation), logits.sigmoid(), rtol=0, atol=1e-5)


def test_an_original_of_another_size_or_with_a_foreign_key_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(original(SMALL.width, SMALL.hidden, SMALL.depth, 35), tmp_path / "speech.pth")
    with pytest.raises(ModelError, match=r"2 of another shape: classifier\.dense\.weight \(expected \(7, 24\), got"):
        fetch(SMALL_ROW, tmp_path / "speech.pth")
    strange = original(SMALL.width, SMALL.hidden, SMALL.depth, SMALL.tags) | {"module.v.conv1.weight": torch.zeros(1)}
    torch.save(strange, tmp_path / "strange.pth")
    with pytest.raises(ModelError, match=r"1 unexpected: module\.v\.conv1\.weight"):
        fetch(SMALL_ROW, tmp_path / "strange.pth")


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="got 5 heads and width 24"):
        ASTSettings(width=24, heads=5)
