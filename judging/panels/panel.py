"""A panel as a judge of a chain: its members' verdicts are stored one by one, and its own names them and their disagreement."""

import hashlib
import json
from collections.abc import Mapping

from agent.types import Trajectory
from agent.verdict import Verdict, Vote, outcome_of
from judging.cached import KeyedJudge
from judging.panels.rules import UNJUDGED, Decision, decide
from judging.panels.settings import PanelSettings

MEMBERS_DISAGREE = "members_disagree"
"""Flag of a decision whose members decided differently."""


class Panel:
    """Several judge models that decide by a rule. Implements `judging.cached.KeyedJudge`.

    Its decision is stored as its members' verdicts are: a member whose reply could not be used is not asked again where
    the others have decided, for its second reply could change a decision that was made.
    """

    name = "panel"

    def __init__(self, settings: PanelSettings, members: Mapping[str, KeyedJudge]) -> None:
        """`members` has a judge for each name in `settings.members`; otherwise ValueError."""
        if missing := set(settings.members) - set(members):
            raise ValueError(f"expected a judge for each member, none for {', '.join(sorted(missing))}")
        self._settings, self._members = settings, members

    def key(self, trajectory: Trajectory) -> str:
        """Hash of all that the decision depends on: the rule, and the questions to the members."""
        parts = [
            self._settings.model_dump_json(),
            [self._members[name].key(trajectory) for name in self._settings.members],
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The panel's decision, with the votes of the members that were asked; unjudged when they give none."""
        decision = await decide(self._settings, lambda member: self._members[member].judge(trajectory))
        return verdict_of(self._settings, trajectory, decision).model_copy(update={"key": self.key(trajectory)})


def verdict_of(settings: PanelSettings, trajectory: Trajectory, decision: Decision) -> Verdict:
    """A decision as the panel's verdict. It costs what its members' verdicts cost."""
    verdicts = [verdict for _, verdict in decision.asked]
    votes = ", ".join(f"{member}: {outcome_of(verdict)}" for member, verdict in decision.asked)
    summary = f"panel {settings.rule}: {votes}{'; ' + decision.why if decision.why else ''}"
    outcomes = {outcome_of(verdict) for verdict in verdicts} - {UNJUDGED}
    flags = tuple(dict.fromkeys(flag for verdict in verdicts for flag in verdict.flags))
    chosen = decision.decisive or Verdict(
        trajectory_id=trajectory.id,
        reward=None,
        judge=Panel.name,
        unjudged=decision.code,
        evidence="; ".join(verdict.evidence for verdict in verdicts if verdict.reward is None),
    )
    begin = "not judged: " if decision.decisive is None else ""
    return chosen.model_copy(
        update={
            "judge": Panel.name,
            "evidence": f"{begin}{summary}. {chosen.evidence}".strip()[:2_000],
            "flags": (*flags, MEMBERS_DISAGREE) if len(outcomes) > 1 else flags,
            "votes": tuple(_vote(member, verdict) for member, verdict in decision.asked),
            "tokens_in": sum(verdict.tokens_in for verdict in verdicts),
            "tokens_out": sum(verdict.tokens_out for verdict in verdicts),
            "cost": sum(verdict.cost for verdict in verdicts),
            "seconds": sum(verdict.seconds for verdict in verdicts),
        }
    )


def _vote(member: str, verdict: Verdict) -> Vote:
    return Vote(
        member=member,
        model=verdict.model,
        reward=verdict.reward,
        blocked=verdict.blocked,
        unjudged=verdict.unjudged,
        confidence=verdict.confidence,
        key=verdict.key,
    )
