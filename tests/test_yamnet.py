"""YAMNet: its weights from both published forms, its arithmetic as a slow loop, its overlapping patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import soundloom
from soundloom.embedder import Window
from soundloom.encoders import YAMNet, initialise
from soundloom.errors import ModelError
from soundloom.models.weights.tensorflow_weights import TFLiteLayer
from soundloom.models.weights.yamnet_weights import from_keras, from_tflite, shapes

RATE = 16000


@pytest.fixture(scope="module")
def net() -> YAMNet:
    encoder = YAMNet()
    initialise(encoder, 3)
    generator = torch.Generator().manual_seed(4)
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.running_mean.shape, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
            with torch.no_grad():
                module.bias.copy_(0.1 * torch.randn(module.bias.shape, generator=generator))
    return encoder.eval()


def norm(x: torch.Tensor, bn: torch.nn.BatchNorm2d) -> torch.Tensor:
    shape = (1, -1, 1, 1)
    scaled = (x - bn.running_mean.view(shape)) / torch.sqrt(bn.running_var + 1e-4).view(shape)
    return torch.relu(scaled + bn.bias.view(shape))


def in_tensorflow(net: YAMNet, patches: torch.Tensor) -> list[torch.Tensor]:
    """Layer outputs by TensorFlow's axes, images [batch, 1, time, frequency], with its padding "same"."""
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    turned = {key: value.transpose(2, 3) for key, value in net.state_dict().items() if value.ndim == 4}
    x = functional.pad(patches, (0, 1, 0, 1))
    x = norm(functional.conv2d(x, turned["layer1.conv.weight"], stride=2), net.get_submodule("layer1.conv_bn"))
    outputs = [x]
    for number, stride in enumerate(strides, start=2):
        name = f"layer{number}"
        x = functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        x = functional.conv2d(x, turned[f"{name}.depthwise_conv.weight"], stride=stride, groups=x.shape[1])
        x = norm(x, net.get_submodule(f"{name}.depthwise_bn"))
        x = norm(
            functional.conv2d(x, turned[f"{name}.pointwise_conv.weight"]), net.get_submodule(f"{name}.pointwise_bn")
        )
        outputs.append(x)
    return outputs


@torch.no_grad()
def test_every_layer_is_the_published_arithmetic(net: YAMNet) -> None:
    patches = torch.randn(2, 1, 96, 64, generator=torch.Generator().manual_seed(0))
    expected = in_tensorflow(net, patches)
    for layer, slow in zip(net.layers(patches.transpose(2, 3), net.available), expected, strict=True):
        torch.testing.assert_close(layer, slow.transpose(2, 3), rtol=1e-4, atol=1e-5)
    embedding = net.baseline(patches.transpose(2, 3))[:, :, 0]
    torch.testing.assert_close(embedding, expected[-1].mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)
    assert net.scores(embedding).shape == (2, len(net.classes))


