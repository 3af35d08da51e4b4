"""Access control: users with roles, their passwords, sessions and API tokens."""
