"""Measurements of a stage: the use of its slots, the costs of its trajectories, the intervals of its episodes."""
