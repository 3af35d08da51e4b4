"""Checkpoints on disk: written atomically, described by a manifest, checked for soundness."""
