"""Opens the judges that a configuration names, with the verdict file of the judge models."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path

from agent.judging.verifier import Check, Verifier
from agent.models.opening import key_of, require_sdk
from agent.types import JudgeName, Trajectory
from agent.verdict import Judge
from judging.blocking import blocked_by_rules
from judging.by_task import ByTask
from judging.cached import Cached, KeyedJudge
from judging.config import JudgeConfig, JudgeModel
from judging.endpoints.budget import Budget
from judging.endpoints.metered import Metered
from judging.endpoints.openai_compatible import OpenAICompatible
from judging.endpoints.protocol import Endpoint, Usage
from judging.endpoints.vendors import anthropic_judge, gemini_judge
from judging.panels.panel import Panel
from judging.rubric.evidence import ReadPicture
from judging.rubric.judge import RubricJudge
from judging.verdicts import VerdictFile
from judging.verifiers.answer_judge import AnswerJudge
from judging.verifiers.network import ReadRequests

ANSWERS = "judged.jsonl"
"""File of the judge models' verdicts beside a stage's verdicts: appended one by one, so that a kill pays for none twice."""
VENDORS = {"gemini": "gemini_computer", "anthropic": "anthropic_computer"}
"""The acting model with the same SDK."""


@asynccontextmanager
async def open_judges(
    config: JudgeConfig, check: Check, picture: ReadPicture, directory: Path, *, requests: ReadRequests | None = None
) -> AsyncGenerator[Judge, None]:
    """The judges of the configuration, by the chain of each task; what a judge model decided before in `directory` is
    not asked again. `requests`: see `AnswerJudge`.

    Raises `ModelUnavailable` for a missing SDK or key, `CorruptVerdicts` for a file that cannot be trusted.
    """
    if not config.named_models:
        yield ByTask(config, _without_model(check, requests))
        return
    async with AsyncExitStack() as stack:
        file = stack.enter_context(VerdictFile(directory / ANSWERS))
        models: dict[str, Metered] = {}
        for name, model in config.named_models.items():
            models[name] = metered(model, file.used_by(model.model))
            stack.push_async_callback(models[name].close)
        asked = _with_models(config, models, picture, file, stack)
        yield ByTask(config, _without_model(check, requests) | asked)


def quick_judge(config: JudgeConfig, check: Check, requests: ReadRequests | None = None) -> Judge:
    """The judges that answer at once, for a reward while the rollout goes on: all of a task's chain but the models.

    A task whose chain has none of them stays unjudged until the judge stage.
    """
    return ByTask(config, _without_model(check, requests), quick=True)


def is_judged(config: JudgeConfig, environment: str, *, has_verifier: bool) -> bool:
    """True if the environment's chain can decide about any task; the answer judge needs tasks with an expected answer."""
    chain = config.chain_in(environment)
    return "rubric" in chain or "panel" in chain or ("verifier" in chain and has_verifier)


def metered(model: JudgeModel, used: Usage) -> Metered:
    """A judge model with its limits; `used` is what its budget has spent before. Raises `ModelUnavailable`."""
    budget = Budget(price=model.price, most_tokens=model.most_tokens, most_cost=model.most_cost, used=used)
    return Metered(endpoint_of(model), budget, concurrency=model.concurrency)


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


def _without_model(check: Check, requests: ReadRequests | None) -> dict[JudgeName, Judge]:
    return {"verifier": Verifier(check), "answer": AnswerJudge(is_blocked=_is_blocked, requests=requests)}


def _with_models(
    config: JudgeConfig, models: Mapping[str, Metered], picture: ReadPicture, file: VerdictFile, stack: AsyncExitStack
) -> dict[JudgeName, Judge]:
    """The rubric judge and the panel. A model that both ask the same question answers it once.

    `stack` closes them before the models and the file that they use, the panel before its members.
    """

    def cached(judge: KeyedJudge) -> Cached:
        made = Cached(judge, file)
        stack.push_async_callback(made.close)
        return made

    @cache
    def rubric(name: str, confidence: bool) -> Cached:
        return cached(RubricJudge(models[name], picture, config.rubric, confidence=confidence))

    judges: dict[JudgeName, Judge] = {}
    if config.rubric_name is not None:
        judges["rubric"] = rubric(config.rubric_name, False)
    if (panel := config.panel) is not None:
        members = {name: rubric(name, panel.asks_confidence(name)) for name in panel.members}
        judges["panel"] = cached(Panel(panel, members))
    return judges


def _is_blocked(trajectory: Trajectory) -> bool:
    return blocked_by_rules(trajectory) is not None
