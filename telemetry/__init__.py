"""Observability of every process: one log format with ids, and OpenTelemetry traces as an option."""
