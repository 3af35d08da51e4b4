"""Judges: evidence in, verdict out. A judge that can't decide says so with `reward=None`."""
