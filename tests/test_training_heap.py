"""Memory of a training: what a step frees stays with the process."""

from __future__ import annotations

import platform

import pytest
import torch

from soundloom.training.heap import kept_memory

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's heap is told to keep memory")


def _faults(rounds: int) -> int:
    """Pages that the system clears for tensors of 64 MB, each freed before the next."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_inside_freed_memory_is_used_again() -> None:
    with kept_memory():
        first = _faults(1)
        _faults(15)  # some of these find what lies free too small by a little
        assert _faults(8) < first


def test_afterwards_freed_memory_goes_back_to_the_system() -> None:
    with kept_memory():
        _faults(1)
        before = _resident()
    assert before - _resident() > 50 << 20


def _resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
