"""Counts the tasks of a file by the verifier that can judge their answers without a model."""

from collections import Counter

from agent.types import Task
from judging.verifiers.mapping import ExpectationError, expectation_of

LISTED = 20
"""Largest number of invalid expectations that are kept with their reasons."""


class VerifierCounts:
    """The counts of one file."""

    def __init__(self) -> None:
        self.invalid = 0
        """Number of tasks whose expectation is invalid."""
        self.reasons: list[str] = []
        """The first `LISTED` of them, as "task ID: reason"."""
        self.canaries = 0
        """Number of tasks that nobody can do."""
        self._kinds: Counter[str] = Counter()
        self._without = Counter[bool]()
        self._chains: Counter[str] = Counter()

    def add(self, task: Task) -> None:
        """Counts a task."""
        self.canaries += task.canary
        if task.judge:
            self._chains[", ".join(task.judge)] += 1
        try:
            expected = expectation_of(task)
        except ExpectationError as error:
            self.invalid += 1
            if len(self.reasons) < LISTED:
                self.reasons.append(f"task {task.id}: {error}")
            return
        if expected is None:
            self._without[bool(task.rubric)] += 1
        else:
            self._kinds[expected.kind] += 1

    def text(self) -> str:
        """One line, and one more if tasks name their judges.

        Example: `verifiers: json 3, number 1; no verifier: 6, of which 4 have a rubric`, `own judges: [answer, panel] 2`.
        """
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self._kinds.items()))
        rubrics = f", of which {self._without[True]} have a rubric" if self._without[True] else ""
        canaries = f"; canaries: {self.canaries}" if self.canaries else ""
        chains = ", ".join(f"[{chain}] {count}" for chain, count in sorted(self._chains.items()))
        verifiers = f"verifiers: {kinds or 'none'}; no verifier: {self._without.total()}{rubrics}{canaries}"
        return f"{verifiers}\nown judges: {chains}" if chains else verifiers
