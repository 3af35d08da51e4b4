"""Metabase: a Postgres container and a Metabase container for each episode, filled from a dump; tasks of files."""
