"""Where a run learns nothing, said where people look: at its start, and after each update that had no signal."""

from environments.registry import make_environment
from flows.config import LoopConfig
from flows.run_folder import Stage, StageReport


def no_signal(report: StageReport) -> str | None:
    """Why an update taught nothing, None for one that made a version and for every other stage."""
    if report.stage is not Stage.POLICY_UPDATE or report.counts.get("version", 0) >= report.iteration:
        return None
    counts = report.counts
    groups, same, small = (counts.get(key, 0) for key in ("groups", "groups_zero_signal", "groups_too_small"))
    return (
        f"no signal: of {groups} groups {same} have equal rewards and {small} too few judged episodes, "
        f"so the policy stays v{counts.get('version', 0):04d}"
    )


def warnings(config: LoopConfig) -> list[str]:
    """What a person should know before a run is waited for."""
    if make_environment(config.environment).judges:
        return []
    return [
        f"environment {config.environment.name}: nobody judges its tasks, so every episode stays unjudged and no update learns "
        f"anything; the run only collects trajectories"
    ]
