"""Real widgets from npm, driven through the browser service as an agent drives them: `python -m benchmarks.widgets`."""
