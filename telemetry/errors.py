"""The error of tracing."""


class TracingError(ValueError):
    """Tracing can't begin as the environment asks. The message is one sentence."""
