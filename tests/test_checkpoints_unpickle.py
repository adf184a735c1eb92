"""Published pickles are read; hostile ones are refused by name and do nothing."""

from __future__ import annotations

import functools
import io
import os
import pickle
import pickletools
import struct
import sys
import threading
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soundloom.errors import ModelError
from soundloom.models.weights.unpickle import load_scaler, load_torch


class Call:
    """Pickles as a call of ``function(*arguments)``."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@contextmanager
def old_sklearn() -> Iterator[type]:
    """A MinMaxScaler under the name it had in scikit-learn 0.22, without scikit-learn."""
    name = "sklearn.preprocessing._data"
    before = sys.modules.get(name)
    module = types.ModuleType(name)
    cls = type("MinMaxScaler", (), {"__module__": name})
    module.MinMaxScaler = cls  # type: ignore[attr-defined]
    sys.modules[name] = module
    try:
        yield cls
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


def scaler_pickle(protocol: int, **attributes: Any) -> bytes:
    with old_sklearn() as cls:
        scaler = cls()
        scaler.__dict__.update(attributes)
        return pickle.dumps(scaler, protocol=protocol)


def published_scaler() -> dict[str, Any]:
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=96).astype(np.float32) for name in ("scale_", "min_", "data_min_", "data_max_")}
    return {"feature_range": (0, 1), "copy": True, "n_samples_seen_": 500, **arrays, "_sklearn_version": "0.22.1"}


def state() -> OrderedDict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = OrderedDict(weight=torch.randn(3, 4, generator=generator), bias=torch.randn(3, generator=generator))
    weights["num_batches_tracked"] = torch.tensor(7)
    return weights


def panns_sampler() -> dict[str, Any]:
    """What the sampler of PANNs' training loop puts in its state dict."""
    return {
        "indexes_per_class": [np.arange(5), np.array([2.5])],
        "queue": [1, np.int64(2)],
        "pointers_of_classes": [0],
    }


