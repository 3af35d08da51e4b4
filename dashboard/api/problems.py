"""Errors of the API: each is `{"code": "...", "problem": "one sentence"}` with its status."""


class Problem(Exception):
    """An answer that is an error. `code` is for programs, the sentence for people."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence = status, code, sentence


def no_task(task_id: str) -> Problem:
    """There is no such task."""
    return Problem(404, "task_not_found", f"there is no task {shown(task_id)}; GET /api/tasks lists those there are")


def no_rollout(rollout_id: str) -> Problem:
    """There is no such rollout."""
    return Problem(404, "rollout_not_found", f"there is no rollout {shown(rollout_id)}; GET /api/rollouts lists them")


def of_a_run(rollout_id: str) -> Problem:
    """The rollout belongs to a run, which the dashboard only reads."""
    return Problem(
        409, "rollout_of_a_run", f"{shown(rollout_id)} belongs to a run, which the dashboard only reads; use `rl-loop`"
    )


def shown(text: str) -> str:
    """A text of a request, shortened for a sentence."""
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
