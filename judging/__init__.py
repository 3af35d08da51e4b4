"""Judging: verdicts on stored trajectories, with the evidence for each verdict."""
