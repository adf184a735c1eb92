"""Schedules against their formulas; settings by flat names, from flags and from YAML."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from soundloom.errors import InvalidArgumentError
from soundloom.training import TrainingError, TrainingSettings
from soundloom.training.flat_config import flatten, read_yaml, resolve, settings_of, write_yaml
from soundloom.training.schedule import rate_at


@dataclass(frozen=True, kw_only=True)
class Inner:
    """How it is done.

    More about it.

    Attributes:
        depth: how deep; a number
            of blocks.
        widths: how wide.
        way: "here" or "there".
        limit: at most; None for any.
        bright: whether it shines.

    Not an attribute.
    """

    depth: int = 2
    widths: tuple[int, ...] = (1, 2)
    way: Literal["here", "there"] = "here"
    limit: float | None = None
    bright: bool = False

    def __post_init__(self) -> None:
        if self.depth < 0:
            raise ValueError(f"depth must be 0 or more, got {self.depth}")


@dataclass(frozen=True, kw_only=True)
class Outer:
    """What is done.

    Attributes:
        name: of it.
        inner: how.
    """

    name: str = "x"
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True, kw_only=True)
class Twice:
    """Two sections with the same names."""

    one: Inner = field(default_factory=Inner)
    other: Inner = field(default_factory=Inner)


def test_schedules_are_their_formulas() -> None:
    shared = {"steps": 50, "rate": 0.2, "final_rate": 0.01, "warmup": 10}
    for step in range(50):
        done = max(0, step - 10) / 40
        expected = {
            "constant": 0.2,
            "linear": 0.2 * (1 - done) + 0.01 * done,
            "cosine": 0.01 + 0.19 * (math.cos(math.pi * done) + 1) / 2,
            "exponential": math.exp(math.log(0.2) * (1 - done) + math.log(0.01) * done),
        }
        for schedule, rate in expected.items():
            warm = rate if step >= 10 else 0.2 * (step + 1) / 10
            assert rate_at(TrainingSettings(schedule=schedule, **shared), step) == pytest.approx(warm)


def test_schedules_fall_to_the_end_without_a_jump() -> None:
    for schedule in ("linear", "cosine", "exponential"):
        settings = TrainingSettings(steps=1000, rate=1.0, final_rate=1e-3, schedule=schedule)
        rates = [rate_at(settings, step) for step in range(1000)]
        assert rates == sorted(rates, reverse=True)
        assert rates[0] == 1
        assert rates[-1] == pytest.approx(1e-3, abs=2e-3)


def test_names_sections_and_helps_come_from_the_dataclasses() -> None:
    found = settings_of(Outer)
    assert list(found) == ["name", "depth", "widths", "way", "limit", "bright"]
    assert found["depth"].path == ("inner", "depth")
    assert found["depth"].help == "how deep; a number of blocks."
    assert found["bright"].help == "whether it shines."
    assert (found["name"].section, found["depth"].section) == ("What is done", "How it is done")


def test_every_setting_of_the_trainer_is_explained() -> None:
    assert not [setting.name for setting in settings_of(TrainingSettings).values() if not setting.help]


def test_one_name_twice_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="two settings 'depth'"):
        settings_of(Twice)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ({"depth": "5"}, Inner(depth=5)),
        ({"widths": "4, 5,6"}, Inner(widths=(4, 5, 6))),
        ({"way": "there"}, Inner(way="there")),
        ({"limit": "1e-3"}, Inner(limit=1e-3)),
        ({"limit": "none"}, Inner()),
        ({"bright": True}, Inner(bright=True)),
    ],
)
def test_text_is_read_as_the_setting_wants(text: dict[str, object], changed: Inner) -> None:
    assert resolve(Outer(), text, "flags") == Outer(inner=changed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dpeth": 1}, r"flags: no setting 'dpeth' \(did you mean depth\?\)\. The settings are name, depth"),
        ({"depth": "deep"}, "depth should be a whole number, got 'deep'"),
        ({"depth": 1.5}, "depth should be a whole number, got 1.5"),
        ({"bright": 1}, "bright should be true or false, got 1"),
        ({"way": "nowhere"}, "way should be 'here' or 'there', got 'nowhere'"),
        ({"depth": -1}, "depth must be 0 or more, got -1"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        resolve(Outer(), changes, "flags")


def test_yaml_comes_back(tmp_path: Path) -> None:
    recipe = Outer(name="yes: # no", inner=Inner(widths=(7,), limit=2e-7, bright=True))
    write_yaml(tmp_path / "settings.yaml", flatten(recipe), "two lines\nof comments")
    assert resolve(Outer(), read_yaml(tmp_path / "settings.yaml"), "file") == recipe
    assert (tmp_path / "settings.yaml").read_text().startswith("# two lines\n# of comments\nname:")


def test_yaml_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("limit: 1e-3\nwidths: [3, 4]\nway: there\n")
    assert resolve(Outer(), read_yaml(path), "file").inner == Inner(limit=1e-3, widths=(3, 4), way="there")
    for wrong, message in (("- a\n", "should hold lines"), ("a: [", "cannot read settings")):
        path.write_text(wrong)
        with pytest.raises(TrainingError, match=message):
            read_yaml(path)
    with pytest.raises(TrainingError, match="cannot read settings"):
        read_yaml(tmp_path / "missing.yaml")
