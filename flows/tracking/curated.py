"""The metrics of a run that people compare, about 40: they go to MLflow as metrics. Everything else is in its tables.

MLflow draws a chart for each metric, in alphabetical order: with all 255 of them nobody finds the success rate.

    evaluate/*   held-out tasks     rollout/*   training tasks     train/*   the update     time/*   seconds
"""

from collections.abc import Mapping

from judging.meta.agreement import wilson
from storage.stages import Stage, StageReport

SUCCESS = ("success_rate", "success_low", "success_high", "reward_mean", "steps_mean")
SHOWN: dict[Stage, tuple[str, ...]] = {
    Stage.EVALUATE: SUCCESS,
    Stage.ROLLOUT: ("failed", "wasted_share", "policy_age_mean"),
    Stage.JUDGE: (*SUCCESS, "tokens_per_response", "unjudged", "blocked_rate", "judge_cost"),
    Stage.POLICY_UPDATE: (
        *("loss", "grad_norm", "entropy", "kl", "clip_low", "clip_high", "capped_positive", "capped_negative"),
        *("guarded", "gap_mean", "gap_max", "lag_mean", "tokens_per_second", "mfu"),
        *("samples", "groups_used", "alarms"),
    ),
}
"""Names within a stage's report, or of `bounds_of`. Blocked and unjudged episodes count in no success rate."""


def bounds_of(metrics: Mapping[str, float]) -> dict[str, float]:
    """The 95 % interval (Wilson) of a success rate; nothing without a judged episode."""
    if "success_rate" not in metrics or not metrics.get("judged"):
        return {}
    judged = round(metrics["judged"])
    rate = wilson(round(metrics["success_rate"] * judged), judged)
    return {} if rate is None else {"success_low": rate.low, "success_high": rate.high}


def everything(report: StageReport) -> dict[str, float]:
    """All numbers of a report by their names: metrics, counts, and the interval of the success rate."""
    return {key: float(value) for key, value in report.counts.items()} | report.metrics | bounds_of(report.metrics)


def shown(report: StageReport) -> dict[str, float]:
    """The numbers of a report that become MLflow metrics. A stage without one of them has no such point."""
    known = everything(report)
    return {name: known[name] for name in SHOWN[report.stage] if name in known}
