"""Bundled applications, each with its tasks."""
