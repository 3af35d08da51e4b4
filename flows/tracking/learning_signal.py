"""Warnings about missing learning signal: at the start of a run, and after each update without signal."""

from environments.registry import make_environment
from flows.settings.loop_config import LoopConfig
from judging.opening import is_judged
from storage.stages import Stage, StageReport


def no_signal(report: StageReport) -> str | None:
    """The reason why an update had no signal; None for an update that made a version and for every other stage."""
    if report.stage is not Stage.POLICY_UPDATE or report.counts.get("version", 0) >= report.iteration:
        return None
    counts = report.counts
    groups, same, small = (counts.get(key, 0) for key in ("groups", "groups_zero_signal", "groups_too_small"))
    return (
        f"no signal: of {groups} groups {same} have equal rewards and {small} too few judged episodes, "
        f"so the policy stays v{counts.get('version', 0):04d}"
    )


def warnings(config: LoopConfig) -> list[str]:
    """Warnings that a user should see before waiting for a run."""
    environment = config.environment
    found = _unasked(config)
    if is_judged(config.judge, environment.name, has_verifier=make_environment(environment).judges):
        return found
    if "answer" in config.judge.chain_in(environment.name):
        return [
            *found,
            f"environment {config.environment.name}: it has no verifier, so only episodes of tasks with an expected answer "
            f"get a verdict (`rl-loop tasks check` counts them); judge.chain=[answer, rubric] with judge.model judges all",
        ]
    return [
        *found,
        f"environment {config.environment.name}: it has no verifier, so every episode stays unjudged and no update learns "
        f"anything; the run only collects trajectories",
    ]


def _unasked(config: LoopConfig) -> list[str]:
    """A warning about judge models that no chain of this run asks."""
    chain = config.judge.chain_in(config.environment.name)
    if not config.judge.named_models or {"rubric", "panel"} & set(chain):
        return []
    return [
        f"the chain {', '.join(chain)} asks no judge model; judge.models are asked only for tasks that name rubric or panel "
        f"in their own field judge"
    ]
