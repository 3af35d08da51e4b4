"""The terminal, or the file or pipe in its place."""

from rich.console import Console


def console() -> Console:
    """Standard output; 140 columns where it is not a terminal, so that log lines are not folded at 80."""
    out = Console()
    return out if out.is_terminal else Console(width=140)
