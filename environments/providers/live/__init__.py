"""The open web: tasks at addresses of their own, with a rate per domain, log-in profiles, and a proxy by name."""
