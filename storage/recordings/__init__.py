"""Recordings of an episode beside its trajectory: films, traces, and logs of requests and of the console."""
