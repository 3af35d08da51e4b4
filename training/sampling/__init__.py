"""Samples for an update: from stored trajectories and verdicts to token sequences with advantages."""
