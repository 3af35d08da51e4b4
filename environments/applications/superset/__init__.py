"""Apache Superset, a business-intelligence tool over a shop's sales."""
