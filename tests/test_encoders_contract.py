"""What holds for every encoder in the table."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from soundloom.components import presets
from soundloom.encoders import (
    AST,
    ENCODERS,
    ASTSettings,
    Encoder,
    Identity,
    ResNet,
    ResNetSettings,
    Transformer,
    TransformerSettings,
    initialise,
)
from soundloom.fusion import align

# Adapters of models of other libraries end gradients: test_transformers_audio.py, test_onnx_file.py.
PRESETS = {name: build for name, build in presets(ENCODERS).items() if name not in ("TransformersAudio", "OnnxFile")}

SHAPES = {
    "identity": (3, 5, 7),
    "vggish": (1, 64, 96),
    "cnn14": (1, 64, 101),
    "ast": (1, 128, 64),
    "coala": (1, 96, 96),
    "resnet18": (1, 64, 96),
    "resnet50": (1, 64, 96),
    "mobilenet": (1, 64, 96),
    "yamnet": (1, 64, 96),
    "aisfx": (1, 96, 100),
    "transformer": (1, 80, 40),
    "waveform": (1, 400, 40),
    "pitch": (1, 84, 20),
}


def convolution(inputs: int, outputs: int, taps: int, *, bias: bool) -> int:
    return inputs * outputs * taps + bias * outputs


def linear(inputs: int, outputs: int, *, bias: bool = True) -> int:
    return inputs * outputs + bias * outputs


def norm(channels: int) -> int:
    return 2 * channels


def bottlenecks(inputs: int, width: int, depth: int) -> int:
    inner = width // 4
    layers = [(inputs, inner, 1), (inner, inner, 9), (inner, width, 1)]
    rest = [(width, inner, 1), (inner, inner, 9), (inner, width, 1)] * (depth - 1)
    return sum(convolution(i, o, t, bias=False) + norm(o) for i, o, t in [*layers, (inputs, width, 1), *rest])


def basics(inputs: int, width: int, depth: int) -> int:
    layers = [(inputs, width, 9), *[(width, width, 9)] * (2 * depth - 1)]
    layers += [(inputs, width, 1)] if inputs != width else []
    return sum(convolution(i, o, t, bias=False) + norm(o) for i, o, t in layers)


def separables(blocks: list[tuple[int, int]]) -> int:
    return sum(9 * i + norm(i) + convolution(i, o, 1, bias=False) + norm(o) for i, o in blocks)


STEM = convolution(1, 64, 49, bias=False) + norm(64)

SEPARABLE_NET = (
    convolution(1, 32, 9, bias=False)
    + norm(32)
    + separables([(32, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512)])
    + separables([(512, 512)] * 5 + [(512, 1024), (1024, 1024)])
)

# Total, and where it comes from: the shapes of the published keys.
PARAMETERS = {
    "identity": (0, 0),
    "vggish": (
        72_141_184,
        sum(
            convolution(i, o, 9, bias=True)
            for i, o in [(1, 64), (64, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
        )
        + linear(12288, 4096)
        + linear(4096, 4096)
        + linear(4096, 128),
    ),
    "cnn14": (
        80_753_615,  # as in the PANNs paper
        norm(64)
        + sum(
            convolution(i, o, 9, bias=False) + convolution(o, o, 9, bias=False) + 2 * norm(o)
            for i, o in [(1, 64), (64, 128), (128, 256), (256, 512), (512, 1024), (1024, 2048)]
        )
        + linear(2048, 2048)
        + linear(2048, 527),
    ),
    "ast": (
        86_594_063,
        2 * 768  # special tokens
        + (12 * 101 + 2) * 768  # positions
        + convolution(1, 768, 256, bias=True)
        + 12 * (2 * norm(768) + 4 * linear(768, 768) + linear(768, 3072) + linear(3072, 768))
        + norm(768)
        + norm(768)
        + linear(768, 527),
    ),
    "coala": (
        2_379_648,  # "approximately 2.4M parameters" (Favory 2020, supplement)
        convolution(1, 128, 16, bias=True)
        + 4 * convolution(128, 128, 16, bias=True)
        + 5 * norm(128)
        + linear(1152, 1152, bias=False),
    ),
    "resnet18": (
        11_235_904,
        STEM + basics(64, 64, 2) + basics(64, 128, 2) + basics(128, 256, 2) + basics(256, 512, 2) + linear(512, 128),
    ),
    "resnet50": (
        23_764_032,
        STEM
        + bottlenecks(64, 256, 3)
        + bottlenecks(256, 512, 4)
        + bottlenecks(512, 1024, 6)
        + bottlenecks(1024, 2048, 3)
        + linear(2048, 128),
    ),
    "mobilenet": (3_206_400, SEPARABLE_NET),
    "aisfx": (
        4_686_144,
        sum(
            convolution(before, width, 9, bias=False) + convolution(width, width, 9, bias=False) + 2 * norm(width)
            for before, width in ((1, 64), (64, 128), (128, 256), (256, 512))
        ),
    ),
    "yamnet": (
        3_740_425,
        SEPARABLE_NET + linear(1024, 521),
    ),
    "transformer": (
        317_648,
        linear(80, 64)
        + 6 * (2 * norm(64) + 3 * linear(64, 72) + linear(72, 64) + linear(64, 256) + linear(256, 64))
        + norm(64),
    ),
    "pitch": (4_608, convolution(1, 16, 7, bias=True) + convolution(16, 16, 7, bias=True) + 16 * (2 * 84 - 1)),
    "waveform": (
        346_320,
        convolution(1, 128, 200, bias=False)
        + linear(128, 64)
        + 6 * (2 * norm(64) + 3 * linear(64, 72) + linear(72, 64) + linear(64, 256) + linear(256, 64))
        + norm(64),
    ),
}


@dataclass
class Case:
    name: str
    encoder: Encoder
    representation: Tensor
    layers: dict[int, Tensor]


@pytest.fixture(scope="module", params=list(PRESETS))
def case(request: pytest.FixtureRequest) -> Case:
    """An encoder built and seeded once, with all its layers for two random inputs."""
    encoder = PRESETS[request.param]().eval().requires_grad_(False)
    initialise(encoder, 0)
    representation = torch.randn(2, *SHAPES[request.param], generator=torch.Generator().manual_seed(1))
    layers = encoder.layers(representation, encoder.available)
    return Case(request.param, encoder, representation, dict(zip(encoder.available, layers, strict=True)))


def assert_near(got: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal but for rounding, measured against the largest number of all."""
    torch.testing.assert_close(got, expected, rtol=0, atol=tolerance * expected.abs().max().item())


