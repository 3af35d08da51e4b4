"""The error for a text that is no action."""


class FormatError(ValueError):
    """The text is no action. The message is one sentence that tells the model the expected form."""
