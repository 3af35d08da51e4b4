"""Alarms of an update: signs that further updates would waste time or destroy the policy, each as one sentence."""

from collections.abc import Mapping

from training.config import UpdateConfig
from training.errors import Alarmed


def find_alarms(metrics: Mapping[str, float], counts: Mapping[str, int], config: UpdateConfig) -> tuple[str, ...]:
    """The sentences of all alarms, by the metrics and counts of an update's report; none with `alarms: off`."""
    if config.alarms == "off":
        return ()
    return tuple(
        sentence
        for sentence in (
            _entropy(metrics, config.alarm_entropy),
            _gap(metrics, config.alarm_gap),
            _groups(counts, config.alarm_zero_groups),
        )
        if sentence
    )


def heed(found: tuple[str, ...], config: UpdateConfig) -> tuple[str, ...]:
    """Returns the alarms. Raises Alarmed when there are some and `alarms` is `stop`."""
    if found and config.alarms == "stop":
        raise Alarmed(
            f"alarm: {'; '.join(found)}; nothing is written because update.alarms is stop: change what causes it, or go on "
            "with `rl-loop resume RUN update.alarms=warn`"
        )
    return found


def _entropy(metrics: Mapping[str, float], bound: float) -> str:
    entropy = metrics.get("entropy")
    if entropy is None or entropy >= bound:
        return ""
    return (
        f"entropy collapsed: {entropy:.2g} nats per token, below update.alarm_entropy {bound:g}, so that samples of one "
        "task hardly differ (raise update.entropy_coefficient or lower update.learning_rate)"
    )


def _gap(metrics: Mapping[str, float], bound: float | None) -> str:
    gap = metrics.get("gap_mean")
    if bound is None:
        return ""
    if metrics.get("gap_tokens") == 0:
        return (
            f"trainer and server could not be compared for update.alarm_gap {bound:g}: no token was sampled by a version "
            "whose weights are still there (raise update.keep_last, or lower rollout.max_lag)"
        )
    if gap is None or gap <= bound:
        return ""
    return f"trainer and server differ by {gap:.3g} nats per token, above update.alarm_gap {bound:g}"


def _groups(counts: Mapping[str, int], bound: float) -> str:
    same = counts.get("groups_zero_signal", 0)
    # Groups that are too small, or whose episodes all failed, say nothing about the tasks.
    complete = same + counts.get("groups_used", 0)
    if not bound or not same or same < bound * complete:
        return ""
    return (
        f"{same} of {complete} groups have no signal, at or above update.alarm_zero_groups {bound:g} (the tasks are too easy "
        "or too hard for this policy)"
    )
