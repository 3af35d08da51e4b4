"""Misago, a forum: the acting member moderates it."""
