"""Containers: one or several for each episode, in a network of their own, by a Docker engine."""
