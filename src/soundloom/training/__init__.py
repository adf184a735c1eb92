"""The trainer: any stream with any objective, on any devices; a resumed run ends with the same weights.

    settings    how long, how fast, on what: TrainingSettings
    flat_config nested settings <-> flat names: flags, YAML
    optimiser   Adam, AdamW, SGD
    schedule    the learning rate of a step
    seeds       the random seed of a step
    prefetch    batches, drawn in the background
    state       state of a run as plain data
    checkpoints the state of a run in a file
    metrics_log metrics.csv, TensorBoard
    curves      a plot of the metrics
    run_folder  a run's folder
    progress    steps, throughput, time left
    devices     processors and GPUs
    loop        fit

Lightning's Fabric moves tensors to devices, casts, and averages gradients over processes. The loop is our own, because
a run that ends with the same weights wherever it was stopped must have no state outside its checkpoint.
"""

from soundloom.training.loop import Validation, fit
from soundloom.training.progress import TrainingProgress
from soundloom.training.run_folder import Run
from soundloom.training.settings import TrainingError, TrainingSettings

__all__ = ["Run", "TrainingError", "TrainingProgress", "TrainingSettings", "Validation", "fit"]
