"""The triplet loss against equation 1 in loops, its mining against Schroff's words, and the draws that feed it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor, multiprocessing
from torch.nn import functional

from helpers.tiny_encoder import Tiny
from soundloom.corpora import Corpus, CorpusError, clip_table
from soundloom.embedder import Stream, Window
from soundloom.feature_cache import FeatureDataset, MelEnergies, Represented, Samples
from soundloom.frontends import LogMel, PeakMap
from soundloom.objectives import Recordings, TripletObjective, TripletSettings, only, triplet_sampler
from soundloom.objectives.base import Batch
from soundloom.objectives.mining import MINING, Known
from soundloom.objectives.samplers import MADE, SAMPLERS
from soundloom.recipes.architectures import build_stream

FORM = MelEnergies(LogMel.jansen())


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two would wait for each other longer than such small steps take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_stream() -> Stream:
    torch.manual_seed(0)
    return Stream("tiny", LogMel.jansen(), Tiny(), layers=None, pooling="mean", window=Window(frames=96, fixed=True))


def held(*lengths: int) -> FeatureDataset:
    """Clips of so many rows; the codes of a row tell its clip, its place and its bin apart."""
    rows = np.random.default_rng(7).integers(30_000, 45_000, (sum(lengths), 64)).astype(np.uint16)
    counts = np.array(lengths)
    return FeatureDataset(FORM, rows, np.cumsum(counts) - counts, counts, {}, fresh=0, seconds=0.0)


def files(count: int) -> Recordings:
    return Recordings(numbers=np.arange(count), begins=np.zeros(count))


def draw(settings: TripletSettings, dataset: FeatureDataset, batch: int = 16, **more: object):
    clips = np.arange(len(dataset))
    recordings = more.pop("recordings", files(len(dataset)))
    return triplet_sampler(settings, dataset, recordings, clips, batch, 0, **more)  # type: ignore[arg-type]


def known(recordings: list[list[int]], sampler: str = "noise", labels: list[list[list[bool]]] | None = None) -> Known:
    batch: Batch = {
        "recordings": torch.tensor(recordings),
        "sampler": torch.full((len(recordings),), SAMPLERS.index(sampler)),
    }
    if labels is not None:
        batch["labels"] = torch.tensor(labels)
    return Known.of(batch)


def unit(count: int, dim: int = 6, seed: int = 0) -> Float[Tensor, "count dim"]:
    return functional.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


# --- the loss


def loop_loss(embeddings: np.ndarray, recordings: list[int], margin: float) -> float:
    """Equation 1, averaged, with the negatives of Schroff 2015: triplets one by one."""
    count = len(recordings)
    total = 0.0
    for i in range(count):
        near = sum((embeddings[i] - embeddings[count + i]) ** 2)
        distances = [
            sum((embeddings[i] - embeddings[place]) ** 2)
            for place in range(2 * count)
            if recordings[place % count] != recordings[i]
        ]
        farther = [distance for distance in distances if distance > near]
        far = min(farther) if farther else max(distances)
        total += max(0.0, near - far + margin)
    return total / count


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.0, 0.2, 1.5])
def test_the_loss_is_equation_1_over_semi_hard_negatives(seed: int, margin: float) -> None:
    recordings = [0, 1, 2, 2, 3, 0, 4, 4]
    embeddings = unit(16, seed=seed)
    objective = TripletObjective(TripletSettings(margin=margin), FORM)
    told = objective.loss(embeddings, known([[r, r] for r in recordings]))
    assert told["loss"].item() == pytest.approx(loop_loss(embeddings.numpy(), recordings, margin), rel=1e-5)


def test_perfect_embeddings_cost_nothing_and_collapsed_ones_the_margin() -> None:
    objective = TripletObjective(TripletSettings(margin=0.3), FORM)
    apart = torch.eye(4).repeat(2, 1)
    told = objective.loss(apart, known([[r, r] for r in range(4)]))
    assert told["loss"] == 0
    assert told["violations"] == 0
    assert told["negative distance"] == 2
    told = objective.loss(torch.ones(8, 4) / 2, known([[r, r] for r in range(4)]))
    assert told["loss"].item() == pytest.approx(0.3)
    assert told["violations"] == 1


def test_gradients_pull_the_positive_and_push_the_negative() -> None:
    embeddings = unit(8).requires_grad_()
    told = TripletObjective(TripletSettings(margin=3.9), FORM).loss(embeddings, known([[r, r] for r in range(4)]))
    told["loss"].backward()
    assert embeddings.grad is not None
    stepped = TripletObjective(TripletSettings(margin=3.9), FORM).loss(
        functional.normalize(embeddings.detach() - 0.01 * embeddings.grad, dim=1), known([[r, r] for r in range(4)])
    )
    assert stepped["loss"] < told["loss"]
    assert stepped["positive distance"] < told["positive distance"]


def test_a_batch_of_one_recording_has_no_negatives() -> None:
    with pytest.raises(ValueError, match=r"4 of 4 anchors have no negative .* take a larger batch"):
        TripletObjective(TripletSettings(), FORM).loss(unit(8), known([[5, 5]] * 4))


# --- mining


def test_semi_hard_takes_the_nearest_farther_one_and_else_the_farthest() -> None:
    far = torch.tensor([[0.1, 0.5, 0.9, 1.5], [0.1, 0.2, 0.3, 0.9], [0.4, 0.4, 0.6, 0.9]])
    unlike = torch.tensor([[True, True, True, True], [True, True, True, False], [True, True, True, True]])
    near = torch.tensor([0.5, 0.4, 0.1])
    # 0.5 is as far as the positive, not farther. Second row: none is farther but the one that is alike.
    assert MINING["semi-hard"](far, near, unlike).tolist() == [2, 2, 0]
    assert MINING["hardest"](far, near, unlike).tolist() == [0, 0, 0]


def test_without_mining_every_negative_comes_as_often() -> None:
    torch.manual_seed(0)
    unlike = torch.tensor([[True, False, True, True]]).expand(6000, 4)
    counts = MINING["none"](torch.zeros(6000, 4), torch.zeros(6000), unlike).bincount(minlength=4)
    assert counts[1] == 0
    assert (counts[[0, 2, 3]] - 2000).abs().max() < 150


@pytest.mark.parametrize("mining", list(MINING))
def test_what_is_known_to_be_alike_is_never_a_negative(mining: str) -> None:
    # Anchors 0 and 1 share a recording; everything but recording 9 lies where they do.
    recordings = [[0, 0], [0, 0], [9, 9]]
    embeddings = functional.normalize(torch.tensor([[1.0, 0], [1, 0], [0, 1]] * 2), dim=1)
    objective = TripletObjective(TripletSettings(mining=mining, margin=0.1), FORM)
    assert objective.loss(embeddings, known(recordings))["negative distance"] == 2


def test_who_may_be_a_negative() -> None:
    #              anchors: recording 0, 0, 1; the positives' are the same
    same = known([[0, 0], [0, 0], [1, 1]])
    assert same.unlike().tolist() == [[False, False, True] * 2, [False, False, True] * 2, [True, True, False] * 2]
    a, b, ab = [True, False], [False, True], [True, True]
    # With labels, a class shared is enough; two classes of a clip count both.
    labelled = known([[0, 0], [1, 1], [2, 2]], labels=[[a, a], [b, b], [ab, b]])
    assert labelled.unlike()[0].tolist() == [False, True, False, False, True, True]
    # By label alone: the recordings say nothing.
    topline = known([[0, 0], [0, 0], [0, 0]], "labelled", [[a, a], [b, b], [b, b]])
    assert topline.unlike()[0].tolist() == [False, True, True] * 2


def test_a_mixture_is_no_negative_of_what_was_mixed_in() -> None:
    pure = known([[0, 0], [1, 1], [2, 2]])
    mixed = pure.mixed(torch.tensor([True, False, False]), torch.tensor([1, 2, 0]))
    # The first positive holds some of the second anchor.
    assert pure.unlike()[1].tolist() == [True, False, True, True, False, True]
    assert mixed.unlike()[1].tolist() == [True, False, True, False, False, True]
    # The second anchor itself stays a negative of the first: the paper's x_n.
    assert mixed.unlike()[0].tolist() == [False, True, True, False, True, True]


def test_partners_are_never_of_the_anchor_s_recording() -> None:
    torch.manual_seed(0)
    recordings = torch.tensor([0, 0, 1, 2])
    told = known([[r, r] for r in recordings.tolist()])
    for _ in range(50):
        assert (recordings[told.partners()] != recordings).all()


# --- the objective on a stream


@pytest.mark.parametrize("sampler", [*SAMPLERS, "joint"])
def test_every_sampler_trains_a_stream(sampler: str) -> None:
    settings = TripletSettings(**({} if sampler == "joint" else only(sampler)), margin=1.0)
    dataset = held(300, 200, 96, 40, 200)
    labels = np.eye(2, dtype=bool)[[0, 1, 0, 1, 0]] if sampler == "labelled" else None
    stream, objective = tiny_stream(), TripletObjective(settings, FORM)
    batch = draw(settings, dataset, labels=labels)(0)
    told = objective(stream, batch)
    told["loss"].backward()
    assert told.keys() == {"loss", "violations", "positive distance", "negative distance"}
    assert all(value.isfinite() for value in told.values())
    gradients = [weight.grad for weight in stream.encoder.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


def test_a_few_steps_learn() -> None:
    # Every recording has bands of its own, over which there is noise.
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 2, (20, 1, 64)) * 8000 + generator.integers(30_000, 34_000, (20, 200, 64))
    counts = np.full(20, 200)
    firsts = np.cumsum(counts) - counts
    dataset = FeatureDataset(FORM, rows.reshape(-1, 64).astype(np.uint16), firsts, counts, {}, fresh=0, seconds=0.0)
    settings = TripletSettings(**only("proximity"), margin=0.5, mining="none")
    stream, objective = tiny_stream(), TripletObjective(settings, FORM)
    drawn = draw(settings, dataset)
    optimiser = torch.optim.Adam(stream.encoder.parameters(), 3e-3)
    losses = []
    for step in range(12):
        torch.manual_seed(step)
        loss = objective(stream, drawn(step))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.5 * losses[0]


def test_a_step_is_the_same_whenever_it_is_taken() -> None:
    settings = TripletSettings()
    objective, drawn = TripletObjective(settings, FORM), draw(settings, held(300, 200, 96, 40))

    def losses(steps: list[int]) -> dict[int, float]:
        stream, found = tiny_stream(), {}
        for step in steps:
            torch.manual_seed(step)
            found[step] = objective(stream, drawn(step))["loss"].item()
        return found

    assert losses([0, 1, 2]) == losses([2, 0, 1])


def test_positives_are_made_from_energies_by_each_row_s_sampler() -> None:
    settings = TripletSettings()
    batch = draw(settings, held(300, 200, 96, 40), batch=64)(0)
    anchors, seconds = FORM.restore(batch["anchor"]), FORM.restore(batch["positive"])
    torch.manual_seed(0)
    positives, _ = TripletObjective(settings, FORM)._positives(anchors, batch)
    total = (positives / anchors.sum(dim=(1, 2), keepdim=True)).sum(dim=(1, 2))
    for number, name in enumerate(SAMPLERS[:4]):
        rows = batch["sampler"] == number
        assert rows.any()
        if name == "noise":
            assert (positives[rows] >= anchors[rows]).all()
        elif name == "translation":
            assert (total[rows] <= 1.0001).all()
        elif name == "mixing":
            torch.testing.assert_close(total[rows], torch.full_like(total[rows], 1.25))
        else:
            assert torch.equal(positives[rows], seconds[rows])


def test_mel_energies_need_a_log_mel_front_end_and_positives_a_form_that_they_are_made_in() -> None:
    stream = tiny_stream()
    stream.frontend = PeakMap.verma()
    settings = TripletSettings()
    with pytest.raises(ValueError, match=r"frames of mel energies are for a front-end such as .*, this one is PeakMap"):
        TripletObjective(settings, FORM)(stream, draw(settings, held(200, 200))(0))
    with pytest.raises(ValueError, match="made of energies or waveforms, and not of what Represented stores"):
        TripletObjective(settings, Represented(PeakMap.verma(), seconds=1.0))


def seconds_of_samples(*counts: int) -> FeatureDataset:
    """Clips of so many seconds: a tone each, and noise."""
    form = Samples(16000)
    generator = np.random.default_rng(0)
    time = np.arange(16000 * max(counts)) / 16000
    rows = [
        form.keep_blocks(
            [
                (0.3 * np.sin(2 * np.pi * 150 * (2 + clip) * time) + 0.02 * generator.normal(size=len(time)))[
                    : 16000 * count
                ].astype(np.float32)
            ]
        )
        for clip, count in enumerate(counts)
    ]
    lengths = np.array([len(each) for each in rows])
    return FeatureDataset(form, np.concatenate(rows), np.cumsum(lengths) - lengths, lengths, {}, fresh=0, seconds=0.0)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", ["pitch", "timbre", "waveform", "neuralogram", "notes"])
def test_every_sampler_trains_streams_of_any_front_end(name: str, sampler: str) -> None:
    settings = TripletSettings(**only(sampler), margin=1.0)
    dataset = seconds_of_samples(3, 2, 2, 1, 2)
    labels = np.eye(2, dtype=bool)[[0, 1, 0, 1, 0]] if sampler == "labelled" else None
    stream = build_stream(name, 0, name).train()
    drawn = draw(settings, dataset, batch=6, labels=labels, frames=100)
    torch.manual_seed(0)
    told = TripletObjective(settings, dataset.form)(stream, drawn(0))
    told["loss"].backward()
    assert told["positive distance"] > 0, "a positive is not its anchor"
    gradients = [weight.grad for weight in stream.encoder.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert all(weight.grad is None for weight in stream.frontend.parameters()), "a front-end does not learn"


# --- several processes


def gathered_gradient(rank: int, folder: str) -> None:
    """One of two processes that each hold half of the batch; leaves its loss and gradient behind."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    anchors, positives = unit(8, seed=1).chunk(2)
    half = slice(2 * rank, 2 * rank + 2)
    mine = torch.cat([anchors[half], positives[half]]).requires_grad_()
    told = TripletObjective(TripletSettings(margin=3.9), FORM).loss(mine, known([[r, r] for r in (0, 1, 2, 3)[half]]))
    told["loss"].backward()
    torch.save({"loss": told["loss"].detach(), "gradient": mine.grad}, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_learn_what_one_with_the_whole_batch_learns(tmp_path: Path) -> None:
    multiprocessing.spawn(gathered_gradient, args=(str(tmp_path),), nprocs=2)
    whole = unit(8, seed=1).requires_grad_()
    told = TripletObjective(TripletSettings(margin=3.9), FORM).loss(whole, known([[r, r] for r in range(4)]))
    told["loss"].backward()
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert (found[0]["loss"] + found[1]["loss"]).item() / 2 == pytest.approx(told["loss"].item(), rel=1e-6)
    # Data-parallel training averages the processes' gradients.
    parts = [each["gradient"].chunk(2) for each in found]
    assert whole.grad is not None
    torch.testing.assert_close(torch.cat([parts[0][0], parts[1][0], parts[0][1], parts[1][1]]) / 2, whole.grad)


# --- draws


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    dataset = held(500, 300, 96, 40)
    first, second = draw(TripletSettings(), dataset), draw(TripletSettings(), dataset)
    for step in (5, 0, 3):
        one, two = first(step), second(step)
        assert one.keys() == {"anchor", "positive", "sampler", "recordings"}
        assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(first(0)["anchor"], first(1)["anchor"])
    other = triplet_sampler(TripletSettings(), dataset, files(4), np.arange(4), 16, 1)
    assert not torch.equal(first(0)["anchor"], other(0)["anchor"])


def finder(dataset: FeatureDataset) -> Callable[[Tensor], list[tuple[int, int]]]:
    """What finds the clip and first row of each window, by its first row; all rows differ."""
    known = {
        dataset.take(np.array([clip]), np.array([row]), 1).numpy().tobytes(): (clip, row)
        for clip, length in enumerate(dataset.lengths)
        for row in range(length)
    }

    def places(windows: Tensor) -> list[tuple[int, int]]:
        found = [known[window[0].numpy().tobytes()] for window in windows]
        for (clip, row), window in zip(found, windows, strict=True):
            assert torch.equal(dataset.take(np.array([clip]), np.array([row]), 96)[0], window)
        return found

    return places


def test_anchors_are_whole_aligned_windows_each_as_likely() -> None:
    dataset = held(96 * 3 + 50, 100, 20)
    places = finder(dataset)
    drawn = draw(TripletSettings(**only(*MADE)), dataset, batch=100)
    counts: dict[tuple[int, int], int] = {}
    for step in range(5):
        batch = drawn(step)
        assert torch.equal(batch["anchor"], batch["positive"])
        for place in places(batch["anchor"]):
            counts[place] = counts.get(place, 0) + 1
    assert counts.keys() == {(0, 0), (0, 96), (0, 192), (1, 0), (2, 0)}
    assert max(abs(count - 100) for count in counts.values()) < 40


def test_anywhere_reaches_every_row_and_never_beyond_the_clip() -> None:
    dataset = held(96 * 2 + 10, 100, 20)
    places = finder(dataset)
    drawn = draw(TripletSettings(**only(*MADE), grid="anywhere"), dataset, batch=100)
    found = {place for step in range(8) for place in places(drawn(step)["anchor"])}
    assert {start for clip, start in found if clip == 1} == set(range(5))
    assert {start for clip, start in found if clip == 2} == {0}
    starts = {start for clip, start in found if clip == 0}
    assert len(starts) > 80
    assert max(starts) <= 106


@pytest.mark.parametrize("grid", ["aligned", "anywhere"])
@pytest.mark.parametrize("delta_t", [None, 2.0])
def test_proximity_pairs_are_of_a_recording_apart_and_not_farther_than_the_limit(
    grid: str, delta_t: float | None
) -> None:
    dataset = held(96 * 5, 96 * 2 + 30, 150, 20)
    settings = TripletSettings(**only("proximity"), grid=grid, delta_t=delta_t)  # type: ignore[arg-type]
    places = finder(dataset)
    drawn = draw(settings, dataset, batch=40)
    distances = set()
    for step in range(5):
        batch = drawn(step)
        anchors, positives = places(batch["anchor"]), places(batch["positive"])
        for (clip, start), (other, second) in zip(anchors, positives, strict=True):
            assert clip == other
            distances.add(abs(start - second))
    assert min(distances) == 96
    assert max(distances) == (96 * 4 if delta_t is None else 192)


def test_clips_of_a_file_are_one_recording_each_at_its_time() -> None:
    # Three clips of a file, at 0, 1.5 and 60 s, the first two overlapping; and another file.
    dataset = held(200, 100, 96, 192)
    recordings = Recordings(numbers=np.array([0, 0, 0, 1]), begins=np.array([0.0, 1.5, 60.0, 0.0]))
    places = finder(dataset)
    drawn = draw(TripletSettings(**only("proximity"), delta_t=30.0), dataset, recordings=recordings, batch=60)
    batch = drawn(0)
    pairs = set(zip(places(batch["anchor"]), places(batch["positive"]), strict=True))
    # (0, 96) and (1, 0) overlap, and (2, 0) is too far from all.
    own = {frozenset({(0, 0), (0, 96)}), frozenset({(0, 0), (1, 0)})}
    assert {frozenset(pair) for pair in pairs} == {*own, frozenset({(3, 0), (3, 96)})}


def test_recordings_are_files_whatever_the_groups() -> None:
    table = clip_table(
        ["/b.wav", "/a.wav", "/b.wav"], ["x", "x", "y"], starts=[None, None, 2.5], groups=["g", "g", "h"]
    )
    corpus = Corpus(name="c", root=Path("/"), task="single-label", classes=("x", "y"), table=table)
    found = Recordings.of(corpus)
    assert found.numbers.tolist() == [1, 0, 1]
    assert found.begins.tolist() == [0, 0, 2.5]


def test_a_recording_of_hours_leaves_room_for_the_negatives_beside_it() -> None:
    rows = 360_000 * 3
    dataset = FeatureDataset(
        FORM,
        np.broadcast_to(np.uint16(40_000), (rows + 200, 64)),
        np.array([0, rows]),
        np.array([rows, 200]),
        {},
        fresh=0,
        seconds=0.0,
    )
    drawn = draw(TripletSettings(delta_t=60.0), dataset, batch=8)
    assert len(drawn) == rows // 96 + 2
    batch = drawn(3)
    assert batch["anchor"].shape == (8, 96, 64)
    assert batch["recordings"][:, 0].unique().tolist() == [0, 1]


def test_labelled_pairs_are_two_clips_of_a_class_each_class_as_likely() -> None:
    # Class 0 has ten clips, class 1 two, class 2 one, which has no pair.
    classes = [0] * 10 + [1] * 2 + [2]
    dataset = held(*[96] * 13)
    labels = np.eye(3, dtype=bool)[classes]
    places = finder(dataset)
    drawn = draw(TripletSettings(**only("labelled")), dataset, batch=100, labels=labels)
    batch = drawn(0)
    anchors = np.array([clip for clip, _ in places(batch["anchor"])])
    positives = np.array([clip for clip, _ in places(batch["positive"])])
    assert (anchors != positives).all()
    chosen = np.array(classes)[anchors]
    assert (chosen == np.array(classes)[positives]).all()
    assert set(chosen) == {0, 1}
    assert abs((chosen == 1).sum() - 50) < 20
    assert torch.equal(batch["labels"][:, 0], torch.from_numpy(labels[anchors]))
    assert set(anchors[chosen == 0]) == set(range(10))


def test_mixtures_have_the_weights_as_shares() -> None:
    settings = TripletSettings(noise=3, translation=1, mixing=0, proximity=4)
    assert settings.shares == {"noise": 0.375, "translation": 0.125, "proximity": 0.5}
    drawn = draw(settings, held(300, 300, 300), batch=2000)
    counts = drawn(0)["sampler"].bincount(minlength=5) / 2000
    assert counts.tolist() == pytest.approx([0.375, 0.125, 0, 0.5, 0], abs=0.04)


def test_clips_left_out_and_clips_not_heard_are_not_drawn() -> None:
    dataset = held(96, 0, 96, 96)
    drawn = triplet_sampler(TripletSettings(**only("noise")), dataset, files(4), np.array([0, 1, 2]), 200, 0)
    assert len(drawn) == 2
    assert drawn(0)["recordings"].unique().tolist() == [0, 2]


def test_a_small_batch_of_two_recordings_always_has_negatives() -> None:
    drawn = draw(TripletSettings(**only("noise")), held(96, 96), batch=2)
    assert all(drawn(step)["recordings"][:, 0].unique().tolist() == [0, 1] for step in range(30))


@pytest.mark.parametrize(
    ("settings", "lengths", "labels", "message"),
    [
        ({}, [960], None, "windows are of one recording, and negatives come from another: add files"),
        ({}, [100, 100, 50], None, "no recording has two windows of 0.96 s, which the proximity sampler pairs"),
        ({"delta_t": 0.9}, [960, 960], None, "no recording has two windows of 0.96 s that begin less than 0.9 s"),
        ({}, [0, 0], None, "none of the 2 training clips could be decoded"),
        (only("labelled"), [96, 96], None, "labelled sampler has the share 1.00, and there are no labels"),
        (only("labelled"), [96, 96], [0, 0], r"needs two classes, .* 1 class\(es\)"),
        (only("labelled"), [96, 96], [0, 1], r"2 class\(es\), 0 of two clips"),
    ],
)
def test_corpora_that_cannot_be_learned_from(
    settings: dict[str, float], lengths: list[int], labels: list[int] | None, message: str
) -> None:
    classes = None if labels is None else np.eye(2, dtype=bool)[labels]
    with pytest.raises(CorpusError, match=message):
        draw(TripletSettings(**settings), held(*lengths), labels=classes)  # type: ignore[arg-type]


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="batch must be at least 2, got 1"):
        draw(TripletSettings(), held(200, 200), batch=1)


