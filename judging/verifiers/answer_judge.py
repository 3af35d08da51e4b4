"""The judge without a model: the verifier of the task's expectation decides, exactly and repeatably, or nobody does."""

from collections.abc import Callable

from agent.types import StopReason, Trajectory
from agent.verdict import Verdict
from judging.verifiers.dates import check_date
from judging.verifiers.ends import check_page, check_state
from judging.verifiers.expectations import (
    AllExpectation,
    DateExpectation,
    ItemsExpectation,
    JsonExpectation,
    NetworkExpectation,
    NumberExpectation,
    PageExpectation,
    Single,
    StateExpectation,
    TextExpectation,
    UrlExpectation,
)
from judging.verifiers.findings import Finding, shown, undecided
from judging.verifiers.items import check_items
from judging.verifiers.json_answers import check_json
from judging.verifiers.mapping import ExpectationError, expectation_of
from judging.verifiers.network import ReadRequests, check_network
from judging.verifiers.numbers import check_number
from judging.verifiers.texts import check_text
from judging.verifiers.urls import check_url

LONGEST_ANSWER = 10_000
"""Largest number of characters of an answer, as `agent.types.Answer` has it; a longer one fails unread."""
UNDECIDED_STOPS = {StopReason.FAILED, StopReason.SAFETY}
"""Ends without an answer that are not the policy's: something broke, or nobody confirmed an action."""


class AnswerJudge:
    """Compares the final answer, page or state with the task's expectation. Implements `agent.verdict.Judge`.

    Unjudged are: a task without an expectation or with an invalid one, an episode that anything but the policy broke, a
    blocked one, and whatever the verifier cannot decide. An episode whose policy never answered, or said nothing, fails.
    """

    name = "answer"

    def __init__(
        self, *, is_blocked: Callable[[Trajectory], bool] | None = None, requests: ReadRequests | None = None
    ) -> None:
        """`is_blocked` tells that the site kept the agent out, by a CAPTCHA for example; by default none did. `requests`
        reads the log of an episode's requests; None: tasks that expect requests stay unjudged."""
        self._is_blocked, self._requests = is_blocked, requests

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The verdict: reward 1.0 or 0.0 with the result of each field in `criteria`; unjudged as said above."""
        failure = trajectory.failure
        if failure is not None and failure.side != "policy":
            return self._verdict(trajectory, undecided(f"{failure.side} failure {failure.code}"))
        if self._is_blocked is not None and self._is_blocked(trajectory):
            verdict = self._verdict(trajectory, undecided("the site blocked the agent"))
            return verdict.model_copy(update={"blocked": True})
        return self._verdict(trajectory, finding_for(trajectory, self._requests))

    def _verdict(self, trajectory: Trajectory, finding: Finding) -> Verdict:
        evidence = finding.evidence if finding.passed is not None else f"not judged: {finding.evidence}"
        return Verdict(
            trajectory_id=trajectory.id,
            reward=None if finding.passed is None else float(finding.passed),
            criteria=finding.criteria,
            evidence=evidence[:500],
            judge=self.name,
            evidence_steps=finding.steps,
        )


def finding_for(trajectory: Trajectory, requests: ReadRequests | None = None) -> Finding:
    """The finding of the verifier of the trajectory's task, whoever broke the episode; undecided without an expectation."""
    if trajectory.answer is None and trajectory.failure is None and trajectory.stop in UNDECIDED_STOPS:
        return undecided(f"the episode ended without an answer: {trajectory.stop.value}")
    try:
        expected = expectation_of(trajectory.task)
    except ExpectationError as error:
        return undecided(f"the task's expectation is invalid: {shown(str(error))}")
    match expected:
        case None:
            return undecided("the task has no expectation")
        case AllExpectation():
            return _all([_finding(one, trajectory, requests) for one in expected.each])
        case _:
            return _finding(expected, trajectory, requests)


def _finding(expected: Single, trajectory: Trajectory, requests: ReadRequests | None) -> Finding:
    match expected:
        case PageExpectation():
            return check_page(expected, trajectory)
        case StateExpectation():
            return check_state(expected, trajectory)
        case NetworkExpectation():
            return check_network(expected, trajectory, requests)
    answer = trajectory.answer
    if answer is None or not answer.strip():
        return Finding(
            False, {"answered": False}, f"the policy gave no answer; the episode ended: {trajectory.stop.value}"
        )
    if len(answer) > LONGEST_ANSWER:
        return Finding(
            False, {"answered": False}, f"the answer has {len(answer)} characters, more than {LONGEST_ANSWER}"
        )
    return _finding_on_answer(expected, answer)


def _finding_on_answer(expected: Single, answer: str) -> Finding:
    match expected:
        case TextExpectation():
            return check_text(expected, answer)
        case NumberExpectation():
            return check_number(expected, answer)
        case DateExpectation():
            return check_date(expected, answer)
        case ItemsExpectation():
            return check_items(expected, answer)
        case JsonExpectation():
            return check_json(expected, answer)
        case UrlExpectation():
            return check_url(expected, answer)
        case PageExpectation() | StateExpectation() | NetworkExpectation():
            raise TypeError("expected an expectation of an answer")


def _all(findings: list[Finding]) -> Finding:
    """One finding of many: fails if one fails, passes if all pass, otherwise undecided."""
    evidence = "; ".join(finding.evidence for finding in findings)
    if not any(finding.passed is False for finding in findings) and any(finding.passed is None for finding in findings):
        return undecided(evidence)
    criteria = {f"{n}: {name}": ok for n, one in enumerate(findings, 1) for name, ok in one.criteria.items()}
    steps = tuple(dict.fromkeys(step for finding in findings for step in finding.steps))
    return Finding(all(finding.passed is True for finding in findings), criteria, evidence, steps)
