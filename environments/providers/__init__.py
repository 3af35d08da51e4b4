"""Providers: what environments are made from. Each gives every episode a place of its own."""
