"""A chat server's answer -> the exact sample. An answer that can't be trained on is an infrastructure failure."""

import json
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, FiniteFloat, ValidationError

from agent.failures import EpisodeFailure, failed
from agent.replies import thinking
from agent.storable import storable
from agent.types import Completion

Text = Annotated[str, BeforeValidator(lambda value: storable(value) if isinstance(value, str) else value)]


class _Logprob(BaseModel):
    logprob: FiniteFloat


class _Logprobs(BaseModel):
    content: list[_Logprob] | None = None


class _Message(BaseModel):
    content: Text | None = None
    reasoning: Text | None = None
    """Content that vLLM's reasoning parser took out; older servers use `reasoning_content`."""
    reasoning_content: Text | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    logprobs: _Logprobs | None = None


class _Reply(BaseModel):
    choices: list[_Choice]
    prompt_token_ids: list[int] | None = None


def completion_of(
    content: bytes, *, tokens: bool, version: int | None, images: tuple[str, ...], temperature: float
) -> Completion:
    """The completion in an answer; with `tokens` it must carry them. Raises `EpisodeFailure`."""
    try:
        reply = _Reply.model_validate(json.loads(content))
    except (ValueError, RecursionError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise _unusable(f"answer can't be read: {why}") from error
    if not reply.choices:
        raise _unusable("answer has no choice")
    choice = reply.choices[0]
    if choice.finish_reason in ("abort", "error"):
        raise _unusable(f"completion was broken off ({choice.finish_reason})")
    token_ids = choice.token_ids or []
    logprobs = [token.logprob for token in choice.logprobs.content or []] if choice.logprobs else []
    if len(token_ids) != len(logprobs):
        raise _unusable(f"answer has {len(token_ids)} tokens and {len(logprobs)} log-probabilities; they must match")
    if tokens and not (token_ids and reply.prompt_token_ids):
        raise _unusable(
            "answer has no token ids, without which nothing can be trained; it must be a vLLM that knows them"
        )
    text = choice.message.content or ""
    return Completion(
        text=text,
        prompt_token_ids=tuple(reply.prompt_token_ids or ()),
        token_ids=tuple(token_ids),
        logprobs=tuple(logprobs),
        finish_reason="length" if choice.finish_reason == "length" else "stop",
        policy_version=version,
        images=images,
        temperature=temperature,
        thoughts=choice.message.reasoning or choice.message.reasoning_content or thinking(text),
    )


def _unusable(what: str) -> EpisodeFailure:
    return failed("infra", "MODEL_ERROR", f"the model server's {what}", retryable=True)
