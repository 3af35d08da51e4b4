"""Metrics of the judges, for the iteration axis. Finite numbers only; a rate without a denominator is left out.

judge_tokens, judge_cost                                  consumption of all judges with a model
unjudged/<reason>, flags/<flag>                           trajectories
judge_disagreements, judge_disagreement_rate              over `judge_compared`: two judges or more decided
judge_asked/<judge>, judge_unjudged/<judge>               and by judge:
judge_success_rate/<judge>                                over judge_decided/<judge>
judge_tokens/<judge>, judge_cost/<judge>, judge_s_mean/<judge>
judge_kappa/<judge>, judge_false_positive_rate/<judge>    against the verifier, over judge_compared/<judge>
canary_episodes, canary_judged, canary_successes, canary_success_rate

Canaries are counted in the last line and in tokens and cost, and in nothing else.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

from agent.verdict import Opinion, Verdict
from judging.meta.agreement import SUCCESS, Agreement, agreement
from judging.meta.canary_tasks import believed
from judging.meta.opinions import VERIFIER, by_judge, opinions_of, verdicts_of

NO_METRIC_NAME = re.compile(r"[^\w .-]")
"""Characters that MLflow rejects in the name of a metric; a judge's name may come from an environment's own check."""


def judge_metrics(verdicts: Sequence[Verdict], canaries: Collection[str] = ()) -> dict[str, float]:
    """Metrics of the judges behind the verdicts of a stage. `canaries` are ids of trajectories of canary tasks."""
    counted = [verdict for verdict in verdicts if verdict.trajectory_id not in canaries]
    metrics = _consumption(verdicts) | _reasons(counted) | _disagreement(counted)
    judges = by_judge(counted)
    for judge, opinions in judges.items():
        named = _named(judge)
        metrics |= {f"{key}/{named}": value for key, value in _of_judge(list(opinions.values())).items()}
    reference = verdicts_of(counted, VERIFIER)
    for judge in judges:
        if reference and judge != VERIFIER:
            found = _against(agreement(reference, verdicts_of(counted, judge)))
            metrics |= {f"{key}/{_named(judge)}": value for key, value in found.items()}
    return metrics | _of_canaries([verdict for verdict in verdicts if verdict.trajectory_id in canaries])


def _consumption(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Tokens and cost of the judges with a model; nothing where none was asked."""
    asked = [one for verdict in verdicts for one in opinions_of(verdict) if one.model or one.tokens_in]
    if not asked:
        return {}
    return {"judge_tokens": _tokens(asked), "judge_cost": sum(one.cost for one in asked)}


def _reasons(verdicts: Sequence[Verdict]) -> dict[str, float]:
    reasons = Counter(verdict.unjudged for verdict in verdicts if verdict.reward is None and verdict.unjudged)
    flags = Counter(flag for verdict in verdicts for flag in flags_of(verdict))
    counted: Mapping[str, Counter[str]] = {"unjudged": reasons, "flags": flags}
    return {f"{kind}/{_named(name)}": float(n) for kind, names in counted.items() for name, n in sorted(names.items())}


def flags_of(verdict: Verdict) -> tuple[str, ...]:
    """The flags of a verdict and of the opinions behind it, each once."""
    return tuple(dict.fromkeys((*verdict.flags, *(flag for one in verdict.opinions for flag in one.flags))))


def _disagreement(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Trajectories on which judges decided differently, over those on which at least two decided; nothing without any."""
    compared = [outcomes for verdict in verdicts if len(outcomes := _outcomes(verdict)) > 1]
    if not compared:
        return {}
    differ = sum(len(set(outcomes)) > 1 for outcomes in compared)
    return {
        "judge_compared": float(len(compared)),
        "judge_disagreements": float(differ),
        "judge_disagreement_rate": differ / len(compared),
    }


def _outcomes(verdict: Verdict) -> list[str]:
    return [
        "blocked" if one.blocked else str(one.reward >= SUCCESS if one.reward is not None else "")
        for one in opinions_of(verdict)
        if one.blocked or one.reward is not None
    ]


def _of_judge(opinions: list[Opinion]) -> dict[str, float]:
    rewards = [one.reward for one in opinions if one.reward is not None and not one.blocked]
    metrics = {
        "judge_asked": float(len(opinions)),
        "judge_decided": float(len(rewards)),
        "judge_unjudged": float(sum(one.reward is None and not one.blocked for one in opinions)),
        "judge_s_mean": fmean(one.seconds for one in opinions),
    }
    if rewards:
        metrics["judge_success_rate"] = fmean(reward >= SUCCESS for reward in rewards)
    if any(one.model or one.tokens_in for one in opinions):
        metrics |= {"judge_tokens": _tokens(opinions), "judge_cost": sum(one.cost for one in opinions)}
    return metrics


def _against(found: Agreement) -> dict[str, float]:
    if not found.decided:
        return {}
    rate, kappa = found.false_positive_rate, found.kappa
    metrics = {"judge_compared": float(found.decided)}
    if rate is not None:
        metrics["judge_false_positive_rate"] = rate.value
    return metrics if kappa is None else metrics | {"judge_kappa": kappa}


def _of_canaries(verdicts: Sequence[Verdict]) -> dict[str, float]:
    if not verdicts:
        return {}
    judged = [verdict for verdict in verdicts if any(one.reward is not None for one in opinions_of(verdict))]
    successes = len({one.trajectory_id for one in believed(verdicts)})
    metrics = {"canary_episodes": len(verdicts), "canary_judged": len(judged), "canary_successes": successes}
    return metrics | ({"canary_success_rate": successes / len(judged)} if judged else {})


def _tokens(opinions: Sequence[Opinion]) -> float:
    return float(sum(one.tokens_in + one.tokens_out for one in opinions))


def _named(judge: str) -> str:
    return NO_METRIC_NAME.sub("_", judge)[:100] or "none"
