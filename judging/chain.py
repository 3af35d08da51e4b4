"""A chain of judges: the first one that can decide decides. Asked all, it also records where they disagree."""

from collections.abc import Sequence
from typing import NamedTuple

from agent.types import StopReason, Trajectory
from agent.verdict import Judge, Opinion, Verdict, outcome_of
from judging.blocking import blocked_verdict
from judging.evidence_steps import with_real_evidence
from telemetry.ids import bound
from telemetry.spans import span


class Asked(NamedTuple):
    """The verdicts of a chain on one trajectory."""

    verdict: Verdict
    """The decision, with the name of the judge that made it; unjudged in the name of the chain when none could."""
    verdicts: tuple[Verdict, ...]
    """The verdicts of all judges that were asked, in their order."""

    @property
    def disagree(self) -> bool:
        """True if two judges decided differently: success, no success, blocked. Undecided ones do not count."""
        return len({outcome_of(verdict) for verdict in self.verdicts if is_decided(verdict)}) > 1


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
        opinions: list[Opinion] = []
        for judge in self._judges:
            verdict = with_real_evidence(await _traced(judge, trajectory), trajectory)
            verdicts.append(verdict)
            opinions.append(opinion_of(verdict, judge.name))
            # A canary measures every judge, also those that an earlier one would have spared.
            if is_decided(verdict) and not (self._ask_all or trajectory.task.canary):
                break
        decided = next((verdict for verdict in verdicts if is_decided(verdict)), None)
        has_one_opinion = len(verdicts) == 1 and verdicts[0].judge == opinions[0].judge
        kept: dict[str, object] = {} if has_one_opinion else {"opinions": tuple(opinions)}
        if decided is None:
            return Asked(_unjudged(trajectory, verdicts).model_copy(update=kept), tuple(verdicts))
        others = [v for v in verdicts if is_decided(v) and outcome_of(v) != outcome_of(decided)]
        if others:
            named = ", ".join(f"{verdict.judge}: {outcome_of(verdict)}" for verdict in others)
            evidence = f"{decided.evidence} [disagreement: {decided.judge}: {outcome_of(decided)}, {named}]".strip()
            kept["evidence"] = evidence
        return Asked(decided.model_copy(update=kept), tuple(verdicts))


async def _traced(judge: Judge, trajectory: Trajectory) -> Verdict:
    with (
        bound(trajectory=trajectory.id, iteration=trajectory.iteration),
        span("judge", judge=judge.name, trajectory=trajectory.id, task=trajectory.task.id) as call,
    ):
        verdict = await judge.judge(trajectory)
        call.set(reward=verdict.reward, blocked=verdict.blocked)
        if not is_decided(verdict):
            call.set(undecided=verdict.unjudged or None)
        return verdict


def is_decided(verdict: Verdict) -> bool:
    """True if a verdict needs no other judge: it has a reward, or it says that the site blocked the agent."""
    return verdict.reward is not None or verdict.blocked


def opinion_of(verdict: Verdict, judge: str) -> Opinion:
    """The part of a verdict that is kept of each judge of a chain, by the judge's name there."""
    return Opinion(judge=judge, **verdict.model_dump(include=set(Opinion.model_fields) - {"judge"}))


def _unjudged(trajectory: Trajectory, verdicts: Sequence[Verdict]) -> Verdict:
    if len(verdicts) == 1:
        return verdicts[0]
    evidence = "; ".join(f"{verdict.judge}: {verdict.evidence}" for verdict in verdicts)
    return Verdict(
        trajectory_id=trajectory.id,
        reward=None,
        evidence=evidence[:1_000],
        judge=Chain.name,
        unjudged=next((verdict.unjudged for verdict in reversed(verdicts) if verdict.unjudged), ""),
        flags=tuple(dict.fromkeys(flag for verdict in verdicts for flag in verdict.flags)),
        tokens_in=sum(verdict.tokens_in for verdict in verdicts),
        tokens_out=sum(verdict.tokens_out for verdict in verdicts),
        cost=sum(verdict.cost for verdict in verdicts),
        seconds=sum(verdict.seconds for verdict in verdicts),
    )
