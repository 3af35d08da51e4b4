"""Spans of calls to language models, by OpenTelemetry's semantic conventions for generative AI (gen_ai.*).

    with model_call("vllm", model="policy-7f3a", max_tokens=256, temperature=1.0) as call:
        ..
        call.set(input_tokens=1_200, output_tokens=31, finish="stop")

The conventions' fields for prompts and replies are never set.
"""

from telemetry.spans import Span, span


def model_call(provider: str, *, model: str, max_tokens: int | None = None, temperature: float | None = None) -> Span:
    """The span of one chat completion. `provider`: `vllm`, `openai`, `gcp.gemini`, `anthropic` or another short name."""
    return span(
        f"chat {model}",
        "CLIENT",
        operation="chat",
        provider=provider,
        model=model,
        max_tokens=max_tokens,
        temperature=temperature,
    )
