"""Supervised learning on demonstrations: prompts and replies in, a policy out that an update can improve.

Only the reply's tokens have loss. This makes a starting point only; the loop itself trains on stored tokens with
`update.py` and never renders a prompt again.
"""

import io
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from training.torchvision_on_cpu import declare_missing_operators

log = logging.getLogger(__name__)


class Demonstration(NamedTuple):
    """One prompt with the reply to imitate. Example: `Demonstration(messages=[{"role": "user", ...}], reply="click(3)")`."""

    messages: list[dict[str, Any]]
    reply: str
    images: tuple[bytes, ...] = ()
    """Encoded pictures, in the order of the prompt's image parts."""


def warm_start(
    policy: Path,
    destination: Path,
    batches: Iterable[list[Demonstration]],
    *,
    steps: int,
    learning_rate: float,
    warmup_steps: int = 20,
    seed: int = 0,
) -> list[float]:
    """Trains the policy in directory `policy` on `steps` batches and writes it to `destination`.

    AdamW, cosine schedule down to a tenth of `learning_rate`. Returns the loss per step in nats per reply token.
    """
    declare_missing_operators()
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    torch.manual_seed(seed)
    processor = AutoProcessor.from_pretrained(policy)
    model = AutoModelForImageTextToText.from_pretrained(policy)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    losses: list[float] = []
    for step, batch in zip(range(steps), batches, strict=False):
        progress = min(1.0, (step + 1) / warmup_steps) * (0.55 + 0.45 * math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * progress
        loss = reply_loss(model, encode(processor, batch))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % 25 == 0:
            log.info("warm start step %d/%d loss %.3f", step, steps, losses[-1])
    destination.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(destination)
    processor.save_pretrained(destination)
    return losses


def reply_loss(model: Any, inputs: dict[str, Any]) -> Any:
    """Mean negative log-likelihood of the reply tokens. The head runs at these few positions only."""
    import torch

    labels = inputs["labels"][:, 1:]
    hidden = model.model(**{k: v for k, v in inputs.items() if k != "labels"}).last_hidden_state[:, :-1]
    chosen = labels != -100
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[chosen]), labels[chosen])


def encode(processor: Any, batch: list[Demonstration]) -> dict[str, Any]:
    """Encodes a batch as model inputs with `labels` of -100 everywhere except on the replies (B, T)."""
    import torch
    from PIL import Image

    prompts = [processor.apply_chat_template(d.messages, tokenize=False, add_generation_prompt=True) for d in batch]
    texts = [prompt + d.reply + "<|im_end|>" for prompt, d in zip(prompts, batch, strict=True)]
    images = [Image.open(io.BytesIO(data)).convert("RGB") for d in batch for data in d.images]
    inputs = processor(text=texts, images=images or None, padding=True, padding_side="right", return_tensors="pt")
    labels = inputs["input_ids"].clone().fill_(-100)
    for row, demonstration in enumerate(batch):
        # The reply is located from the right, because the prompt's length depends on the expansion of its pictures.
        length = int(inputs["attention_mask"][row].sum())
        reply = len(processor.tokenizer(demonstration.reply + "<|im_end|>", add_special_tokens=False)["input_ids"])
        labels[row, length - reply : length] = inputs["input_ids"][row, length - reply : length]
    return {**inputs, "labels": torch.as_tensor(labels)}
