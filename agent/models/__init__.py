"""Models that act: each turns goal, history and page into a turn."""
