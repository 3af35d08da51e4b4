"""The routes of the HTTP API, grouped by their callers, and the gate that every request passes first."""
