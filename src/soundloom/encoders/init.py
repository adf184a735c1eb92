"""Seeded weight initialisation (He et al. 2015), which leaves the global random state untouched.

A convolutional network that has learned nothing is still a usable feature extractor, if the signal survives
its layers. PyTorch's default (uniform, variance 1 / (3 fan-in)) shrinks the variance six times at every ReLU,
to nothing after the 27 layers of MobileNet; He et al. 2015, "Delving deep into rectifiers", equation 10, keeps
it: normal weights of variance 2 / fan-in, biases zero. Fan-in and not fan-out, because PyTorch counts the
fan-out of a depthwise convolution as if it were dense.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from soundloom.encoders.base import Encoder

__all__ = ["WithoutDraws", "he_normal", "initialise", "state_shapes"]


class WithoutDraws(TorchFunctionMode):
    """Skips initial draws on the meta device, which leave no numbers.

    Each would take milliseconds, and the first imports TorchDynamo and SymPy, which takes three seconds.
    """

    _DRAWS = frozenset({Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See `TorchFunctionMode`."""
        if func in self._DRAWS:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **(kwargs or {}))


def he_normal(module: nn.Module) -> None:
    """Give every convolution and linear layer inside a module He's normal weights and zero biases."""
    for layer in module.modules():
        # On the meta device there are no values, and drawing them imports torch._dynamo: seconds.
        if isinstance(layer, nn.Conv2d | nn.Linear) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def initialise(encoder: Encoder, seed: int) -> None:
    """Draw an encoder's weights anew, in place, from a seed.

    The numbers are drawn on the CPU, so that a seed means the same weights on every device; the global
    random state is left as it was found.
    """
    tensors = [*encoder.parameters(), *encoder.buffers()]
    home = tensors[0].device if tensors else torch.device("cpu")
    encoder.cpu()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # Leaves first: an architecture that wants other weights than its layers' own has the last word.
        for module in reversed(list(encoder.modules())):
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    encoder.to(home)


def state_shapes(build: Callable[[], nn.Module]) -> dict[str, tuple[int, ...]]:
    """Every key of a network's state and its tensor's shape; no weights are drawn."""
    with torch.device("meta"), WithoutDraws():
        return {key: tuple(tensor.shape) for key, tensor in build().state_dict().items()}
