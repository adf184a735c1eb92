"""Published models as the papers' own code measured them: the variants beside which published scores stand.

The models of `soundloom.models.zoo` embed all of a sound and weigh its rest, as a library needs it. The code that the
papers' tables come from differs, and so do its embeddings; each of these names is that code's arithmetic.

    vggish-niizumi    Niizumi 2022: mean plus maximum over examples, an incomplete example left out
    cnn14-niizumi     Niizumi 2022: the whole clip at once; layers max-pooled by kernels of 16, 8, 4 and 2
    ast-niizumi       Niizumi 2022: the mean of the two special tokens; the clip at its own length, up to a minute;
                      normalised by the mean and deviation of the task's training clips (`task_statistics`), which
                      `soundloom.evaluate` sees to
    coala-evar        EVAR, the evaluation package of Niizumi 2022: as coala-favory, mean plus maximum over patches
    coala-favory      Favory 2020: filled to ten seconds, faint noise added, the mean of four patches
    mfcc-favory       Favory 2020: 22,000 Hz, differences over five frames, mean and variance; its text says deviation,
                      which is mfcc-favory-deviation

All of COALA's published names, `coala` too, read a patch as its code does: frequency x time, its frames scaled by the
ranges that scikit-learn found of columns.

Sources: nttcslab/composing-general-audio-repr and nttcslab/eval-audio-repr; xavierfav/coala. COALA's code draws noise
anew for every sound; here it is always the same.

When not: for search, where a sound's rest counts, and no corpus says which statistics to normalise by.
"""

from __future__ import annotations

from soundloom.embedder import Stream, Window
from soundloom.encoders import AST, CNN14, ASTSettings, CNN14Settings, COALAAudioEncoder, Identity, VGGish
from soundloom.frontends import MFCC, Fbank, FbankSettings, LogMel, PaddedFrontend
from soundloom.models.model_registry import published_stream, register_model
from soundloom.models.names import PartName
from soundloom.models.weights.weight_source import WeightSource
from soundloom.models.zoo import cnn14_stream, coala_encoder

__all__ = [
    "ast_niizumi",
    "cnn14_niizumi",
    "coala_evar",
    "coala_favory",
    "mfcc_favory",
    "mfcc_favory_deviation",
    "vggish_niizumi",
]

_NIIZUMI = "as measured by Niizumi 2022, table III"


@register_model(
    "vggish-niizumi",
    title="VGGish, mean plus maximum over whole examples; layers as vggish-niizumi#10#15",
    source=f"Hershey 2017, {_NIIZUMI}",
    layers=VGGish.available,
    checkpoint="vggish",
)
def vggish_niizumi(part: PartName, source: WeightSource) -> Stream:
    """VGGish as Niizumi 2022 measured it, fused or not."""
    encoder = VGGish()
    source.fill(part.word, encoder, "vggish")
    window = Window(frames=96, fixed=True, drop=True)
    return published_stream(part, LogMel.vggish(), encoder, window, pooling="mean+max")


@register_model(
    "cnn14-niizumi",
    title="CNN14 at 16 kHz, a clip at once, fixed pooling kernels; layers as cnn14-niizumi#3#6",
    source=f"Kong 2020 (PANNs), {_NIIZUMI}",
    layers=CNN14.available,
    checkpoint="cnn14-16k",
)
def cnn14_niizumi(part: PartName, source: WeightSource) -> Stream:
    """CNN14 as Niizumi 2022 measured it, fused or not."""
    return cnn14_stream(part, source, CNN14(CNN14Settings(common_rate=True)), 16000, None)


@register_model(
    "ast-niizumi",
    title="AST, a clip at its own length, the mean of both special tokens; layers as ast-niizumi#5#12",
    source=f"Gong 2021, {_NIIZUMI}",
    layers=range(1, 13),
    checkpoint="ast",
)
def ast_niizumi(part: PartName, source: WeightSource) -> Stream:
    """AST as Niizumi 2022 measured it, fused or not; normalised by AudioSet's statistics until given a task's."""
    settings = ASTSettings(layer_token="mean")
    encoder, frontend = AST(settings), Fbank(FbankSettings(of_task=True))
    source.fill(part.word, encoder, "ast")
    framing = frontend.framing.settings
    shortest = framing.win_length + (settings.patch - 1) * framing.hop_length
    return published_stream(part, frontend, encoder, None, min_samples=shortest)


@register_model(
    "coala-favory",
    title="COALA's audio encoder on ten seconds, the mean of four patches",
    source="Favory 2020, as its published code measures it, table 1",
    layers=COALAAudioEncoder.available,
    checkpoint="coala-audio",
)
def coala_favory(part: PartName, source: WeightSource) -> Stream:
    """COALA's audio encoder as its own code evaluates it."""
    return _coala(part, source, "mean")


@register_model(
    "coala-evar",
    title="COALA's audio encoder on ten seconds, mean plus maximum of four patches",
    source="Favory 2020, as measured by EVAR (nttcslab/eval-audio-repr)",
    layers=COALAAudioEncoder.available,
    checkpoint="coala-audio",
)
def coala_evar(part: PartName, source: WeightSource) -> Stream:
    """COALA's audio encoder as EVAR, the evaluation package of Niizumi 2022, measures it."""
    return _coala(part, source, "mean+max")


def _coala(part: PartName, source: WeightSource, pooling: str) -> Stream:
    frontend, encoder = PaddedFrontend.favory(), coala_encoder(part, source)
    return published_stream(part, frontend, encoder, Window(frames=96, fixed=True, drop=True), pooling=pooling)


@register_model(
    "mfcc-favory",
    title="mean and variance of 20 MFCC at 22 kHz with differences over five frames",
    source="baseline of Favory 2020, as its published code measures it, table 1; nothing to train",
    layers=(),
    licence="MIT",
)
def mfcc_favory() -> Stream:
    """The MFCC baseline of Favory 2020, as its code computes it."""
    return Stream("mfcc-favory", MFCC.favory(), Identity(), layers=(1,), pooling="mean,variance")


@register_model(
    "mfcc-favory-deviation",
    title="mean and deviation of 20 MFCC at 22 kHz with differences over five frames",
    source="baseline of Favory 2020, as its section 3.1 says; nothing to train",
    layers=(),
    licence="MIT",
)
def mfcc_favory_deviation() -> Stream:
    """The MFCC baseline of Favory 2020, as its text says."""
    return Stream("mfcc-favory-deviation", MFCC.favory(), Identity(), layers=(1,), pooling="mean,deviation")
