"""The rules of a panel: who is asked next, and what the verdicts of its members decide together.

agree           a b ..   all the same ─> that; otherwise unjudged
best_of_three   a        no success ─> that
                a b (c)  two successes ─> success; two without ─> no success
                         The first one that can be read speaks first: with an unjudged a it is b.
escalate        a        sure ─> that;  unsure ─> b decides

Members are asked one after the other, so that none is paid for whose verdict cannot change the decision.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from agent.verdict import Verdict, outcome_of
from judging.panels.settings import PanelSettings, Rule
from judging.panels.unsure import UNUSABLE, why_unsure

Ask = Callable[[str], Awaitable[Verdict]]
"""Asks a member by its name."""
DISAGREEMENT = "disagreement"
SUCCESS, NO_SUCCESS, UNJUDGED = "success", "no success", "unjudged"


class Decision(NamedTuple):
    """A panel's decision."""

    asked: tuple[tuple[str, Verdict], ...]
    """The members that were asked, in their order, with their verdicts."""
    decisive: Verdict | None
    """The member's verdict that the panel makes its own; None: unjudged."""
    code: str = ""
    """Code of the reason why nothing is decided."""
    why: str = ""
    """Why a further member was asked."""


async def decide(settings: PanelSettings, ask: Ask) -> Decision:
    """Asks the members by the panel's rule. Errors of a member are the caller's."""
    return await _RULES[settings.rule](settings, ask)


async def _agree(settings: PanelSettings, ask: Ask) -> Decision:
    asked: list[tuple[str, Verdict]] = []
    for member in settings.members:
        verdict = await ask(member)
        asked.append((member, verdict))
        if outcome_of(verdict) == UNJUDGED:
            return Decision(tuple(asked), None, verdict.unjudged)
    if len({outcome_of(verdict) for _, verdict in asked}) > 1:
        return Decision(tuple(asked), None, DISAGREEMENT)
    # Of rewards in parts the lowest one is what all of them give.
    return Decision(tuple(asked), min((verdict for _, verdict in asked), key=lambda verdict: verdict.reward or 0.0))


async def _best_of_three(settings: PanelSettings, ask: Ask) -> Decision:
    asked: list[tuple[str, Verdict]] = []
    for member in settings.members:
        verdict = await ask(member)
        asked.append((member, verdict))
        votes = [each for _, each in asked if outcome_of(each) != UNJUDGED]
        same = [each for each in votes if outcome_of(each) == outcome_of(verdict)]
        if outcome_of(verdict) == UNJUDGED:
            if verdict.unjudged not in UNUSABLE:
                break  # nobody could judge the episode, or a resume asks this member again: an outage is no vote
        elif len(same) == 2 or (len(votes) == 1 and outcome_of(verdict) != SUCCESS):
            return Decision(tuple(asked), same[0], why=_to_confirm(asked))
    return Decision(tuple(asked), None, _code_of(asked), _to_confirm(asked))


async def _escalate(settings: PanelSettings, ask: Ask) -> Decision:
    first, second = settings.members
    verdict = await ask(first)
    why = why_unsure(verdict, settings.sure)
    if not why:
        decided = outcome_of(verdict) != UNJUDGED
        return Decision(((first, verdict),), verdict if decided else None, verdict.unjudged)
    last = await ask(second)
    asked = ((first, verdict), (second, last))
    return Decision(asked, last if outcome_of(last) != UNJUDGED else None, last.unjudged, f"{first} is unsure: {why}")


def _to_confirm(asked: Sequence[tuple[str, Verdict]]) -> str:
    return "" if len(asked) == 1 else f"{asked[0][0]} alone is not enough"


def _code_of(asked: Sequence[tuple[str, Verdict]]) -> str:
    """The code of the last member without a verdict, for a resume asks it again; without one they disagree."""
    return next((verdict.unjudged for _, verdict in reversed(asked) if outcome_of(verdict) == UNJUDGED), DISAGREEMENT)


_RULES: dict[Rule, Callable[[PanelSettings, Ask], Awaitable[Decision]]] = {
    "agree": _agree,
    "best_of_three": _best_of_three,
    "escalate": _escalate,
}
