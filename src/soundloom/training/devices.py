"""Devices of a run, with Lightning's Fabric; its log messages silenced, its algorithms deterministic on a CPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from soundloom.errors import MissingExtraError
from soundloom.training.heap import kept_memory
from soundloom.training.settings import TrainingError, TrainingSettings

__all__ = ["devices"]

_log = logging.getLogger(__name__)

# A property of a module that types do not know.
_FILLING: Any = torch.utils.deterministic


@contextmanager
def devices(settings: TrainingSettings) -> Iterator[Any]:
    """A Fabric on the devices that are asked for, all processes of the run begun.

    Inside, torch's generators are the run's own to seed, a CPU computes the same each time, and freed memory is kept.

    Raises:
        TrainingError: there are no such devices.
        MissingExtraError: Lightning is not installed.
    """
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies import DDPStrategy
    except ImportError:
        raise MissingExtraError("lightning", "train", "training") from None
    found = torch.cuda.device_count()
    device = "cuda" if settings.device == "auto" and found else settings.device.replace("auto", "cpu")
    if device == "cuda" and found < settings.devices:
        raise TrainingError(f"{settings.devices} CUDA devices are wanted and {found} are here: use --device cpu")
    several = settings.devices * settings.nodes > 1
    with _quietly():
        fabric = Fabric(
            accelerator=device,
            # Which parameters get a gradient is the same in every step; those that never do are not waited for.
            strategy=DDPStrategy(static_graph=True) if several else "auto",
            devices=settings.devices,
            num_nodes=settings.nodes,
            plugins=[_precision(settings.precision, device)],
        )
        fabric.launch()
        if settings.precision == "bf16" and device == "cpu" and not _computes_in_bf16() and fabric.global_rank == 0:
            _log.warning(
                "this processor does not compute in bf16, which it imitates many times slower: use --precision 32"
            )
        seeded = torch.random.fork_rng(devices=range(found))
        with seeded, _deterministic(device), _threads(settings.threads), kept_memory():
            yield fabric


def _precision(precision: str, device: str) -> Any:
    """Lightning's plugin; mixed precision leaves the inputs as they are, as front-ends and targets need all digits."""
    from lightning.fabric.plugins import MixedPrecision, Precision

    class _Mixed(MixedPrecision):  # type: ignore[misc]
        def convert_input(self, data: Any) -> Any:
            return data

    return _Mixed("bf16-mixed", device) if precision == "bf16" else Precision()


def _computes_in_bf16() -> bool:
    """Whether this processor has instructions for it."""
    onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return onednn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what Lightning announces at "info" (processes, precision, advice), which is the same at every start."""
    # Fabric speaks through the logger of whichever of the two was imported last.
    logs = [logging.getLogger(name) for name in ("lightning.fabric", "lightning.pytorch")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads of computation; 0 leaves them."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count:
            torch.set_num_threads(before)


@contextmanager
def _deterministic(device: str) -> Iterator[None]:
    """Algorithms that sum in the same order each time, on a CPU, where they cost next to nothing."""
    if device != "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), _FILLING.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    _FILLING.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        _FILLING.fill_uninitialized_memory = before[1]