def test_keras_names_and_axes(net: YAMNet) -> None:
    arrays: dict[str, np.ndarray] = {"top_level_model_weights/of_no_use": np.zeros(3, np.float32)}
    for key, tensor in net.state_dict().items():
        layer, _, name = key.partition(".")
        array = tensor.numpy()
        if layer == "logits":
            arrays["logits/logits/kernel:0" if name == "weight" else "logits/logits/bias:0"] = array.T
        elif name.endswith("conv.weight"):
            part = name.removesuffix(".weight")
            depthwise = part == "depthwise_conv"
            turned = np.transpose(array, (3, 2, 0, 1) if depthwise else (3, 2, 1, 0))
            kind = "depthwise_kernel" if depthwise else "kernel"
            arrays[f"{layer}/{part}/{layer}/{part}/{kind}:0"] = turned
        elif name.partition(".")[2] in ("bias", "running_mean", "running_var"):
            part = name.partition(".")[0].replace("conv_bn", "conv").replace("_bn", "_conv")
            kind = {"bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
            arrays[f"{layer}/{part}/bn/{layer}/{part}/bn/{kind[name.partition('.')[2]]}:0"] = array
    state = from_keras(arrays)
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == shapes()
    for key, tensor in net.state_dict().items():
        if not key.endswith(("num_batches_tracked", "bn.weight")):
            assert torch.equal(state[key], tensor), key


@torch.no_grad()
def test_a_graph_with_folded_normalisation_gives_the_same_layers(net: YAMNet) -> None:
    layers = [TFLiteLayer("FULLY_CONNECTED", np.zeros((64, 257), np.float32), np.zeros(64, np.float32))]
    for number in net.available:
        for part in ("conv",) if number == 1 else ("depthwise_conv", "pointwise_conv"):
            norms = net.get_submodule(f"layer{number}." + ("conv_bn" if number == 1 else part.replace("conv", "bn")))
            weight = net.get_submodule(f"layer{number}.{part}").weight
            scale = 1 / torch.sqrt(norms.running_var + 1e-4)
            folded = (weight * scale.view(-1, 1, 1, 1)).numpy()
            depthwise = part == "depthwise_conv"
            kernel = np.transpose(folded, (1, 3, 2, 0) if depthwise else (0, 3, 2, 1))
            kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
            layers.append(TFLiteLayer(kind, kernel, (norms.bias - norms.running_mean * scale).numpy()))
    layers.append(TFLiteLayer("FULLY_CONNECTED", net.logits.weight.numpy(), net.logits.bias.numpy()))
    twin = YAMNet().eval()
    twin.load_state_dict(from_tflite(layers))
    patches = torch.randn(2, 1, 64, 96, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(twin.baseline(patches), net.baseline(patches), rtol=1e-4, atol=1e-5)
    with pytest.raises(ModelError, match="28 layers"):
        from_tflite(layers[:-1])


def test_patches_overlap_and_lie_every_half_second() -> None:
    model = soundloom.load("yamnet", weights="random", seed=1)
    rng = np.random.default_rng(0)
    sound = rng.uniform(-0.5, 0.5, 2 * RATE).astype(np.float32)
    frames, times = model.embed_frames(sound, RATE)
    assert frames.shape == (4, 1024)
    np.testing.assert_allclose(np.diff(times), 0.48, atol=1e-9)
    first = model.embed(sound[: round(0.975 * RATE)], RATE)[:1024]
    np.testing.assert_allclose(frames[0], first, rtol=1e-4, atol=1e-5)
    assert model.embed(sound, RATE).shape == (2048,)
    assert soundloom.load("yamnet#7#14", weights="random").embed(sound, RATE).shape == ((512 * 4 + 1024 * 2),)


def test_a_window_without_a_hop_reads_as_before_there_was_one() -> None:
    assert repr(Window(frames=96, fixed=True)) == "Window(frames=96, fixed=True, fill=None)"
    assert repr(Window(frames=96, hop=48, fixed=True)) == "Window(frames=96, fixed=True, fill=None, hop=48)"
    with pytest.raises(ModelError, match="hop from 1 to 96"):
        Window(frames=96, hop=97, fixed=True)
    with pytest.raises(ModelError, match="fixed length"):
        Window(frames=96, hop=48, fixed=False)


def test_saved_and_read_again(tmp_path: Path) -> None:
    model = soundloom.load("yamnet", weights="random", seed=2)
    soundloom.save_pretrained(model, tmp_path / "mine")
    again = soundloom.from_pretrained(tmp_path / "mine")
    assert again.fingerprint() == model.fingerprint()
    assert again.window == model.window


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "yamnet.h5"
    other.write_bytes(b"no weights at all")
    with pytest.raises(ModelError, match="neither a Keras HDF5 file"):
        soundloom.load("yamnet", weights=other)
    for start, package in ((b"\x89HDF\r\n\x1a\n", "h5py"), (b"\x1c\0\0\0TFL3", "tflite")):
        pytest.importorskip(package)
        other.write_bytes(start + bytes(50))
        with pytest.raises(ModelError, match=r"not a whole|cannot be read"):
            soundloom.load("yamnet", weights=other)
