"""What an update can be stopped by, short of a bug: each is one sentence for the person who gave the input.

UpdateError
├── BadInput          a file or an argument of the update (training.update_inputs)
├── SampleError       a stored step that must not be trained on (training.samples)
├── CheckpointError   a checkpoint that can't be read or written (training.checkpoints)
├── ModelError        a model directory or picture that does not fit the samples (training.models)
└── Diverged          training that gave numbers which are not finite (training.divergence, training.report)
"""


class UpdateError(ValueError):
    """Root of the tree; the update's command turns it into exit code 2."""


class BadInput(UpdateError):
    """Something the caller gave can't be used."""


class SampleError(UpdateError):
    """A stored step that must not be trained on. The message names trajectory and step."""


class CheckpointError(UpdateError):
    """A checkpoint that can't be read or written. The message has the path and what to do."""


class ModelError(UpdateError):
    """A model directory, its optimiser's state, or a picture, that does not fit. The message says which."""


class Diverged(UpdateError):
    """Training gave weights, metrics or log-probabilities that are not finite. The message says what, and nothing is written."""