@pytest.mark.parametrize("name", list(PRESETS))
def test_the_number_of_parameters_is_the_published_one(name: str) -> None:
    with torch.device("meta"):
        encoder = PRESETS[name]()
    total, derived = PARAMETERS[name]
    assert sum(parameter.numel() for parameter in encoder.parameters()) == total == derived


def test_every_available_layer_comes_out(case: Case) -> None:
    assert list(case.encoder.available) == sorted(set(case.encoder.available))
    for layer in case.layers.values():
        assert layer.ndim == 4
        assert len(layer) == 2
        assert layer.isfinite().all()
        assert layer.std() > 1e-3, "a network that has learned nothing still lets the signal through"


def test_time_shrinks_to_the_stride(case: Case) -> None:
    times = [layer.shape[3] for layer in case.layers.values()]
    if case.encoder.stride is None:
        assert set(times) == {1}
        return
    frames = case.representation.shape[3] // case.encoder.stride
    with_time = [time for time in times if time > 1]
    assert with_time == sorted(with_time, reverse=True)
    assert frames <= with_time[-1] <= 2 * frames, "the stride is the coarsest layer's, or its pool's"
    for layer in case.layers.values():
        assert align(layer, frames).shape == (2, layer.shape[1] * layer.shape[2], frames)


def test_the_same_input_gives_the_same_layers(case: Case) -> None:
    again = case.encoder.layers(case.representation, case.encoder.available)
    for layer, expected in zip(again, case.layers.values(), strict=True):
        assert torch.equal(layer, expected)


def test_layers_come_in_the_order_asked_for(case: Case) -> None:
    first, last = case.encoder.available[0], case.encoder.available[-1]
    wanted = [last, first, last]
    for number, layer in zip(wanted, case.encoder.layers(case.representation, wanted), strict=True):
        assert_near(layer, case.layers[number], 1e-6)


