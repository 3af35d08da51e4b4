"""Runs inside the virtual environments of the applications, and is imported by nobody here."""
