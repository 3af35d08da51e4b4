"""Trajectories in, a better and verified policy out: samples, update, checkpoints, serving."""
