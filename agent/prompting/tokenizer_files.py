"""A model directory's tokenizer files -> its control tokens. Plain JSON: needs neither transformers nor tokenizers.

tokenizer.json            added tokens, with their flags
tokenizer_config.json     added_tokens_decoder, `..._token`, extra and additional special tokens
special_tokens_map.json, added_tokens.json, tekken.json, processor_config.json    the same in other forms
chat_template.*           words that only the template has: `[INST]` is no token of Llama 2
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from agent.prompting.control_tokens import ANY_FAMILY, GENERIC, PLACEHOLDERS, ControlTokens

VOCABULARIES = ("tokenizer.json", "tekken.json")
"""Files that name all tokens; without one of them the list may be incomplete, and the pattern of all families is
added."""
SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "processor_config.json")
ADDED = "added_tokens.json"
TEMPLATES = ("chat_template.jinja", "chat_template.json")

_MARKUP = re.compile(r"\s*(?:<.*[^\W_].*>|\[.*[^\W_].*\]|\{.*[^\W_].*\}|.*\|.*[^\W_].*\|.*)\s*", re.DOTALL)
_IN_TEMPLATE = re.compile(r"<<[A-Z/]+>>|<[^<>\s\"'{}=]{1,60}>|\[/?[A-Z][A-Z_]+\]")


class TokenizerUnreadable(ValueError):
    """A tokenizer's file is no JSON of the known form. The message is one sentence."""


def control_tokens(directory: Path | None) -> ControlTokens:
    """The control tokens of the tokenizer in a model directory; of any family when there is no directory or no
    tokenizer.

    Raises `TokenizerUnreadable`.
    """
    if directory is None:
        return GENERIC
    paths = [directory / name for name in (*VOCABULARIES, *SETTINGS, ADDED, *TEMPLATES)]
    files = tuple((path, path.stat().st_mtime_ns) for path in paths if path.is_file())
    return _read(files) if files else GENERIC


@lru_cache(maxsize=4)  # every rank of a process calls this, and reading a large vocabulary takes a second
def _read(files: tuple[tuple[Path, int], ...]) -> ControlTokens:
    contents = {path.name: _content(path) for path, _ in files}
    known = any(name in contents for name in VOCABULARIES)
    try:
        tokens = {token for name, content in contents.items() for token in _tokens(name, content)}
    except (TypeError, AttributeError, KeyError) as error:
        where = files[0][0].parent
        raise TokenizerUnreadable(
            f"{where}: the tokenizer's files have an unknown form ({error!r}); copy them from the model again"
        ) from error
    return ControlTokens(tokens, pattern=PLACEHOLDERS if known else f"{ANY_FAMILY}|{PLACEHOLDERS}")


def _content(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return text if path.suffix == ".jinja" else json.loads(text)
    except (OSError, ValueError) as error:
        raise TokenizerUnreadable(
            f"{path} cannot be read as a tokenizer's file ({error}); copy it from the model again"
        ) from error


def _tokens(name: str, content: Any) -> Iterator[str]:
    match name:
        case "tokenizer.json":
            yield from _added(content.get("added_tokens") or [])
        case "tekken.json":
            yield from (token["token_str"] for token in content.get("special_tokens") or [])
        case "added_tokens.json":
            yield from filter(_MARKUP.fullmatch, content)
        case "chat_template.jinja":
            yield from _in_template(content)
        case "chat_template.json":
            yield from _in_template(content.get("chat_template"))
        case _:
            yield from _added((content.get("added_tokens_decoder") or {}).values())
            yield from _in_template(content.get("chat_template"))
            for key, value in content.items():
                if key.endswith(("_token", "special_tokens")):
                    yield from _named(value)


def _added(tokens: Any) -> Iterator[str]:
    """Special tokens, and others that look like markup (`<tool_call>`); runs of spaces and words are ordinary text."""
    for token in tokens:
        if token.get("special") or _MARKUP.fullmatch(token["content"]):
            yield token["content"]


def _named(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case {"content": str(content)}:
            yield content
        case dict():
            for each in value.values():
                yield from _named(each)
        case list():
            for each in value:
                yield from _named(each)


def _in_template(template: Any) -> Iterator[str]:
    match template:
        case str():
            yield from _IN_TEMPLATE.findall(template)
        case list():  # several templates, each with its name
            for each in template:
                yield from _in_template(each.get("template"))
        case dict():
            for each in template.values():
                yield from _in_template(each)
