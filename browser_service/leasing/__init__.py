"""Lease scheduling: who gets a browser, when, and for how long. One protocol, an in-process store and a Redis store."""
