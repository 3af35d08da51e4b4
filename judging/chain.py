"""A chain of judges: the first one that can decide decides. Asked all, it also records where they disagree."""

from collections.abc import Sequence
from typing import NamedTuple

from agent.types import StopReason, Trajectory
from agent.verdict import Judge, Verdict
from judging.blocking import blocked_verdict


class Asked(NamedTuple):
    """The verdicts of a chain on one trajectory."""

    verdict: Verdict
    """The decision, with the name of the judge that made it; unjudged in the name of the chain when none could."""
    verdicts: tuple[Verdict, ...]
    """The verdicts of all judges that were asked, in their order."""

    @property
    def disagree(self) -> bool:
        """True if two judges decided differently: success, no success, blocked. Undecided ones do not count."""
        return len({_outcome(verdict) for verdict in self.verdicts if is_decided(verdict)}) > 1


class Chain:
    """Asks its judges in order. Implements `agent.verdict.Judge`.

    Example: `Chain([Verifier(environment.check), AnswerJudge()])` asks the second one where the first has no reward.
    """

    name = "chain"

    def __init__(self, judges: Sequence[Judge], *, ask_all: bool = False) -> None:
        """`ask_all`: ask the judges after the one that decided, too, to measure disagreement; their verdicts change
        nothing. Raises ValueError without judges, and for two of the same name: a verdict has to tell who made it."""
        names = [judge.name for judge in judges]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"expected judges with different names, found {names}")
        self._judges, self._ask_all = tuple(judges), ask_all

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The verdict of the first judge that can decide; with `ask_all`, its evidence names those that disagree."""
        return (await self.ask(trajectory)).verdict

    async def ask(self, trajectory: Trajectory) -> Asked:
        """The decision and the verdicts behind it. Errors of a judge are the caller's.

        An episode that was ended as blocked is asked of no judge: an environment's check would say that it failed.
        """
        if trajectory.stop is StopReason.BLOCKED:
            return Asked(verdict := blocked_verdict(trajectory), (verdict,))
        verdicts: list[Verdict] = []
        for judge in self._judges:
            verdicts.append(await judge.judge(trajectory))
            if is_decided(verdicts[-1]) and not self._ask_all:
                break
        decided = next((verdict for verdict in verdicts if is_decided(verdict)), None)
        if decided is None:
            return Asked(_unjudged(trajectory, verdicts), tuple(verdicts))
        others = [v for v in verdicts if is_decided(v) and _outcome(v) != _outcome(decided)]
        if others:
            named = ", ".join(f"{verdict.judge}: {_outcome(verdict)}" for verdict in others)
            told = f"{decided.evidence} [disagreement: {decided.judge}: {_outcome(decided)}, {named}]".strip()
            decided = decided.model_copy(update={"evidence": told})
        return Asked(decided, tuple(verdicts))


def is_decided(verdict: Verdict) -> bool:
    """True if a verdict needs no other judge: it has a reward, or it says that the site blocked the agent."""
    return verdict.reward is not None or verdict.blocked


def _outcome(verdict: Verdict) -> str:
    if verdict.blocked:
        return "blocked"
    return "success" if verdict.reward is not None and verdict.reward >= 1 else "no success"


def _unjudged(trajectory: Trajectory, verdicts: Sequence[Verdict]) -> Verdict:
    if len(verdicts) == 1:
        return verdicts[0]
    told = "; ".join(f"{verdict.judge}: {verdict.evidence}" for verdict in verdicts)
    return Verdict(
        trajectory_id=trajectory.id,
        reward=None,
        evidence=told[:1_000],
        judge=Chain.name,
        unjudged=next((verdict.unjudged for verdict in reversed(verdicts) if verdict.unjudged), ""),
        flags=tuple(dict.fromkeys(flag for verdict in verdicts for flag in verdict.flags)),
        tokens_in=sum(verdict.tokens_in for verdict in verdicts),
        tokens_out=sum(verdict.tokens_out for verdict in verdicts),
        cost=sum(verdict.cost for verdict in verdicts),
        seconds=sum(verdict.seconds for verdict in verdicts),
    )
