"""Runs inside the virtual environment of Misago, and is imported by nobody here."""