def rename(path: Path, old: bytes, new: bytes) -> None:
    """Replace a name in a checkpoint's pickle, as another release of numpy would have written it."""
    if not zipfile.is_zipfile(path):
        path.write_bytes(path.read_bytes().replace(old, new))
        return
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content.replace(old, new) if name.endswith("data.pkl") else content)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("numpy_core", ["numpy._core", "numpy.core"])
def test_a_checkpoint_with_numpy_in_its_sampler_gives_its_tensors(
    tmp_path: Path, zipped: bool, numpy_core: str
) -> None:
    path = tmp_path / "panns.pth"
    saved = {"iteration": 600_000, "model": state(), "sampler": panns_sampler()}
    torch.save(saved, path, _use_new_zipfile_serialization=zipped)
    rename(path, b"cnumpy._core.", f"c{numpy_core}.".encode())
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    loaded = load_torch(path)
    assert isinstance(loaded, dict)
    torch.testing.assert_close(dict(loaded["model"]), dict(state()), rtol=0, atol=0)
    # What was allowed here is not allowed elsewhere in the process.
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_plain_state_dict_is_read_bit_for_bit(tmp_path: Path, zipped: bool) -> None:
    torch.save(state(), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    loaded = load_torch(tmp_path / "a.pt")
    assert isinstance(loaded, dict)
    torch.testing.assert_close(dict(loaded), dict(state()), rtol=0, atol=0)


def test_float_arrays_of_the_outermost_dict_become_tensors(tmp_path: Path) -> None:
    # torchvggish saved its principal components so; with a column-major one for good measure.
    vectors = np.random.default_rng(0).normal(size=(4, 3))
    saved = {"pca_eigen_vectors": vectors, "pca_means": np.asfortranarray(vectors.T), "count": np.arange(3)}
    torch.save(saved, tmp_path / "pca.pth", _use_new_zipfile_serialization=False)
    loaded = load_torch(tmp_path / "pca.pth")
    assert isinstance(loaded, dict)
    assert torch.equal(loaded["pca_eigen_vectors"], torch.from_numpy(vectors.astype(np.float32)))
    assert torch.equal(loaded["pca_means"], torch.from_numpy(vectors.T.astype(np.float32)))
    assert not isinstance(loaded["count"], torch.Tensor)


def test_threads_may_load_at_once(tmp_path: Path) -> None:
    torch.save({"model": state(), "sampler": panns_sampler()}, tmp_path / "panns.pth")
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                load_torch(tmp_path / "panns.pth")
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def attacks(trace: Path) -> dict[str, tuple[str, Any]]:
    """Name the pickle asks for, and an object whose pickle, run, leaves a trace."""
    write = f"open({str(trace)!r}, 'w').close()"
    return {
        "os.system": (f"{os.system.__module__}.system", Call(os.system, f"touch {trace}")),
        "eval": ("builtins.eval", Call(eval, write)),
        "exec": ("builtins.exec", Call(exec, write)),
        "open": ("io.open", Call(open, str(trace), "w")),
        "nested in a tensor's dict": ("builtins.eval", OrderedDict(a=torch.zeros(1), b=Call(eval, write))),
        "deep in a sampler": ("builtins.exec", {"model": state(), "sampler": {"queue": [(Call(exec, write),)]}}),
        "getattr": ("builtins.getattr", Call(getattr, "text", "upper")),
        "after numpy": ("builtins.eval", {"sampler": [np.arange(3), Call(eval, write)]}),
        "partial": ("functools.partial", Call(functools.partial, eval, write)),
    }


@pytest.mark.parametrize("name", list(attacks(Path())))
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_hostile_checkpoint_is_refused_by_name_and_not_run(
    tmp_path: Path, name: str, protocol: int, zipped: bool
) -> None:
    trace, path = tmp_path / "trace", tmp_path / "hostile.pth"
    asked, payload = attacks(trace)[name]
    torch.save(payload, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=rf"refused: it asks for '{asked}'.*Nothing in it was run"):
        load_torch(path)
    assert not trace.exists()


def test_the_attacks_would_work(tmp_path: Path) -> None:
    # Otherwise the tests above would pass for the wrong reason.
    for name in ("os.system", "eval", "exec", "open"):
        trace = tmp_path / name
        result = pickle.loads(pickle.dumps(attacks(trace)[name][1]))
        if isinstance(result, io.IOBase):
            result.close()
        assert trace.exists()


@pytest.mark.parametrize("name", ["os.system", "eval", "exec", "open", "getattr", "partial"])
@pytest.mark.parametrize("inside", [True, False], ids=["among a scaler's attributes", "in place of a scaler"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_hostile_scaler_is_refused_by_name_and_not_run(
    tmp_path: Path, name: str, inside: bool, protocol: int
) -> None:
    trace, path = tmp_path / "trace", tmp_path / "hostile.pkl"
    asked, payload = attacks(trace)[name]
    hostile = scaler_pickle(protocol, **published_scaler(), extra=[payload])
    path.write_bytes(hostile if inside else pickle.dumps(payload, protocol=protocol))
    # Protocol 2 writes the names of Python 2, in which io.open is called open.
    with pytest.raises(ModelError, match=rf"refused: it asks for '({asked}|builtins\.open)'.*Nothing in it was run"):
        load_scaler(path)
    assert not trace.exists()


def test_a_name_of_torch_that_weights_do_not_need_is_refused(tmp_path: Path) -> None:
    torch.save({"model": Call(torch.hub.load, "owner/repository", "model")}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"torch\.hub\.load"):
        load_torch(tmp_path / "a.pth")


@pytest.mark.parametrize("attribute", ["__init__", "__setstate__", "arguments"])
def test_a_pickle_cannot_change_the_stand_ins(tmp_path: Path, attribute: str) -> None:
    # BUILD with a class in place of an instance, whose state would be set on the class.
    hostile = (
        b"\x80\x02csklearn.preprocessing._data\nMinMaxScaler\n}"
        + b"X"
        + struct.pack("<I", len(attribute))
        + attribute.encode()
        + b"K\x01sb."
    )
    assert [code.name for code, _, _ in pickletools.genops(hostile)][-2:] == ["BUILD", "STOP"]
    (tmp_path / "a.pkl").write_bytes(hostile)
    with pytest.raises(ModelError, match="not a pickled scaler"):
        load_scaler(tmp_path / "a.pkl")
    (tmp_path / "b.pkl").write_bytes(scaler_pickle(2, **published_scaler()))
    assert load_scaler(tmp_path / "b.pkl")["min_"].shape == (96,)


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f8"])
def test_a_scaler_gives_its_float_arrays(tmp_path: Path, protocol: int, dtype: str) -> None:
    published = published_scaler()
    attributes = {key: v.astype(dtype) if isinstance(v, np.ndarray) else v for key, v in published.items()}
    (tmp_path / "scaler.pkl").write_bytes(scaler_pickle(protocol, **attributes, counts=np.arange(3)))
    arrays = load_scaler(tmp_path / "scaler.pkl")
    assert sorted(arrays) == ["data_max_", "data_min_", "min_", "scale_"]
    for key, tensor in arrays.items():
        assert tensor.dtype == torch.float32
        np.testing.assert_array_equal(tensor.numpy(), published[key])


def test_the_scaler_of_a_real_scikit_learn_is_read(tmp_path: Path) -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    rows = np.random.default_rng(0).normal(size=(20, 5))
    scaler = preprocessing.MinMaxScaler().fit(rows)
    (tmp_path / "scaler.pkl").write_bytes(pickle.dumps(scaler, protocol=3))
    arrays = load_scaler(tmp_path / "scaler.pkl")
    np.testing.assert_allclose(
        rows * arrays["scale_"].numpy() + arrays["min_"].numpy(), scaler.transform(rows), atol=1e-6
    )


def test_an_array_shorter_than_its_shape_is_refused(tmp_path: Path) -> None:
    pickled = scaler_pickle(3, min_=np.zeros(96, dtype=np.float32))
    assert pickled.count(b"K\x60\x85") == 1
    (tmp_path / "scaler.pkl").write_bytes(pickled.replace(b"K\x60\x85", b"K\x61\x85"))
    with pytest.raises(ModelError, match=r"384 bytes for an array of shape \(97,\)"):
        load_scaler(tmp_path / "scaler.pkl")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (pickle.dumps({"min_": 1}), "holds a dict where a MinMaxScaler is expected"),
        (scaler_pickle(2, copy=True), "never fitted"),
        (b"<html>", "not a pickled scaler"),
        (b"", "not a pickled scaler"),
        (scaler_pickle(2, **published_scaler())[:500], "not a pickled scaler"),
    ],
    ids=["dict", "unfitted", "page", "empty", "cut"],
)
def test_what_is_not_a_scaler_is_said(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(ModelError, match=complaint):
        load_scaler(tmp_path / "a.pkl")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_damaged_checkpoint_is_said(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "a.pth"
    torch.save(state(), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:10], b"", b"<html>", b"\x00" * 100):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"a\.pth is not a whole torch checkpoint .*Get the file again"):
            load_torch(path)


@pytest.mark.parametrize("load", [load_torch, load_scaler])
def test_a_missing_file_is_said(tmp_path: Path, load: Callable[[Path], object]) -> None:
    with pytest.raises(ModelError, match=r"cannot read .*No such file"):
        load(tmp_path / "none")