def test_a_corpus_whose_classes_all_overlap_is_given_up() -> None:
    labels = np.array([[True, True], [True, False], [True, True]])
    with pytest.raises(CorpusError, match="100 draws of 16 anchors in a row had an anchor without a negative"):
        draw(TripletSettings(**only("labelled")), held(96, 96, 96), labels=labels)(0)


# --- settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"margin": -0.1}, "margin must be at least 0 and below 4, got -0.1"),
        ({"margin": math.nan}, "margin must be at least 0"),
        ({"mining": "soft"}, "mining is one of semi-hard, hardest, none, got 'soft'"),
        ({"grid": "random"}, "grid is 'aligned' or 'anywhere', got 'random'"),
        ({"sigma": 0.0}, "sigma must be above 0, got 0.0: else positives equal their anchors"),
        ({"alpha": -1.0}, "alpha must be above 0"),
        ({"shift": -1}, "shift must be 0 or more bins, got -1"),
        ({"delta_t": 0.0}, "delta_t must be above 0 seconds, or None for any distance, got 0.0"),
        ({"noise": -1.0}, "sampler weights must be 0 or more and not all 0"),
        ({"noise": 0.0, "translation": 0.0, "mixing": 0.0, "proximity": 0.0}, "not all 0"),
    ],
)
def test_settings_say_what_is_wrong_with_them(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TripletSettings(**wrong)  # type: ignore[arg-type]


def test_the_defaults_are_the_paper_s_joint_model() -> None:
    settings = TripletSettings()
    assert (settings.sigma, settings.shift, settings.alpha, settings.delta_t) == (0.5, 10, 0.25, None)
    assert settings.shares == dict.fromkeys(("noise", "translation", "mixing", "proximity"), 0.25)


def test_only_names_samplers_that_there_are() -> None:
    assert TripletSettings(**only("mixing")).shares == {"mixing": 1.0}
    with pytest.raises(ValueError, match=r"no sampler \['echo'\]: choose from noise, translation"):
        only("echo")
