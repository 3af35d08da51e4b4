"""Files of tasks, in and out: WebGym's JSONL, the dashboard's tasks.json, our own JSONL, and Hugging Face datasets.

    source (file or dataset) ── rows with their numbers ── `Task`, or `Rejected` with the line and the reason

Nothing that a file says is trusted: a row that cannot be used is told and left out, and never stops the rows after it.
"""
