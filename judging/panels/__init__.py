"""Panels: several judge models that decide together, each with its own stored verdict."""
