"""What a text that is no action becomes."""


class FormatError(ValueError):
    """The text is no action. The message is one sentence that tells the model what was expected."""
