"""Environments: each serves its site, states the goal, checks the end and can solve its own tasks."""
