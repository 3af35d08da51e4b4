"""Commands about files of tasks. A source is a file of tasks in any known format, or a dataset as hf:NAME#SPLIT."""

from flows.commands.tasks.app import tasks_app

__all__ = ["tasks_app"]
