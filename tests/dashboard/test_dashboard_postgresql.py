"""The dashboard on a real PostgreSQL, in short: `make chaos` runs every test of the routes on it."""

import pytest
from acting import POSTGRESQL
from test_dashboard_queue import test_rollouts_are_claimed_once_by_priority_then_by_age
from test_dashboard_rollouts import (
    tasks,
    test_a_word_of_most_rollouts_is_found_newest_first,
    test_the_list_is_filtered_searched_and_paged,
)
from test_dashboard_tasks import test_a_task_that_is_not_there_is_a_404

__all__ = [
    "tasks",
    "test_a_task_that_is_not_there_is_a_404",
    "test_a_word_of_most_rollouts_is_found_newest_first",
    "test_rollouts_are_claimed_once_by_priority_then_by_age",
    "test_the_list_is_filtered_searched_and_paged",
]
pytestmark = pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)
