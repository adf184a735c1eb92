"""Clips decoded once and kept as objectives want them.

    form = MelEnergies(LogMel.jansen())
    dataset = prepare(corpus, form)
    clips, starts = dataset.windows(96, 96)
    energies = dataset.restore(dataset.take(clips[:256], starts[:256], 96))

Learning draws from every clip hundreds of times, and decoding, resampling and transforming take far longer than
copying what came of them (``python -m benchmarks.preparing``). So a corpus is prepared once, in a *form*
(`MelEnergies`, `Represented`, `Samples`), in the user's cache, where it is shared by all corpora and runs.

Not for measuring models: they hear the files themselves (``evaluation``).
"""

from soundloom.feature_cache.build import CacheProgress, prepare
from soundloom.feature_cache.dataset import FeatureDataset
from soundloom.feature_cache.errors import FeatureCacheError
from soundloom.feature_cache.formats import Form, MelEnergies, Represented
from soundloom.feature_cache.waveform_format import Samples

__all__ = [
    "CacheProgress",
    "FeatureCacheError",
    "FeatureDataset",
    "Form",
    "MelEnergies",
    "Represented",
    "Samples",
    "prepare",
]
