"""The triplet loss against equation 1 in loops, its mining against Schroff's words, and the draws that feed it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor, multiprocessing
from torch.nn import functional

from helpers.tiny_encoder import Tiny
from helpers.triplets import FORM, draw, held, known
from soundloom.embedder import Stream, Window
from soundloom.feature_cache import FeatureDataset, Represented, Samples
from soundloom.frontends import LogMel, PeakMap
from soundloom.objectives import TripletObjective, TripletSettings, only
from soundloom.objectives.samplers import SAMPLERS
from soundloom.recipes.architectures import build_stream


def tiny_stream() -> Stream:
    torch.manual_seed(0)
    return Stream("tiny", LogMel.jansen(), Tiny(), layers=None, pooling="mean", window=Window(frames=96, fixed=True))


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
