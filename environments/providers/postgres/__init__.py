"""A private Postgres server, and a database for each episode, cloned from a template."""
