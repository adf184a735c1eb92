"""Identity of front-ends and encoders: all state that decides their output, beyond settings and weights.

A component that is what its settings and weights make it needs nothing more to be recognised. To see whether it is, a
twin is built from its settings and compared: attributes of every module inside, classes of modules, hooks, and buffers
that are not saved. Whatever differs is *undeclared state*; it is hashed into fingerprints, and keeps a model from being
saved, which would lose it. Of a component that cannot be built from settings all state is undeclared.

Buffers are compared up to rounding and not hashed where they agree: windows and filters that are computed from settings
may differ in their last digit from one processor to the next, and the same model has one fingerprint everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from soundloom.components import ModuleConfig, Registry, digest_of, from_plain
from soundloom.encoders.base import ENCODERS, Encoder
from soundloom.encoders.init import WithoutDraws
from soundloom.errors import ComponentError
from soundloom.frontends.base import Frontend
from soundloom.one_thread import one_thread

__all__ = ["build_encoder", "check_declared", "is_own", "undeclared_state"]

_TOLERANCE = 1e-5
_TORCH_ATTRIBUTES = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_CLASS, _VERSION = "class", "output version"


def is_own(module: nn.Module) -> bool:
    """Whether a module, and every module inside, comes with soundloom or torch."""
    return all(type(each).__module__.partition(".")[0] in ("soundloom", "torch", "julius") for each in module.modules())


def undeclared_state(component: Frontend | Encoder) -> dict[str, str]:
    """The state that neither settings nor weights contain: name -> digest; empty for most components.

    Raises:
        ComponentError: an attribute has no identity across processes; names it.
    """
    kind = type(component)
    found: dict[str, str] = {}
    if not kind.__module__.startswith("soundloom."):
        found[_CLASS] = f"{kind.__module__}:{kind.__qualname__}"
    if kind.output_version != 1:
        found[_VERSION] = str(kind.output_version)
    try:
        config = ModuleConfig.of(component, _registry_of(kind))
        twin = _state_of_twin(kind, json.dumps(config.to_plain()))
    except Exception:  # a foreign constructor may raise anything; all state is undeclared then
        twin = {}
    state = dict(_state(component))
    for name in sorted(twin.keys() | state.keys()):
        mine, its = state.get(name), twin.get(name)
        if not _same(mine, its):
            found[name] = "absent" if mine is None else mine if isinstance(mine, str) else digest_of(mine, name)
    return found


def check_declared(component: Frontend | Encoder) -> None:
    """Refuse a component that its settings and weights do not make again.

    Raises:
        ComponentError: says what it holds besides.
    """
    registry = _registry_of(type(component))
    ModuleConfig.of(component, registry)
    found = [name for name in undeclared_state(component) if name not in (_CLASS, _VERSION)]
    if found:
        raise ComponentError(
            f"the {registry.kind} {type(component).__name__} has state that neither its settings nor its weights hold: "
            f"{', '.join(found[:5])}. Make it a setting, or a buffer"
        )


def build_encoder(config: ModuleConfig, where: str, *, trust: bool = False) -> Encoder:
    """An encoder to be filled with weights.

    One of soundloom's own has parameters without numbers, for a full-sized encoder takes seconds to draw weights that
    a file is about to replace. Others may compute buffers from numbers and are built as they are.

    Raises:
        ComponentError: as for `ModuleConfig.build`.
    """
    if config.is_own(ENCODERS):
        with torch.device("meta"), WithoutDraws():
            return config.build(ENCODERS, where)
    return config.build(ENCODERS, where, trust=trust)


def _registry_of(kind: type[Frontend | Encoder]) -> Registry[Any]:
    return kind.registry()


@lru_cache(maxsize=64)
def _state_of_twin(kind: type[Frontend | Encoder], text: str) -> dict[str, str | Tensor]:
    """The state of a component as its settings make it; the caller's random numbers are left untouched."""
    config = from_plain(ModuleConfig, json.loads(text), kind.__name__)
    with torch.random.fork_rng(devices=[]), one_thread:
        registry = _registry_of(kind)
        if registry is ENCODERS:
            return dict(_state(build_encoder(config, config.type, trust=True)))
        return dict(_state(config.build(registry, config.type, trust=True)))


def _state(component: nn.Module) -> Iterator[tuple[str, str | Tensor]]:
    """Attributes (as digests) and buffers that are not saved, of every module inside, by path."""
    title = type(component).__name__
    for path, module in component.named_modules():
        if path and path.partition(".")[0] in getattr(component, "transient", ()):
            continue
        prefix = f"{path}." if path else ""
        kind = type(module)
        yield f"{prefix}class", f"{kind.__module__}:{kind.__qualname__}"
        transient = getattr(module, "transient", ())
        for name, value in vars(module).items():
            if name not in _TORCH_ATTRIBUTES and name not in transient:
                yield f"{prefix}{name}", digest_of(value, f"{title}.{prefix}{name}")
        for name in _HOOKS:
            hooks = list(getattr(module, name).values())
            if hooks:
                yield f"{prefix}{name}", digest_of(hooks, f"{title}.{prefix}{name}")
        for name in sorted(module._non_persistent_buffers_set):
            buffer = module._buffers[name]
            if buffer is not None:
                yield f"{prefix}{name}", buffer


def _same(mine: str | Tensor | None, its: str | Tensor | None) -> bool:
    if not isinstance(mine, Tensor) or not isinstance(its, Tensor):
        return mine is its or (isinstance(mine, str) and mine == its)
    if mine.shape != its.shape or mine.dtype != its.dtype:
        return False
    mine, its = mine.detach().cpu(), its.detach().cpu()
    if torch.equal(mine, its):  # a tenth of the time of a comparison up to rounding
        return True
    if not mine.is_floating_point():
        return False
    scale = float(its.abs().amax()) if its.numel() else 0.0
    return torch.allclose(mine, its, rtol=_TOLERANCE, atol=_TOLERANCE * scale, equal_nan=True)
