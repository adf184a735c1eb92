"""Feature cache: clips decoded once and stored in the form that training draws from.

    form = MelEnergies(LogMel.jansen())
    dataset = prepare(corpus, form)
    clips, starts = dataset.windows(96, 96)
    energies = dataset.restore(dataset.take(clips[:256], starts[:256], 96))

Learning draws from every clip hundreds of times, and decoding, resampling and transforming take far longer than
copying what came of them (``python -m benchmarks.preparing``). So a corpus is prepared once, in a *form*
(`MelEnergies`, `Represented`, `Samples`), in the user's cache, where it is shared by all corpora and runs.

Not for evaluation, which decodes the files itself (``evaluation``).
"""

from soundloom.errors import FeatureCacheError
from soundloom.feature_cache.dataset import CacheProgress, FeatureDataset, prepare
from soundloom.feature_cache.formats import CHUNK_SECONDS, Form, MelEnergies, Represented, form_of
from soundloom.feature_cache.waveform_format import Samples, editable_form_of

__all__ = [
    "CHUNK_SECONDS",
    "CacheProgress",
    "FeatureCacheError",
    "FeatureDataset",
    "Form",
    "MelEnergies",
    "Represented",
    "Samples",
    "editable_form_of",
    "form_of",
    "prepare",
]
