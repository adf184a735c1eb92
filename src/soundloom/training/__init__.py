"""The trainer: any stream with any objective, on any devices, stopped and resumed without a trace.

    settings    how long, how fast, on what: TrainingSettings
    flat        settings in sections <-> flat names: flags, YAML
    optimiser   what makes weights of gradients
    schedule    the learning rate as a function of the step
    randomness  what chance is drawn from, as a function of the step
    loading     batches, ready before they are wanted
    checkpoints the state of a run in a file: whole or not at all
    records     metrics.csv, TensorBoard
    curves      the metrics as a picture
    run         a run's folder
    progress    how far, how fast, how long
    devices     where to compute
    loop        fit

Lightning's Fabric moves things to devices, casts, and adds up gradients of several processes; the loop is ours, because
a run that is to end with the same weights wherever it was stopped must hold no state that is not in its checkpoint.
"""

from soundloom.training.loop import Validation, fit
from soundloom.training.progress import TrainingProgress
from soundloom.training.run import Run
from soundloom.training.settings import TrainingError, TrainingSettings

__all__ = ["Run", "TrainingError", "TrainingProgress", "TrainingSettings", "Validation", "fit"]
