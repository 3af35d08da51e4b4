"""The browser processes: launch, sandbox, memory measurement, recycling and cleanup."""
