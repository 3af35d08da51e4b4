"""Judges: evidence in, verdict out. A judge that can't decide returns `reward=None`."""
