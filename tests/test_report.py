"""The report and the tables of the evaluation."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import numpy as np
import pytest

from helpers.parsed_page import Page
from soundloom.evaluation.analysis.ablation import AblationDetails, Contribution
from soundloom.evaluation.analysis.correlation import CorrelationDetails
from soundloom.evaluation.analysis.layers import choose
from soundloom.evaluation.extraction import LeftOut
from soundloom.evaluation.probes.common import ProbeDetails
from soundloom.evaluation.probes.knn import KNNDetails
from soundloom.evaluation.report import svg
from soundloom.evaluation.report.html import page, write_page
from soundloom.evaluation.report.tables import labels_of, table_of, write_per_class, written
from soundloom.evaluation.results import EvaluationError, Measurement, Projection, Result
from soundloom.evaluation.scores import summarise

CLASSES = ("dog", "<script>alert(1)</script>", "a & b", "Ökologie")


def measured(protocol="linear", values=(0.5, 0.6, 0.7), metric="accuracy", details=None):
    per_class = {0: 0.9, 1: 0.1, 3: 0.5}
    score = summarise(protocol, metric, values, seed=0, per_class=per_class, details=details)
    return Measurement(score=score, clips=40, tested=8, settings={"runs": 3}, config="c0ffee", seconds=1.5)


def result(model="vggish", corpus="esc50", **changes):
    confusion = [[3, 1, 0, 0], [0, 2, 2, 0], [0, 0, 4, 0], [4, 0, 0, 0]]
    table = {feature: {"mean": 0.9, "variance": 0.5, "skewness": 0.1} for feature in ("mfcc", "chroma")}
    ablation = AblationDetails(
        protocol="linear",
        chance=0.25,
        subsets={"a": (0.4, 0.1), "b": (0.3, None), "a+b": (0.6, 0.25)},
        contributions={
            "a": Contribution(alone=0.4, leave_one_out=0.3, shapley=0.22),
            "b": Contribution(alone=0.3, leave_one_out=0.2, shapley=-0.02),
        },
    )
    given = {
        "model": model,
        "fingerprint": "f" * 64,
        "dim": 128,
        "corpus": corpus,
        "corpus_digest": "d" * 32,
        "classes": CLASSES,
        "split_origin": "official",
        "clips": 41,
        "left_out": (LeftOut("/sounds/<b>.wav", "damaged & done"),),
        "seed": 0,
        "embedded": 40,
        "seconds": 2.0,
        "environment": {"soundloom": "0.1.0"},
        "measurements": {
            "linear": measured(details=ProbeDetails(splits=["1"], by_split=[[0.5]], epochs=[[1]], confusion=confusion)),
            "query-by-example": measured("query-by-example", (0.4,), "mAP"),
            "correlation": measured("correlation", (0.6,), "canonical correlation", CorrelationDetails(table=table)),
            "ablation": measured("ablation", details=ablation),
        },
        "refused": {"knn": "knn on esc50: k is 10"},
        "projection": Projection(method="PCA", points=[(0.0, 0.0), (1.0, 2.0), (3.0, 1.0)], labels=[0, 1, 3]),
    }
    return Result(**given | changes)


def layered(corpus, means):
    return [
        result(f"cnn14#{layer}", corpus, fingerprint=f"{layer}" * 64, measurements={"linear": measured(values=(mean,))})
        for layer, mean in means.items()
    ]


def test_the_page_nests_and_has_every_section():
    read_page = Page(page([result("vggish-niizumi"), result("mfcc", split_origin="none")]))
    for told in (
        "To repeat it",
        "in the plane",
        "What of plain acoustics",
        "The parts of",
        "takes for what",
        "Class by class",
        "Published on esc50 by the linear protocol",
        "Not measured: 2",
        "1 of 41 clips could not be decoded",
        "k is 10",
        "Shapley",
    ):
        assert told in read_page.text, told
    # Interval of 0.5, 0.6, 0.7 by Student's t: 4.303 * 0.1 / sqrt(3); what was published of VGGish in brackets.
    assert "60.0 ± 24.8 (68.2)" in re.sub(r"\s+", " ", read_page.text)


def test_the_page_asks_nobody_for_anything():
    text = page([result(), *layered("esc50", {1: 0.1, 2: 0.2})])
    read_page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(read_page.tags)
    for _, name, value in read_page.attributes:
        assert name not in ("src", "href", "srcset", "data", "action", "poster", "background")
        assert not name.startswith("on")
        assert "url(" not in (value or "")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style


def test_many_columns_are_several_tables_with_whole_corpora():
    some = [result(corpus=name, projection=None) for name in ("esc50", "gtzan", "surge")]
    heads = re.findall(r"<div class=wide><table><thead>.*?</thead>", page(some))
    assert [re.findall(r'colgroup" colspan="4">(\w+)', head) for head in heads[:3]] == [["esc50"], ["gtzan"], ["surge"]]
    narrow = [replace(each, measurements={"linear": measured()}) for each in some]
    assert re.findall(r'colgroup" colspan="1">(\w+)', page(narrow)) == ["esc50", "gtzan", "surge"]


def test_names_cannot_become_markup():
    text = page([result(model="<i>m</i>", corpus='"c"')])
    assert "<script" not in text
    assert "<i>m" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "a & b" in Page(text).text
    assert "/sounds/<b>.wav" in Page(text).text


def test_pictures_have_titles_and_tables_have_headers():
    read_page = Page(page([result()]))
    pictures = read_page.tags.count("svg")
    assert pictures >= 4
    labels = [value for tag, name, value in read_page.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == pictures
    assert all(labels)
    assert read_page.tags.count("thead") == read_page.tags.count("table")
    scopes = {value for tag, name, value in read_page.attributes if (tag, name) == ("th", "scope")}
    assert scopes == {"row", "col", "colgroup"}


def test_no_picture_has_numbers_that_are_none():
    for text in (page([result()]), page([result(), *layered("gtzan", {1: 0.0, 6: 1.0})])):
        assert not re.search(r'="[^"]*\b(nan|inf)\b', text)


def test_layers_are_drawn_with_their_choice():
    results = [
        *layered("esc50", {1: 0.2, 2: 0.4, 3: 0.5, 6: 0.9}),
        *layered("cremad", {1: 0.5, 2: 0.7, 3: 0.6, 6: 0.3}),
    ]
    read_page = Page(page(results))
    assert "Middle tasks (cremad) are served best by M = 2." in read_page.text
    assert "Late tasks (esc50) are served best by L = 6." in read_page.text
    assert "Fused: cnn14#2#6." in read_page.text
    assert "mean of late tasks" in read_page.text


def test_one_layer_for_both_is_marked_with_both_letters():
    scores = {layer: measured(values=(mean,)).score for layer, mean in {1: 0.9, 2: 0.0, 3: 0.0, 4: 0.85}.items()}
    other = {layer: measured(values=(mean,)).score for layer, mean in {1: 0.0, 2: 0.9, 3: 0.0, 4: 0.85}.items()}
    late = {layer: measured(values=(mean,)).score for layer, mean in {1: 0.0, 2: 0.1, 3: 0.0, 4: 0.85}.items()}
    tasks = {"a": scores, "b": other, "c": late}
    choice = choose({task: {layer: score.mean for layer, score in curve.items()} for task, curve in tasks.items()})
    assert choice.middle == choice.late == 4
    picture = svg.layer_curves(tasks, choice, "t")
    assert 'aria-label="t"' in picture
    places = re.findall(r'<text x="([\d.]+)" [^>]*>([ML])</text>', picture)
    assert len({x for x, _ in places}) == 2


def test_labels_of_curves_do_not_cover_each_other():
    tasks = {f"task {n}": {layer: measured(values=(0.5,)).score for layer in (1, 2)} for n in range(5)}
    choice = choose({task: {1: 0.5, 2: 0.5} for task in tasks})
    heights = sorted(
        float(y)
        for y in re.findall(r'y="([\d.]+)" class="label[^>]*>(?:task|mean)', svg.layer_curves(tasks, choice, "t"))
    )
    assert len(heights) == 6
    assert min(np.diff(heights)) >= 18 - 0.2


def test_confusions_are_shares_of_their_rows():
    picture = svg.confusion(np.array([[3, 1], [0, 4]]), ["a", "b"], "t")
    assert 'aria-label="t"' in picture
    assert "a taken for b: 25.0 %" in picture
    assert "b taken for b: 100.0 %" in picture
    assert "b taken for a" not in picture


def test_many_classes_are_drawn_without_their_names():
    many = [f"class {n}" for n in range(200)]
    picture = svg.confusion(np.eye(200, dtype=int), many, "t")
    assert ">class 7</text>" not in picture
    assert picture.count("<rect") == 201


def test_names_in_the_plane_do_not_cover_each_other():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(50), 4)
    points = generator.normal(size=(200, 2))
    projection = Projection(method="PCA", points=points.tolist(), labels=labels.tolist())
    picture = svg.scatter(projection, [f"class number {n}" for n in range(50)], "t")
    names = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="halo', picture)
    assert 2 <= len(names) < 50
    places = np.array(names, dtype=float)
    apart = np.abs(places[:, None] - places[None])
    assert ((apart[..., 0] > 100) | (apart[..., 1] > 17.8) | np.eye(len(places), dtype=bool)).all()


def test_a_heap_of_equal_points_is_drawn():
    heap = Projection(method="PCA", points=[(1.0, 1.0)] * 4, labels=[0] * 4)
    assert "nan" not in svg.scatter(heap, ["a"], "t")


def test_bars_reach_below_zero():
    picture = svg.bars({"good": (0.3, None), "harmful": (-0.1, 0.05)}, "t", mark=0.1)
    widths = [float(width) for width in re.findall(r'width="([\d.]+)" height', picture)]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.01)


def test_an_empty_report_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="no results to report"):
        page([])
    (tmp_path / "file").touch()
    with pytest.raises(EvaluationError, match="cannot write"):
        write_page(tmp_path / "file" / "report.html", [result()])


def test_rows_of_one_name_are_told_apart():
    results = [result(), result(fingerprint="e" * 64), result(seed=1), result("mfcc")]
    models, corpora = labels_of(results)
    assert models == [
        "vggish [ffffff] (seed 0)",
        "vggish [eeeeee] (seed 0)",
        "vggish [ffffff] (seed 1)",
        "mfcc (seed 0)",
    ]
    assert corpora == ["esc50"] * 4
    assert labels_of(results[:1]) == (["vggish"], ["esc50"])


def test_the_table_has_models_down_and_what_was_measured_across():
    some = replace(result("mfcc-favory", "gtzan"), measurements={"sklearn-mlp": measured("sklearn-mlp")})
    table = table_of([result(), some, replace(result("mfcc-favory"), measurements={"linear": measured(values=(0.9,))})])
    assert [(column.corpus, column.protocol) for column in table.columns] == [
        ("esc50", "linear"),
        ("esc50", "query-by-example"),
        ("esc50", "correlation"),
        ("esc50", "ablation"),
        ("gtzan", "sklearn-mlp"),
    ]
    assert [row.model for row in table.rows] == ["vggish", "mfcc-favory"]
    assert table.rows[1].cells[0].text == "90.0"
    assert table.rows[1].cells[4].text == "60.0 ± 24.8 (49.8)"
    assert table.rows[0].cells[4] is None
    assert (table.best(0), table.best(1)) == (0.9, None)
    assert table.counts(0) == [
        "8 tested of 40 clips, 1 run, standardised",
        "8 tested of 40 clips, 3 runs, standardised",
    ]
    folds = ProbeDetails(splits=["1", "2"], by_split=[[0.5] * 3] * 2, epochs=[[1] * 3] * 2, rates=None, confusion=None)
    some = replace(result(), measurements={"linear": measured(details=folds)})
    assert table_of([some]).counts(0) == ["8 tested of 40 clips, 3 runs of 2 folds, standardised"]
    knn = KNNDetails(splits=["1", "2", "3"], k=10, standardised=False)
    votes = replace(measured("knn", details=knn), settings={"k": 10, "standardised": False})
    some = replace(result(), measurements={"knn": votes})
    assert table_of([some]).counts(0) == ["8 tested of 40 clips, 3 folds, not standardised"]


def test_numbers_are_written_in_percent():
    assert written(0.5306, 0.0044) == "53.1 ± 0.4"
    assert written(1.0, None) == "100.0"


def test_scores_by_class_are_a_csv(tmp_path):
    write_per_class(tmp_path / "c.csv", [result()])
    with (tmp_path / "c.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 4
    assert rows[1] == {
        "model": "vggish",
        "corpus": "esc50",
        "protocol": "linear",
        "metric": "accuracy",
        "class": CLASSES[1],
        "value": "0.100000",
    }
