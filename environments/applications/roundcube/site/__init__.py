"""Runs inside the installation of Roundcube, and is imported by nobody here."""
