"""The rubric judge: an episode's record -> a verdict of a judge model, or an unjudged one with its reason."""

import secrets
import time
from typing import Any

from agent.types import Trajectory
from agent.verdict import Verdict
from judging.blocking import blocked_by_rules
from judging.endpoints.metered import Metered
from judging.evidence_steps import EVIDENCE_MISSING
from judging.rubric.evidence import Evidence, ReadPicture, read_pictures
from judging.rubric.questions import Asker, Questions
from judging.rubric.record import index_of, record_of
from judging.rubric.scoring import SUPPORTED, Score, score_of
from judging.rubric.settings import RubricSettings
from judging.rubric.wording import PROMPT_VERSION, SURE_VERSION
from judging.steering import SHOWN_BY_AGENT, flags_of
from judging.undecided import Undecided
from judging.verdict_key import verdict_key


class RubricJudge:
    """Judges by the task's rubric and reference answer. Safe for many trajectories at once."""

    name = "rubric"

    def __init__(
        self,
        model: Metered,
        picture: ReadPicture,
        settings: RubricSettings,
        *,
        confidence: bool = False,
        secret: bytes | None = None,
    ) -> None:
        """`confidence`: ask also how sure the judge is. `secret` makes the markers of the calls; None: a new one."""
        self._model, self._picture, self._settings, self._confidence = model, picture, settings, confidence
        self._version = SURE_VERSION if confidence else PROMPT_VERSION
        self._secret = secret or secrets.token_bytes(32)

    def key(self, trajectory: Trajectory) -> str:
        """Hash of all that the verdict depends on."""
        settings = self._settings.model_dump_json()
        return verdict_key(trajectory, self.name, self._model.model, self._version, settings)

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The verdict; with `reward=None` and the reason in `unjudged` when there is none. Never raises for a model's fault."""
        began = time.monotonic()
        flags = flags_of(trajectory)
        asker = Asker(self._model, self._secret, trajectory.id)
        fields: dict[str, Any]
        try:
            fields = _fields_of(await self._score(trajectory, flags, asker))
        except Undecided as error:
            if error.code == "missing_evidence":
                flags = (*flags, EVIDENCE_MISSING)
            why = f"not judged: {error}"[:500]
            fields = {"reward": None, "unjudged": error.code, "evidence": why, "blocked": error.code == "blocked"}
        return Verdict(
            trajectory_id=trajectory.id,
            judge=self.name,
            model=self._model.model,
            prompt_version=self._version,
            flags=flags,
            tokens_in=asker.usage.tokens_in,
            tokens_out=asker.usage.tokens_out,
            cost=asker.usage.cost,
            seconds=time.monotonic() - began,
            key=self.key(trajectory),
            **fields,
        )

    async def _score(self, trajectory: Trajectory, flags: tuple[str, ...], asker: Asker) -> Score:
        settings, failure = self._settings, trajectory.failure
        if failure is not None and failure.side != "policy":
            raise Undecided("broken_episode", f"{failure.side} failure {failure.code}")
        if settings.find_blocked and (found := blocked_by_rules(trajectory)):
            raise Undecided("blocked", found.why)
        if trajectory.answer is None and settings.needs_answer:
            return Score(0.0, {SUPPORTED: False}, ("the agent gave no answer",), (), ())
        score = await self._ask(trajectory, asker)
        if score.reward > 0 and settings.distrust_steering and SHOWN_BY_AGENT & set(flags):
            raise Undecided("addresses_judge", "the agent's texts address the judge, so its success is not believed")
        return score

    async def _ask(self, trajectory: Trajectory, asker: Asker) -> Score:
        settings = self._settings
        pictures = await read_pictures(trajectory, self._picture)
        record = record_of(trajectory, pictures)
        evidence = Evidence(trajectory, record, pictures, settings.answer_limit, settings.text_limit)
        questions = Questions(asker, evidence, confidence=self._confidence)
        views = await questions.relevant(settings.most_pictures, settings.pictures_per_call)
        support = None if trajectory.answer is None else await questions.support(views)
        if support is not None and not support.supported:
            return score_of(support, None, partial=settings.partial)
        return score_of(support, await questions.facts(views), partial=settings.partial)


def _fields_of(score: Score) -> dict[str, Any]:
    return {
        "reward": score.reward,
        "criteria": score.criteria,
        "evidence": "; ".join(score.reasons)[:2_000],
        "evidence_steps": tuple(index_of(page) for page in score.pages),
        "quotes": score.quotes,
        "site_at_fault": score.site_at_fault,
        "confidence": score.confidence,
    }
