"""Web tasks of other projects as an environment: any that gives a start address and a check of the end."""

from environments.foreign.browsergym import browsergym_task
from environments.foreign.environment import End, ForeignEnvironment, ForeignTask

__all__ = ["End", "ForeignEnvironment", "ForeignTask", "browsergym_task"]
