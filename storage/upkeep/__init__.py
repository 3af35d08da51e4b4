"""Upkeep of finished stage folders: compaction, and retention by age."""
