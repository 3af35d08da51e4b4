"""Browsers as a service: one HTTP API in front of real Chromium, with leases, deadlines and one-round-trip steps."""
