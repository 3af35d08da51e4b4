"""Trajectories and verdicts -> metrics with stable names. Success rates count verdicts only; rates have denominators.

success_rate, reward_mean, steps_mean, max_steps_rate                    over `judged` (a verdict, not blocked)
crashed_rate (WebGym's rule), episode_s_mean, phase_s_mean/<phase>       over `episodes`
blocked_rate                                                             over `verdicts`
go_back_rate, format_error_rate, no_effect_rate                          over `steps`
characters_per_response                                                  over `responses`
tokens_per_response, prompt_tokens_mean, truncated_rate, policy_age_*    over `responses_sampled`
<name>_by_difficulty/<difficulty>, <name>_by_domain/<domain>             over judged_by_.., episodes_by_.., verdicts_by_..

Canaries, tasks that nobody can do, are left out: they measure the judges (`judging.meta.metrics`).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from statistics import fmean

from agent.episode_facts import EpisodeFacts, facts_of
from agent.types import StopReason, Trajectory
from agent.verdict import Verdict

MOST_GROUPS = 50
"""Largest number of domains, or difficulties, with their own metrics; the ones with most episodes are kept."""
NO_METRIC_NAME = re.compile(r"[^\w .-]")
"""Characters that MLflow rejects in the name of a metric."""


def rollout_metrics(trajectories: Iterable[Trajectory], verdicts: Mapping[str, Verdict]) -> dict[str, float]:
    """Metrics of one set of episodes, by stable name. `verdicts` maps trajectory ids."""
    return summarize([facts_of(trajectory) for trajectory in trajectories], verdicts)


def summarize(episodes: list[EpisodeFacts], verdicts: Mapping[str, Verdict]) -> dict[str, float]:
    """Metrics from counts. A rate without a denominator is left out; the denominator is there and 0."""
    episodes = [one for one in episodes if not one.canary]
    metrics = _of_episodes(episodes, verdicts)
    for side, count in sorted(Counter(one.failed_on for one in episodes if one.failed_on).items()):
        metrics[f"failures_{side}"] = count
    metrics |= _of_steps(episodes) | _of_responses(episodes) | _of_phases(episodes)
    for name, key in GROUPINGS.items():
        for group, members in _grouped(episodes, key).items():
            for metric, value in _of_episodes(members, verdicts).items():
                if metric in BY_GROUP:
                    metrics[f"{metric}_by_{name}/{group}"] = value
    return metrics


def policy_age(episodes: Iterable[EpisodeFacts], version: int) -> dict[str, float]:
    """Age of the responses' policies in versions before `version`; nothing if no version is known."""
    ages = Counter[int]()
    for one in episodes:
        ages.update({version - sampled: count for sampled, count in one.versions.items()})
    if not ages:
        return {}
    return {
        "policy_age_mean": sum(age * count for age, count in ages.items()) / ages.total(),
        "policy_age_max": max(ages),
    }


BY_GROUP = frozenset({"episodes", "judged", "verdicts", "success_rate", "steps_mean", "crashed_rate", "blocked_rate"})
"""Metrics that are also given by difficulty and by domain."""
GROUPINGS: dict[str, Callable[[EpisodeFacts], str]] = {
    "difficulty": lambda one: str(one.difficulty),
    "domain": lambda one: NO_METRIC_NAME.sub("_", one.domain)[:100] or "none",
}


def _of_episodes(episodes: list[EpisodeFacts], verdicts: Mapping[str, Verdict]) -> dict[str, float]:
    found = [(one, verdict) for one in episodes if (verdict := verdicts.get(one.id)) is not None]
    # A blocked episode does not show the agent's ability.
    judged = [(one, verdict.reward) for one, verdict in found if verdict.reward is not None and not verdict.blocked]
    blocked = {one.id for one, verdict in found if verdict.blocked}
    crashed = sum(one.has_crashed(blocked=one.id in blocked) for one in episodes)
    metrics: dict[str, float] = {
        "episodes": len(episodes),
        "judged": len(judged),
        "unjudged": len(episodes) - len(judged),
        "verdicts": len(found),
        "failures": sum(one.failed_on is not None for one in episodes),
        "retried": sum(one.attempt > 1 for one in episodes),
        "crashed": crashed,
        "blocked": len(blocked),
    }
    if judged:
        metrics["success_rate"] = fmean(reward >= 1 for _, reward in judged)
        metrics["reward_mean"] = fmean(reward for _, reward in judged)
        metrics["steps_mean"] = fmean(one.steps for one, _ in judged)
        metrics["max_steps_rate"] = fmean(one.stop is StopReason.MAX_STEPS for one, _ in judged)
    if episodes:
        metrics["crashed_rate"] = crashed / len(episodes)
    if found:
        metrics["blocked_rate"] = len(blocked) / len(found)
    return metrics


def _of_steps(episodes: list[EpisodeFacts]) -> dict[str, float]:
    steps = sum(one.steps for one in episodes)
    if not steps:
        return {"steps": 0}
    return {
        "steps": steps,
        "format_error_rate": sum(one.format_errors for one in episodes) / steps,
        "no_effect_rate": sum(one.without_effect for one in episodes) / steps,
        "go_back_rate": sum(one.go_backs for one in episodes) / steps,
    }


def _of_responses(episodes: list[EpisodeFacts]) -> dict[str, float]:
    responses, sampled = sum(one.responses for one in episodes), sum(one.sampled for one in episodes)
    metrics: dict[str, float] = {"responses": responses, "responses_sampled": sampled}
    if responses:
        metrics["characters_per_response"] = sum(one.characters for one in episodes) / responses
    if sampled:
        metrics["tokens_per_response"] = sum(one.tokens for one in episodes) / sampled
        metrics["prompt_tokens_mean"] = sum(one.prompt_tokens for one in episodes) / sampled
        metrics["truncated_rate"] = sum(one.truncated for one in episodes) / sampled
    return metrics


def _of_phases(episodes: list[EpisodeFacts]) -> dict[str, float]:
    """Mean seconds of an episode, in total and per phase."""
    if not episodes:
        return {}
    seconds = Counter[str]()
    for one in episodes:
        seconds.update(one.phases)
    means = {f"phase_s_mean/{phase}": total / len(episodes) for phase, total in sorted(seconds.items())}
    return {"episode_s_mean": fmean(one.seconds for one in episodes)} | means


def _grouped(episodes: list[EpisodeFacts], key: Callable[[EpisodeFacts], str]) -> dict[str, list[EpisodeFacts]]:
    groups: dict[str, list[EpisodeFacts]] = defaultdict(list)
    for one in episodes:
        groups[key(one)].append(one)
    largest = sorted(groups, key=lambda name: (-len(groups[name]), name))[:MOST_GROUPS]
    return {name: groups[name] for name in sorted(largest)}
