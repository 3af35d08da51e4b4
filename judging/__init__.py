"""Judging: verdicts on stored trajectories, from judge models and their rubrics, with the evidence for each verdict."""
