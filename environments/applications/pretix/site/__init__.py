"""Runs inside the virtual environment of pretix, and is imported by nobody here."""
