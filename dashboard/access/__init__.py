"""Who may do what: users with roles, their passwords, sessions and API tokens."""
