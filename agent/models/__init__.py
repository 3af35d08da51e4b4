"""Models that act: each maps goal, history and page to a turn."""
