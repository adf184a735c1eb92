"""torch modules as ONNX graphs: recorded, written to one file, and run by ONNX Runtime.

What is recorded is a module of one tensor argument. Axes that are named stay free, all others take the example's
sizes. The recorder also finds out how small a free axis may be, from what the module asks of it on its way.

Needs ``soundloom[onnx]``.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundloom.errors import MissingExtraError

__all__ = ["OPSET", "Graph", "Session", "available", "record", "record_all", "require"]

OPSET = 18
"""The version of ONNX's operators, of December 2022: the oldest that torch writes, for the sake of old readers."""

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def available() -> bool:
    """Whether everything is installed that recording and running take."""
    return all(find_spec(package) is not None for package in _PACKAGES)


def require(purpose: str) -> None:
    """Refuse to go on where a package is missing.

    Raises:
        MissingExtraError: says which, and for what purpose.
    """
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise MissingExtraError(package, "onnx", purpose)


@dataclass(frozen=True)
class Graph:
    """A recorded module.

    Attributes:
        program: torch's own handle of it.
        least: free axis -> the smallest size that the module admits.
    """

    program: torch.onnx.ONNXProgram
    least: Mapping[str, int]

    def write(self, path: Path, facts: Mapping[str, str] | None = None) -> None:
        """Write one file, with facts about the model in its metadata, over whatever was there."""
        self.program.model.metadata_props.update(facts or {})
        self.program.save(path, external_data=False)


def record(module: nn.Module, example: Tensor, *, free: Mapping[int, str], takes: str, gives: Sequence[str]) -> Graph:
    """Record what a module does with a tensor.

    Args:
        module: takes one tensor; gives one, or a sequence of them.
        example: what it is shown; along free axes at least two.
        free: axis -> name, for axes whose size is to stay free.
        takes: the input's name.
        gives: the outputs' names.
    """
    program = _export(module, (example,), (dict(free),), takes=[takes], gives=gives)
    exported = program.exported_program
    assert exported is not None
    shape = next(node.meta["val"] for node in exported.graph.nodes if node.name in exported.graph_signature.user_inputs)
    ranges = exported.range_constraints
    least = {name: int(ranges[shape.shape[axis].node.expr].lower) for axis, name in free.items()}
    return Graph(program, least)


def record_all(
    module: nn.Module, examples: Mapping[str, Tensor], *, gives: str, free: Mapping[str, int] | None = None
) -> torch.onnx.ONNXProgram:
    """Record what a module does with several tensors, one axis of each being free, each on its own.

    Args:
        module: takes the tensors in order, and gives one.
        examples: input's name -> what the module is shown, at least two along the free axis.
        gives: the output's name.
        free: input's name -> the axis that is free, where it is not the first.
    """
    axes = free or {}
    dynamic = tuple({axes.get(name, 0): torch.export.Dim.DYNAMIC} for name in examples)
    return _export(module, tuple(examples.values()), dynamic, takes=list(examples), gives=[gives])


def _export(
    module: nn.Module, examples: tuple[Tensor, ...], free: Any, *, takes: Sequence[str], gives: Sequence[str]
) -> torch.onnx.ONNXProgram:
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            examples,
            dynamo=True,
            dynamic_shapes=free,
            input_names=list(takes),
            output_names=list(gives),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # so it is with dynamo=True
    _forget_origins(program)
    return program


def _forget_origins(program: torch.onnx.ONNXProgram) -> None:
    """Leave out the recorder's notes on where each step stood, which name the folders of their maker."""
    graph = program.model.graph
    graph.metadata_props.clear()
    for node in graph.all_nodes():
        node.metadata_props.clear()
        for value in (*node.inputs, *node.outputs):
            if value is not None:
                value.metadata_props.clear()


class Session:
    """A graph in ONNX Runtime, on one thread: several may run it at a time, and each gets the same bits.

    Attributes:
        identity: the runtime's version, the kind of processor, and a hash of the graph's file: what decides the output.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.identity = f"onnxruntime {onnxruntime.__version__} {platform.machine()} {digest}"
        (self._takes,) = [entry.name for entry in self._session.get_inputs()]

    def __call__(self, tensor: Tensor) -> list[Tensor]:
        """The outputs, on the processor."""
        feed = {self._takes: tensor.detach().cpu().contiguous().numpy()}
        return [torch.from_numpy(output) for output in self._session.run(None, feed)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the recorder's remarks on its own dependencies, which no user of ours can act upon."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
