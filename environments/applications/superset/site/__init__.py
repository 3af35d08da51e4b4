"""Runs inside the virtual environment of Superset, and is imported by nobody here."""
