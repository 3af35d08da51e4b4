"""The alarm about a judge that called a canary task a success, for the judge stage and for a set of verdicts beside it."""

import logging
from collections.abc import Iterable, Mapping

from agent.verdict import Verdict
from flows.policy.waiting import StageError
from flows.settings.run_folder import RunFolder
from judging.meta.canary_tasks import believed
from storage.stages import StageKey

logger = logging.getLogger(__name__)


class JudgeAlarm(StageError):
    """A judge called a task a success that nobody can do. The message is one sentence."""


def check_canaries(
    folder: RunFolder, key: StageKey, verdicts: Iterable[Verdict], tasks: Mapping[str, str], *, where: str, way_out: str
) -> None:
    """Raises `JudgeAlarm` when a verdict on a canary is a success; `judge.canary_alarm: warn` only logs.

    `tasks`: ids of the canaries' tasks by trajectory. `where` names the verdicts in the sentence, `way_out` ends it.
    """
    found = believed(one for one in verdicts if one.trajectory_id in tasks)
    if not found:
        return
    first = found[0]
    more = f" (and {len(found) - 1} more such verdicts)" if len(found) > 1 else ""
    sentence = (
        f"{key}: the judge {first.judge} called the canary task {tasks[first.trajectory_id]} a success{where}, trajectory "
        f"{first.trajectory_id}{more}; nobody can do that task, so the judge's verdicts can't be trusted"
    )
    if folder.config.judge.canary_alarm == "warn":
        logger.warning("%s", sentence)
        return
    raise JudgeAlarm(f"{sentence}: look at its evidence, and mend the judge; {way_out}")
