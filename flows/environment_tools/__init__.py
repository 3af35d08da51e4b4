"""Tools for people who make environments: a check of their verifiers, and a task played by hand."""
