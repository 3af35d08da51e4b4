"""Reads and writes task files: WebGym's JSONL, the dashboard's tasks.json, other benchmarks, our JSONL, datasets.

    source (file or dataset) ── rows with their numbers ── `Task`, or `Rejected` with the line and the reason

No content of a file is trusted: an invalid row is reported and left out, and never stops the rows after it.
"""
