"""Registration, lookup, entry points, and consent to foreign code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.installed_package import install, run_python
from soundloom.components import Registry, check_trusted, import_object, is_object_name, object_name
from soundloom.errors import AudioError, ComponentError, SoundloomError, UnknownModelError


@dataclass(frozen=True)
class Row:
    title: str


def first() -> None: ...


def second() -> None: ...


def made() -> Registry[Row]:
    registry: Registry[Row] = Registry("thing", ())
    registry.register("one", Row("the first"), definition=first, aliases=("uno",))
    registry.register("two", Row("the second"), definition=second)
    return registry


def test_components_are_found_by_name_alias_and_definition() -> None:
    things = made()
    assert list(things) == ["one", "two"]
    assert things["one"] is things["uno"] is things.find("uno") is things.get("one")
    assert things.name_of(second) == "two"
    assert things.name_of(things["two"]) == "two"
    assert things.name_of(made) is None
    assert "uno" in things
    assert "three" not in things
    assert not things.is_own("one")


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(ComponentError, match=r"no thing 'tow': did you mean 'two'\? There are one, two"):
        made().find("tow")
    corpora: Registry[Row] = Registry("corpus", (), error=UnknownModelError, hint=" (see: soundloom corpora)")
    with pytest.raises(UnknownModelError, match=r"no corpus 'x': there are  \(see: soundloom corpora\)"):
        corpora.find("x")


def test_a_name_belongs_to_one_component() -> None:
    things = made()
    for name, aliases in (("two", ()), ("uno", ()), ("new", ("two",))):
        with pytest.raises(ComponentError, match=r"has the name of the one of .*test_components:(first|second)"):
            things.register(name, Row("another"), definition=made, aliases=aliases)
    assert list(things) == ["one", "two"]


def test_the_same_definition_may_be_registered_again() -> None:
    things = made()

    def again() -> None: ...

    again.__module__, again.__qualname__ = second.__module__, second.__qualname__
    things.register("two", Row("edited"), definition=again)
    assert things["two"].title == "edited"
    assert things.name_of(again) == "two"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("package.module:object", True),
        ("module:Class.method", True),
        ("C:/runs/mine", False),
        ("hf:owner/name", False),
        ("cnn14#3", False),
        ("a:b#2", False),
        ("a.:b", False),
        (":b", False),
        ("a:", False),
    ],
)
def test_names_of_objects(text: str, fits: bool) -> None:
    assert is_object_name(text) is fits


def test_an_object_named_is_the_object_imported() -> None:
    assert import_object(object_name(Registry.register)) is Registry.register

    def local() -> None: ...

    with pytest.raises(ComponentError, match=r"local is defined in a function, .* top level of a module"):
        object_name(local)
    with pytest.raises(ComponentError, match=r"no class or function"):
        object_name(3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_package:x", "cannot import 'no_such_package'.*No module named"),
        ("soundloom.errors:Nothing", "soundloom.errors has no 'Nothing'"),
        ("soundloom", "should be package.module:object"),
    ],
)
def test_what_cannot_be_imported(name: str, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        import_object(name)


def test_an_unregistered_object_is_adapted() -> None:
    def adapt(target: object, name: str) -> Row:
        return Row(f"{name} {target is AudioError}")

    assert made().find("soundloom.errors:AudioError", adapt=adapt) == Row("soundloom.errors:AudioError True")
    with pytest.raises(ComponentError, match="no thing"):
        made().find("soundloom.errors:AudioError")


def test_code_that_a_file_names_needs_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOUNDLOOM_TRUST", raising=False)
    with pytest.raises(ComponentError, match=r"config.json names the code 'mine.parts:Ear'.*SOUNDLOOM_TRUST=mine"):
        check_trusted("mine.parts:Ear", "config.json")
    check_trusted("mine.parts:Ear", "config.json", trust=True)
    for allowed in ("mine", "other, mine", "*"):
        monkeypatch.setenv("SOUNDLOOM_TRUST", allowed)
        check_trusted("mine.parts:Ear", "config.json")
    monkeypatch.setenv("SOUNDLOOM_TRUST", "min,mine.parts")
    with pytest.raises(ComponentError):
        check_trusted("mine.parts:Ear", "config.json")


# Installed packages, in a process of their own.

LIST = """
    import warnings
    from soundloom.components import Registry
    THINGS = Registry("thing", ())
    import sys
    sys.modules["things"] = type(sys)("things")
    sys.modules["things"].THINGS = THINGS
    THINGS.register("own", 1)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert THINGS["own"] == 1
        print("imported before it was needed:", "good" in sys.modules)
        print(list(THINGS))
    print(*(warning.message for warning in heard), sep="\\n")
    try:
        THINGS.find("lost")
    except Exception as error:
        print(error)
"""


def test_installed_packages_are_walked_lazily_and_a_broken_one_costs_itself(tmp_path: Path) -> None:
    modules = {
        "good": "from things import THINGS\nTHINGS.register('theirs', 2)\n",
        "broken": "import a_package_that_is_missing\n",
        "clash": "from things import THINGS\nTHINGS.register('own', 3)\n",
    }
    folder = install(tmp_path, modules, {"good": "good", "a-broken": "broken", "clash": "clash"})
    done = run_python(LIST, folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["imported before it was needed: False", "['own', 'theirs']"]
    assert lines[2] == (
        "The components 'a-broken' of the installed package 'outside' are left out: importing 'broken' failed with "
        "ModuleNotFoundError: No module named 'a_package_that_is_missing'"
    )
    assert "'clash'" in lines[3]
    assert "choose another name" in lines[3]
    assert lines[4].startswith("no thing 'lost'")
    assert "a_package_that_is_missing" in lines[4]


def test_a_module_may_lie_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def mine(): return 3\n")
    code = "from soundloom.components import import_object\nprint(import_object('beside:mine')())"
    assert run_python(code, cwd=tmp_path).stdout == "3\n"
    assert "No module named 'beside'" in run_python(code, cwd=tmp_path.parent).stderr


def test_errors_are_soundlooms() -> None:
    raisers: list[Callable[[], object]] = [lambda: made().find("x"), lambda: import_object("x"), lambda: object_name(1)]
    for raiser in raisers:
        with pytest.raises(SoundloomError):
            raiser()
