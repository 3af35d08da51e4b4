"""A mix of environments: one that serves and judges the tasks of several, and their shares of an iteration."""
