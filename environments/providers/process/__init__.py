"""Servers as child processes: one for each episode, or a shared one with a tenant for each episode."""
