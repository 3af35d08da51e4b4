"""Comparison of runs: success paired by task, curves side by side, differences of their settings."""
