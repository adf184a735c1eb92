"""Reductions: principal components against scikit-learn's, and streams that end with one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

import soundloom
from soundloom.embedder import Reduction, Stream, Woven
from soundloom.encoders import Identity
from soundloom.errors import ModelError
from soundloom.frontends import LogMel, Texture
from soundloom.models.saved_model import from_pretrained, save_pretrained


def sounds(count: int = 200, wide: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(wide, wide, generator=generator)
    return torch.randn(count, wide, generator=generator) @ mixing + 5


def test_it_is_principal_components_of_standardised_numbers() -> None:
    values = sounds()
    standard = ((values - values.mean(0)) / values.std(0, correction=0)).numpy()
    ours = Reduction.fit(values, 6)(values).numpy()
    theirs = PCA(6, whiten=True).fit_transform(standard)
    theirs *= np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs * np.sqrt(200 / 199), atol=1e-3)


def test_half_whitening_and_length() -> None:
    values = sounds()
    raw, half = (Reduction.fit(values, 6, whiten=power)(values) for power in (0.0, 0.5))
    torch.testing.assert_close(half.std(0, correction=0).square(), raw.std(0, correction=0), rtol=1e-3, atol=1e-3)
    scaled = Reduction.fit(values, 6, whiten=0.75, length=0.3)(values)
    assert float(scaled.square().sum(dim=1).mean().sqrt()) == pytest.approx(0.3, rel=1e-4)


def test_characteristic_functions_have_the_inner_products_of_the_distributions() -> None:
    shares = sounds().softmax(dim=1).double()
    bins = shares.shape[1]
    reduction = Reduction.characteristic(shares.float(), length=0.3)
    assert reduction.size == (bins, 2 * bins)
    mapped = reduction(shares.float()).double()
    assert float(mapped.square().sum(dim=1).mean().sqrt()) == pytest.approx(0.3, rel=1e-4)
    centred = shares - shares.mean(dim=0)
    products = mapped @ mapped.T
    torch.testing.assert_close(
        products / products.diagonal().mean(), (expected := centred @ centred.T) / expected.diagonal().mean(),
        atol=1e-4, rtol=1e-3,
    )  # fmt: skip
    # The definition, one sound and one frequency at a time.
    values = [
        sum(share * np.exp(2j * np.pi * (2 * k - 1) / (4 * bins) * bin_) for bin_, share in enumerate(sound))
        for sound in shares[:3].numpy()
        for k in (1, 5, bins)
    ]
    theirs = np.array(values).reshape(3, 3)
    ours = (reduction.matrix @ shares[:3].float().T).T.numpy()
    unit = 1 / np.abs(reduction.matrix.numpy()[:, 0]).max()
    found = unit * (ours[:, [0, 4, bins - 1]] + 1j * ours[:, [bins, bins + 4, 2 * bins - 1]])
    np.testing.assert_allclose(found, theirs, atol=1e-4)


def test_directions_in_which_copies_differ_are_made_shorter() -> None:
    values = sounds()
    reduction = Reduction.fit(values, 6, length=2.0)
    own = reduction(values)
    generator = torch.Generator().manual_seed(1)
    nuisance = torch.nn.functional.normalize(torch.randn(6, generator=generator), dim=0)
    kinds = [own + torch.randn(len(own), 1, generator=generator) * size * nuisance for size in (0.5, 1.0)]
    steadied = reduction.steadied(own, torch.stack(kinds), 4.0)
    assert steadied.size == reduction.size
    new = steadied(values)
    assert float(new.square().sum(dim=1).mean().sqrt()) == pytest.approx(2.0, rel=1e-4)
    # The definition: products under (I + 4 W / v)^-1, in NumPy.
    differences = [(kind - own).double().numpy() for kind in kinds]
    spread = sum(each.T @ each / len(own) for each in differences) / own.double().numpy().var(axis=0).mean()
    expected = own.double().numpy() @ np.linalg.inv(np.eye(6) + 4 * spread) @ own.double().numpy().T
    products = (new @ new.T).double().numpy()
    np.testing.assert_allclose(products / np.trace(products), expected / np.trace(expected), atol=1e-5)
    along, before = (float((rows @ nuisance).std() / rows.std(dim=0).mean()) for rows in (new, own))
    assert along < 0.6 * before
    torch.testing.assert_close(reduction.steadied(own, torch.stack(kinds), 0.0).matrix, reduction.matrix)


def test_sounds_of_the_same_shares_have_no_characteristic_length() -> None:
    with pytest.raises(ValueError, match="same shares"):
        Reduction.characteristic(torch.full((5, 8), 1 / 8), length=1.0)


def test_too_few_directions_are_refused() -> None:
    flat = sounds()[:, :3].repeat(1, 4)
    with pytest.raises(ValueError, match="fewer than 5 directions"):
        Reduction.fit(flat, 5)


def test_a_constant_number_counts_for_nothing() -> None:
    values = torch.cat([sounds(), torch.full((200, 1), 7.0)], dim=1)
    torch.testing.assert_close(
        Reduction.fit(values, 4)(values), Reduction.fit(sounds(), 4)(sounds()), atol=1e-3, rtol=1e-3
    )


@pytest.fixture
def reduced() -> Stream:
    stream = Stream("texture", Texture(), Identity(), layers=(1,), pooling="mean,deviation").eval()
    generator = torch.Generator().manual_seed(2)
    noise = 0.1 * torch.randn(40, 24000, generator=generator) * torch.linspace(0.1, 2, 40)[:, None]
    with torch.inference_mode():
        return stream.with_reduction(Reduction.fit(stream(noise), 8)).eval()


def test_a_reduced_stream_embeds_and_saves(reduced: Stream, tmp_path: Path) -> None:
    sound = 0.1 * torch.randn(30000, generator=torch.Generator().manual_seed(3))
    embedding = reduced.embed(sound)
    assert embedding.shape == (reduced.dim,) == (8,)
    frames, times = reduced.embed_frames(sound)
    assert frames.shape == (len(times), 8)
    again = from_pretrained(
        save_pretrained(
            Woven([reduced, soundloom.load("logmel")], "two", {"texture": 0.5}, ["texture"]), tmp_path / "m"
        )
    )
    assert (again.name, dict(again.balance), again.centred) == ("two", {"texture": 0.5}, ("texture",))
    assert np.array_equal(again.embed(sound)[:8], embedding)


def test_a_frame_is_the_embedding_of_that_frame_alone(reduced: Stream) -> None:
    sound = 0.1 * torch.randn(15600, generator=torch.Generator().manual_seed(4))
    frames, _ = reduced.embed_frames(sound)
    assert len(frames) == 1
    np.testing.assert_allclose(frames[0], reduced.embed(sound), atol=1e-4)


def test_a_reduction_of_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match="the reduction takes 7 numbers, the pooled embedding has 64"):
        Stream("x", LogMel.jansen(), Identity(), layers=(1,), pooling="mean", reduction=Reduction(7, 2))


@pytest.mark.parametrize("size", [[3], [0, 2]])
def test_a_damaged_size_is_told(reduced: Stream, tmp_path: Path, size: list[int]) -> None:
    import json

    folder = save_pretrained(reduced, tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config["parts"][0]["reduction"] = size
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"reduction is from how many"):
        from_pretrained(folder)


@pytest.mark.parametrize("balance", [{"nobody": 1.0}, {"logmel": 0.0}, {"mfcc": float("inf")}])
def test_a_balance_of_no_part_is_refused(balance: dict[str, float]) -> None:
    with pytest.raises(ModelError, match="balance is a number above 0"):
        Woven([soundloom.load("logmel"), soundloom.load("mfcc")], balance=balance)


def test_a_centred_part_that_is_none_is_refused() -> None:
    with pytest.raises(ModelError, match="centred names parts, of logmel, mfcc; got nobody"):
        Woven([soundloom.load("logmel"), soundloom.load("mfcc")], centred=["nobody"])


def test_weaving_keeps_which_parts_are_centred(reduced: Stream) -> None:
    pair = Woven([reduced, soundloom.load("logmel")], centred=["texture"])
    assert Woven([pair, soundloom.load("mfcc")]).centred == ("texture",)


def test_a_saved_model_is_built_without_embedding_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, reduced = LogMel.jansen(), Reduction(128, 3)
    kinds = [
        Stream("plain", plain, Identity(), layers=(1,), pooling="mean"),
        Stream("reduced", LogMel.jansen(), Identity(), layers=(1,), pooling="mean,max", reduction=reduced),
    ]
    save_pretrained(Woven(kinds), tmp_path / "m")
    monkeypatch.setattr(Stream, "_measured_fused_dim", None)
    model = from_pretrained(tmp_path / "m")
    assert [(stream.fused_dim, stream.dim) for stream in model.streams] == [(64, 64), (64, 3)]
    earlier = (tmp_path / "m" / "config.json").read_text().replace('"fused_dim": 64', '"fused_dim": null')
    monkeypatch.undo()
    (tmp_path / "m" / "config.json").write_text(earlier)
    assert from_pretrained(tmp_path / "m").fingerprint() == model.fingerprint()


def test_a_model_whose_settings_declare_another_size_is_refused(tmp_path: Path) -> None:
    save_pretrained(Stream("x", LogMel.jansen(), Identity(), layers=(1,), pooling="mean"), tmp_path)
    config = tmp_path / "config.json"
    config.write_text(
        config.read_text().replace('"fused_dim": 64', '"fused_dim": 63').replace('"dim": 64', '"dim": 63')
    )
    with pytest.raises(ModelError, match="a fused frame has 64 numbers, and 63 were declared"):
        from_pretrained(tmp_path).embed(np.zeros(16000, np.float32))
