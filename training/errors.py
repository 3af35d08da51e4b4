"""Errors that stop an update, bugs apart: each message is one sentence for the person who gave the input.

UpdateError
├── BadInput          a file or an argument of the update (training.learning.update_inputs)
├── SampleError       a stored step that must not be trained on (training.sampling.samples)
├── CheckpointError   a checkpoint that can't be read or written (training.checkpointing.checkpoints)
├── ModelError        a model directory or picture that does not fit the samples (training.learning.models)
├── Alarmed           an alarm that `update.alarms: stop` heeds (training.learning.alarms)
└── Diverged          training that gave numbers that are not finite (training.learning.divergence, training.learning.report)
"""


class UpdateError(ValueError):
    """Root of the tree; the update's command exits with code 2 for it."""


class BadInput(UpdateError):
    """A file or an argument from the caller can't be used."""


class SampleError(UpdateError):
    """A stored step that must not be trained on. The message names trajectory and step."""


class CheckpointError(UpdateError):
    """A checkpoint that can't be read or written. The message has the path and the remedy."""


class ModelError(UpdateError):
    """A model directory, an optimiser state or a picture that does not fit. The message names it."""


class Diverged(UpdateError):
    """Weights, metrics or log-probabilities that are not finite. The message names them, and nothing is written."""


class Alarmed(UpdateError):
    """An alarm was raised, and `update.alarms` is `stop`. The message has its sentence and the way on."""
