"""The commands ``soundloom evaluate``, ``layers`` and ``corpora``."""

from __future__ import annotations

import json
import re

import click
import pytest
import soundfile

from helpers.command_line import run
from helpers.parsed_page import Page
from soundloom.cli.evaluate import command as evaluate
from soundloom.cli.evaluate_options import load_corpora, weights_for
from soundloom.corpora import CORPORA
from soundloom.evaluation.results import read
from soundloom.evaluation.runner import protocol_choices
from soundloom.synth import render


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    for family in ("bell", "drum", "rain"):
        (folder / family).mkdir()
        for index in range(8):
            sound = render(family, index)
            soundfile.write(folder / family / f"{index}.wav", sound.samples, sound.sample_rate)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))


def test_evaluate_prints_a_table_and_keeps_a_report(sounds, tmp_path):
    ran = run("evaluate", "logmel", "peaks", "--on", sounds, "--protocol", "retrieval,knn", "-o", tmp_path / "out")
    assert ran.exit_code == 0, ran.output
    assert re.search(r"^logmel +[\d.]+ +[\d.]+ +[\d.]+$", ran.stdout, re.MULTILINE)
    assert "query-by-example: mAP" in ran.stderr
    assert "24 clips, 1 draw, not standardised  24 clips, not standardised" in ran.stdout
    assert "5 tested of 24 clips, standardised" in ran.stdout
    assert "24 of 24 clips embedded now" in ran.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"results.json", "per-class.csv", "report.html"}
    Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert [each.model for each in read(tmp_path / "out" / "results.json")] == ["logmel", "peaks"]
    assert any((tmp_path / "home" / "evaluation" / "embeddings").rglob("*.shard"))
    again = run("evaluate", "logmel", "--on", sounds, "--protocol", "knn", "--json")
    (kept,) = json.loads(again.stdout)
    assert kept["embedded"] == 0
    assert kept["measurements"]["knn"]["score"]["metric"] == "accuracy"
    assert again.stderr == ""


def test_the_help_names_every_protocol():
    (said,) = (option.help for option in evaluate.params if option.name == "protocols")
    assert {name for name in protocol_choices() if name not in said} == set()


def test_results_are_joined(sounds, tmp_path):
    for name, protocol in (("a", "knn"), ("b", "query-by-example")):
        assert run("evaluate", "logmel", "--on", sounds, "--protocol", protocol, "-o", tmp_path / name).exit_code == 0
    files = (tmp_path / "a" / "results.json", tmp_path / "b" / "results.json")
    ran = run("evaluate", "--join", *files, "-o", tmp_path / "both")
    assert ran.exit_code == 0, ran.output
    (joined,) = read(tmp_path / "both" / "results.json")
    assert list(joined.scores) == ["knn", "query-by-example"]
    assert run("evaluate", "--join", *files, "--on", sounds).exit_code == 2
    missing = run("evaluate", "--join", tmp_path / "nowhere.json")
    assert missing.exit_code == 1
    assert "cannot read" in missing.stderr


def test_what_cannot_be_heard_or_measured_ends_in_exit_code_1(sounds, tmp_path):
    broken = tmp_path / "broken"
    for family in ("bell", "drum"):
        (broken / family).mkdir(parents=True)
        for index in range(6):
            (broken / family / f"{index}.wav").write_bytes((sounds / family / f"{index}.wav").read_bytes())
    (broken / "bell" / "0.wav").write_bytes(b"no sound")
    ran = run("evaluate", "logmel", "--on", broken, "--protocol", "query-by-example")
    assert ran.exit_code == 1
    assert "1 of 12 clips could not be decoded" in ran.stderr
    assert "0.wav" in ran.stderr
    assert "11 clips" in ran.stdout
    (broken / "drum" / "0.wav").write_bytes(b"")
    partial = run("evaluate", "logmel", "--on", broken, "--protocol", "query-by-example", "--partial")
    assert partial.exit_code == 0, "all that was asked for was done"
    assert "1 of 12 files are missing or empty and left out, such as drum/0.wav" in partial.stderr
    assert "1 of 11 clips could not be decoded" in partial.stderr
    (broken / "drum" / "0.wav").write_bytes((sounds / "drum" / "0.wav").read_bytes())
    refused = run("evaluate", "logmel", "--on", broken, "--on", sounds, "--protocol", "knn", "-o", tmp_path / "out")
    assert refused.exit_code == 1
    assert "not measured" in refused.stderr
    assert "k is 10" in refused.stderr
    assert [each.clips for each in read(tmp_path / "out" / "results.json")] == [24]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("logmel",), "--on CORPUS=ROOT"),
        (("logmel", "--on", "esc50"), "esc50 needs its folder"),
        (("logmel", "--on", "nowhere"), "neither a folder nor a file nor a corpus"),
        (("logmel", "--on", ".", "--protocol", "lineer"), "no protocol lineer"),
        ((), "Missing argument"),
    ],
)
def test_mistakes_on_the_command_line_are_told(arguments, message):
    ran = run("evaluate", *arguments)
    assert ran.exit_code in (1, 2)
    assert message in ran.stderr
    assert "Traceback" not in ran.output


