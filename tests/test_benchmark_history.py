"""Benchmarks with history: medians are kept, compared as ratios, and only what is beyond noise fails."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path

import pytest
from benchmarks import history
from benchmarks.history import SUITE, Figure, Measured, compare, last_kept, machine_name, row_figures

ROOT = Path(__file__).parents[1]
ONE = Measured(name="streams")


def score(value: float) -> Figure:
    return Figure(value=value, spread=0.5, better="higher", quality=True)


def lower(value: float, spread: float = 0.0) -> Figure:
    return Figure(value=value, spread=spread, better="lower")


@pytest.mark.parametrize(
    ("old", "new", "worse"),
    [
        (lower(1.0), lower(1.19), False),
        (lower(1.0), lower(1.21), True),
        (lower(1.0), lower(0.1), False),
        (lower(1.0, spread=0.5), lower(1.4), False),
        (lower(1.0), lower(1.4, spread=0.5), False),
        (Figure(value=6.0, spread=0.0, better="higher"), Figure(value=5.1, spread=0.0, better="higher"), False),
        (Figure(value=6.0, spread=0.0, better="higher"), Figure(value=4.9, spread=0.0, better="higher"), True),
        (score(0.9), score(0.895), False),
        (score(0.9), score(0.88), True),
        (score(0.9), score(1.0), False),
    ],
)
def test_a_figure_is_worse_where_it_exceeds_tolerance_and_noise(old: Figure, new: Figure, worse: bool) -> None:
    (change,) = compare({"x": old}, {"x": new, "unknown before": new}, tolerance=0.2)
    assert (change.ratio, change.worse) == (pytest.approx(new.value / old.value), worse)


def test_rows_become_figures_by_their_keys() -> None:
    one = Measured(name="search", key=("kind",), lower=("p50",), quality=("recall",), rows={"method": "own"})
    row = {"kind": "plain", "method": "own", "p50": 2, "recall": None}
    assert row_figures(one, row) == {"plain p50": (2.0, "lower", False)}
    assert row_figures(one, {**row, "method": "other"}) == {}


def test_results_are_kept_until_one_is_worse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[float] = []
    monkeypatch.setattr(history, "run", lambda _: {"time": (times.pop(0), "lower", False)})

    def measured(*values: float, options: tuple[str, ...] = ()) -> None:
        times[:] = values
        history.main(["--folder", str(tmp_path), "--runs", str(len(values)), *options], [ONE])

    measured(1.0, 5.0, 1.1)
    measured(1.2, 1.2, 1.2)
    file = tmp_path / f"{machine_name()}.jsonl"
    assert last_kept(file)["streams: time"] == lower(1.2)
    with pytest.raises(SystemExit, match="1"):
        measured(1.5, 1.5, 1.5)
    assert last_kept(file)["streams: time"] == lower(1.2)
    measured(1.2, options=("--keep",))
    entries = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [entry["figures"]["streams: time"]["value"] for entry in entries] == [1.1, 1.2, 1.2]
    assert all(entry["machine"]["versions"]["torch"] and len(entry["commit"]) >= 40 for entry in entries)


def test_what_fails_or_finds_no_time_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(one: Measured) -> dict[str, tuple[float, str, bool]]:
        raise RuntimeError("status 1: broken")

    monkeypatch.setattr(history, "run", fails)
    with pytest.raises(SystemExit, match="1"):
        history.main(["--folder", str(tmp_path)], [ONE])
    assert "FAILED streams: status 1: broken" in capsys.readouterr().out
    history.main(["--folder", str(tmp_path), "--minutes", "0", "--runs", "1"], [ONE])
    assert "no time for streams, run 1" in capsys.readouterr().out


def test_benchmarks_need_nothing_private_but_the_store() -> None:
    """What is private changes without a test that fails, and the benchmark would fail when it is next run."""
    used = {
        node.attr
        for path in (ROOT / "benchmarks").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr)
        if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }
    assert used == {"_store", "_exit"}


def test_the_suite_names_benchmarks() -> None:
    assert len({one.name for one in SUITE}) == len(SUITE)
    for one in SUITE:
        assert one.check or one.lower or one.higher or one.quality
        assert callable(importlib.import_module(f"benchmarks.{one.name}").main)
