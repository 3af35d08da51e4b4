"""Opens the chain of judges that a configuration names, with the verdict file of the judge model."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from agent.judging.verifier import Check, Verifier
from agent.models.opening import key_of, require_sdk
from agent.types import Trajectory
from agent.verdict import Judge
from judging.blocking import blocked_by_rules
from judging.cached import Cached
from judging.chain import Chain
from judging.config import JudgeConfig, JudgeModel
from judging.endpoints.budget import Budget
from judging.endpoints.metered import Metered
from judging.endpoints.openai_compatible import OpenAICompatible
from judging.endpoints.protocol import Endpoint
from judging.endpoints.vendors import anthropic_judge, gemini_judge
from judging.rubric.evidence import ReadPicture
from judging.rubric.judge import RubricJudge
from judging.verdicts import VerdictFile
from judging.verifiers.answer_judge import AnswerJudge
from judging.verifiers.network import ReadRequests

ANSWERS = "judged.jsonl"
"""File of the judge model's verdicts beside a stage's verdicts: appended one by one, so that a kill pays for none twice."""
VENDORS = {"gemini": "gemini_computer", "anthropic": "anthropic_computer"}
"""The acting model with the same SDK."""


@asynccontextmanager
async def open_judges(
    config: JudgeConfig, check: Check, picture: ReadPicture, directory: Path, *, requests: ReadRequests | None = None
) -> AsyncGenerator[Judge, None]:
    """The chain of judges; what the judge model decided before in `directory` is not asked again. `requests`: see
    `AnswerJudge`.

    Raises `ModelUnavailable` for a missing SDK or key, `CorruptVerdicts` for a file that cannot be trusted.
    """
    if config.model is None:
        yield Chain(_without_model(config, check, requests=requests), ask_all=config.ask_all)
        return
    with VerdictFile(directory / ANSWERS) as file:
        budget = Budget(
            price=config.model.price,
            most_tokens=config.model.most_tokens,
            most_cost=config.model.most_cost,
            used=file.used,
        )
        model = Metered(endpoint_of(config.model), budget, concurrency=config.model.concurrency)
        try:
            rubric = Cached(RubricJudge(model, picture, config.rubric), file)
            yield Chain(_without_model(config, check, rubric, requests), ask_all=config.ask_all)
        finally:
            await model.close()


def quick_judge(config: JudgeConfig, check: Check, requests: ReadRequests | None = None) -> Judge | None:
    """The judges that answer at once, for a reward while the rollout goes on: all of the chain but the model.

    None for a chain of the model alone.
    """
    judges = _without_model(config, check, requests=requests)
    return Chain(judges) if judges else None


def is_judged(config: JudgeConfig, *, has_verifier: bool) -> bool:
    """True if the chain can decide about any task; the answer judge needs tasks with an expected answer."""
    return "rubric" in config.chain or ("verifier" in config.chain and has_verifier)


def check_judge_model(model: JudgeModel, environment: Mapping[str, str] = os.environ) -> str:
    """Checks without opening it that the judge model can be opened; returns its name. Raises `ModelUnavailable`."""
    require_sdk(VENDORS.get(model.kind, model.kind))
    key_of(model, environment)
    return f"{model.kind} {model.model}"


def endpoint_of(model: JudgeModel) -> Endpoint:
    """The judge model behind its protocol. Raises `ModelUnavailable`."""
    key = key_of(model)
    if model.kind == "openai_chat":
        return OpenAICompatible(
            model.model,
            base_url=model.base_url or "",
            api_key=key,
            deadline_s=model.deadline_s,
            max_tokens=model.max_tokens,
            constrained=model.constrained,
        )
    vendor = gemini_judge if model.kind == "gemini" else anthropic_judge
    return vendor(
        model.model, key=key or "", base_url=model.base_url, deadline_s=model.deadline_s, max_tokens=model.max_tokens
    )


def _without_model(
    config: JudgeConfig, check: Check, rubric: Judge | None = None, requests: ReadRequests | None = None
) -> list[Judge]:
    """The judges of the chain in its order; the rubric judge only where it is given."""
    judges: dict[str, Judge | None] = {
        "verifier": Verifier(check),
        "answer": AnswerJudge(is_blocked=_is_blocked, requests=requests),
        "rubric": rubric,
    }
    return [judge for name in config.chain if (judge := judges[name]) is not None]


def _is_blocked(trajectory: Trajectory) -> bool:
    return blocked_by_rules(trajectory) is not None