@pytest.mark.parametrize("wanted", [[0], [1000], []])
def test_an_unknown_layer_is_refused(case: Case, wanted: list[int]) -> None:
    with pytest.raises(ValueError, match=f"those of {type(case.encoder).__name__} are "):
        case.encoder.layers(case.representation, wanted)


def test_a_row_does_not_depend_on_its_batch(case: Case) -> None:
    for row in range(2):
        alone = case.encoder.layers(case.representation[row : row + 1], case.encoder.available)
        for layer, expected in zip(alone, case.layers.values(), strict=True):
            # The convolution library chooses another algorithm for another batch: rounding differs.
            assert_near(layer[0], expected[row], 1e-5)


def test_nothing_past_the_last_wanted_layer_is_computed(case: Case) -> None:
    ran: list[str] = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in case.encoder.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    computed = []
    for number in case.encoder.available:
        ran.clear()
        case.encoder.layers(case.representation[:1], [number])
        computed.append(list(ran))
    for handle in handles:
        handle.remove()
    for earlier, later in pairwise(computed):
        assert later[: len(earlier)] == earlier
    # Layers without weights of their own: COALA's z is its fifth block, MobileNet's last is an average.
    without = {"coala": 1, "mobilenet": 1}.get(case.name, 0)
    assert len({len(names) for names in computed}) == len(computed) - without


def test_the_gradient_reaches_the_input(case: Case) -> None:
    representation = case.representation[:1].clone().requires_grad_()
    (last,) = case.encoder.layers(representation, [case.encoder.available[-1]])
    last.square().sum().backward()
    assert representation.grad is not None
    assert representation.grad.isfinite().all()
    assert representation.grad.abs().sum() > 0


def test_the_baseline_is_one_vector_a_window(case: Case) -> None:
    if isinstance(case.encoder, Identity):
        with pytest.raises(ValueError, match="no customary embedding"):
            case.encoder.baseline(case.representation)
        return
    baseline = case.encoder.baseline(case.representation)
    assert baseline.ndim == 3
    assert (len(baseline), baseline.shape[2]) == (2, 1)
    assert baseline.isfinite().all()


def test_a_representation_of_another_shape_is_refused(case: Case) -> None:
    if isinstance(case.encoder, Identity):
        pytest.skip("takes any shape")
    with pytest.raises(ValueError, match=rf"{type(case.encoder).__name__} takes .* got \[1, 2, 8, 4\]"):
        case.encoder.layers(torch.zeros(1, 2, 8, 4), case.encoder.available[:1])


@pytest.mark.parametrize("name", ["coala", "resnet18", "mobilenet", "transformer", "waveform"])
def test_a_seed_means_the_same_weights_and_leaves_other_random_numbers_alone(name: str) -> None:
    encoder = PRESETS[name]()
    state = torch.get_rng_state()
    drawn = []
    for seed in (0, 1, 0):
        for buffer in encoder.buffers():
            buffer.fill_(3)
        initialise(encoder, seed)
        drawn.append({key: value.clone() for key, value in encoder.state_dict().items()})
    assert torch.equal(torch.get_rng_state(), state)
    first, other, again = drawn
    assert all(torch.equal(first[key], again[key]) for key in first)
    weights = [key for key, value in first.items() if value.ndim > 1]
    assert weights
    assert not any(torch.equal(first[key], other[key]) for key in weights)


@pytest.mark.parametrize(
    "encoder",
    [
        AST(ASTSettings(bins=16, frames=16, width=4, hidden=4, depth=1, heads=1, tags=1)),
        ResNet(ResNetSettings(depths=(1,), widths=(4,), bottleneck=False)),
        Transformer(TransformerSettings(bins=4, width=4, depth=1, heads=1, pool_after=())),
    ],
    ids=["ast", "resnet", "transformer"],
)
def test_an_encoder_tells_its_settings(encoder: AST | ResNet | Transformer) -> None:
    # Embedders tell models apart by this text.
    assert encoder.extra_repr() == repr(encoder.settings)
    assert type(encoder)(encoder.settings).extra_repr() == encoder.extra_repr()


def test_every_encoder_of_the_table_is_tested() -> None:
    assert set(SHAPES) == set(PARAMETERS) == set(PRESETS)