def test_a_folder_may_have_an_equals_sign(sounds, tmp_path):
    folder = tmp_path / "a=b"
    folder.symlink_to(sounds)
    (corpus,) = load_corpora([str(folder)])
    assert len(corpus) == 24


def test_weights_go_to_the_models_that_have_the_part():
    models = ["cnn14#3#6+logmel", "logmel"]
    assert weights_for(models, ["cnn14=a.pth"]) == {models[0]: {"cnn14": "a.pth"}, models[1]: "published"}
    assert weights_for(models, ["random"]) == dict.fromkeys(models, "random")
    assert weights_for(models, []) == dict.fromkeys(models, "published")
    with pytest.raises(click.UsageError, match="--weights for ast, which is no part of cnn14#3#6"):
        weights_for(models, ["cnn14=a.pth", "ast=b.pth"])


def test_layers_names_the_layers_to_fuse(sounds, tmp_path):
    options = ("--on", sounds, "--weights", "random", "--protocol", "query-by-example", "-o", tmp_path / "out")
    ran = run("layers", "coala", *options)
    assert ran.exit_code == 0, ran.output
    assert re.search(r"^(M|L) = [1-6], for folder$", ran.stdout, re.MULTILINE)
    assert re.search(r"^Fused:  coala#[1-6]$", ran.stdout, re.MULTILINE)
    assert [each.model for each in read(tmp_path / "out" / "results.json")] == [f"coala#{n}" for n in range(1, 7)]
    assert (
        "Layers of coala, query-by-example" in Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).text
    )
    assert "has no layers to compare" in run("layers", "logmel", *options).stderr
    woven = run("layers", "coala+logmel", *options).stdout
    assert re.search(r"^Fused:  coala#[1-6]\+logmel$", woven, re.MULTILINE)
    kept = json.loads(run("layers", "coala", *options, "--json").stdout)
    assert {kept["choice"]["middle"], kept["choice"]["late"]} > {None}
    assert [each["embedded"] for each in kept["results"]] == [0] * 6


def test_layers_of_a_woven_model_are_those_of_its_parts(sounds, tmp_path):
    options = ("--on", sounds, "--protocol", "query-by-example", "-o", tmp_path / "out")
    ran = run("layers", "loom", *options)
    assert ran.exit_code == 0, ran.output
    assert re.findall(r"^Fused:  layers [1-6, ]+ of the part (\w+)", ran.stdout, re.MULTILINE) == ["timbre", "general"]
    names = [*(f"timbre#{n}" for n in range(1, 7)), *(f"general#{n}" for n in range(1, 6))]
    assert [each.model for each in read(tmp_path / "out" / "results.json")] == names


def test_corpora_lists_every_corpus():
    listed = run("corpora").stdout
    for source in CORPORA.values():
        assert source.title in listed
        assert source.address in listed
    assert set(json.loads(run("corpora", "--json").stdout)) == set(CORPORA)


def test_corpora_checks_a_copy(sounds):
    ran = run("corpora", sounds)
    assert "24, in 24 groups" in ran.stdout
    assert "bell 8, drum 8, rain 8" in ran.stdout
    facts = json.loads(run("corpora", sounds, "--json").stdout)
    assert (facts["clips"], facts["classes"]) == (24, {"bell": 8, "drum": 8, "rain": 8})
    wrong = run("corpora", "esc50", sounds, "--full")
    assert wrong.exit_code == 1
    assert "meta/esc50.csv" in wrong.stderr
