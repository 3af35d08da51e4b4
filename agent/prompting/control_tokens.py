"""Text of pages, goals and models -> the same text without any control token of the tokenizer.

`<|im_end|>` becomes `<| im_end|>`: a plain space after the brackets. The model can still read the page's text and
write it with keyboard characters. Invisible characters would fail: a model cannot copy them, and tokenizers that
normalise their input remove them. Nothing is removed, so `<|im_<|im_end|>end|>` leaves no token behind.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

REPLACED = "\ufffd"
"""Replaces a single character that is a control token and cannot be broken."""

PLACEHOLDERS = (
    r"</?(?:image|images|img|video|audio|vision|im_patch|img_context|image_soft_token|audio_soft_token|start_of_image)>"
    r"|<\|(?:image|img|video|audio|media)[^\s<>|]{0,40}\|>"
)
"""Words that processors of vLLM and transformers look for in the text, before tokenizing; not every one is a token."""
OPENING = "<|/([{"
"""First characters of control tokens; the space comes after them."""
_NAMES = (
    r"s|pad|unk|bos|eos|mask|cls|sep|bom|eom|sop|eop|eod|eot|think|thinking|thought|tools?|tool_(?:calls?|responses?|results?)|"
    r"function_?(?:calls?|responses?)|system|user|assistant|(?:start|end)_of_[a-z_]+|(?:begin|end)_of_[a-z_]+|im_(?:start|end)|"
    r"endoftext|endofprompt|fim_[a-z]+|unused\d+|reserved[a-z_]*\d+|extra_id_\d+|special_?\d+|0x[0-9a-f]{2}|sys"
)
ANY_FAMILY = (
    r"<\|/?[^\s<>|/(\[{][^<>\n]{0,80}>|</?[^\s<>|/(\[{][^<>\n]{0,80}\|>"  # <|im_end|> <|turn> <turn|>
    rf"|<</?sys>>|</?(?:{_NAMES})>"
    r"|\[/?(?:inst|img|img_break|img_end|audio|begin_audio|tool_calls|tool_results|tool_content|available_tools|system_prompt|"
    r"think|args|call_id|prefix|middle|suffix|pad|unk|cls|sep|mask|bos|eos|g?mask|smask|multimodal|model_settings|control_\d+|"
    r"unused\d+)\]"
)
"""Pattern of control tokens in all known model families, for an unknown tokenizer."""


class _Folded(NamedTuple):
    """A text as a tokenizer's normaliser may see it, and the original index of each of its characters."""

    text: str
    origin: list[int]


class ControlTokens:
    """Control tokens that a prompt's text must not contain, for one tokenizer. Example:
    `ControlTokens(["<|im_end|>"])`.

    Compared without case, accents, widths and invisible characters, because a tokenizer searches for a token with
    `normalized: true` after it has removed those.
    """

    def __init__(self, tokens: Iterable[str] = (), *, pattern: str = PLACEHOLDERS) -> None:
        """`tokens` are the tokenizer's own; `pattern` finds more in folded text, but no space after `OPENING`."""
        folded = {_fold(token).text for token in tokens}
        self._tokens = frozenset(token for token in folded if _can_be_broken(token))
        self._lengths = sorted({len(token) for token in self._tokens})
        starts = "".join(map(re.escape, sorted({token[0] for token in self._tokens})))
        self._starts = re.compile(f"[{starts}]") if starts else None
        self._pattern = re.compile(f"(?=({pattern}))")  # as a look-ahead, which finds overlapping matches

    def defused(self, text: str) -> str:
        """The text with every control token broken; unchanged if it has none."""
        # Terminates: each round lengthens a match beyond the longest token, or replaces a character.
        while breaks := self._breaks(text):
            text = _broken(text, breaks)
        return text

    def defused_around(self, text: str, kept: tuple[str, ...]) -> str:
        """Like `defused`, but keeps a reply's own syntax: the first of each of `kept`, if in this order."""
        pieces: list[str] = []
        for mark in kept:
            before, found, after = text.partition(mark)
            if found:
                pieces += [self.defused(before), mark]
                text = after
        return "".join([*pieces, self.defused(text)])

    def _breaks(self, text: str) -> dict[int, bool]:
        """Breaks by index in `text`: True inserts a space before the character, False replaces it."""
        folded = _fold(text)
        return dict(_break(folded, begin, end, text) for begin, end in self._found(folded.text))

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        for match in self._pattern.finditer(text):
            yield match.span(1)
        for match in self._starts.finditer(text) if self._starts else ():
            begin = match.start()
            for length in self._lengths:
                if begin + length <= len(text) and text[begin : begin + length] in self._tokens:
                    yield begin, begin + length


def _can_be_broken(token: str) -> bool:
    """False for white space alone, which is layout, and for a single ASCII character: some tokenizers pad with `!`."""
    core = token.strip()
    return bool(core) and core != REPLACED and not (len(core) == 1 and core.isascii())


def _break(folded: _Folded, begin: int, end: int, text: str) -> tuple[int, bool]:
    """Position after the token's opening brackets if inside, else between its first two characters, if it has two."""
    characters, origin = folded.text, folded.origin
    inside = [at for at in range(begin + 1, end) if origin[at] != origin[at - 1]]
    # A space beside a space is the last choice: some normalisers merge them.
    solid = [at for at in inside if not characters[at].isspace() and not characters[at - 1].isspace()]
    if inside:
        at = next((at for at in solid if characters[at] not in OPENING), (solid or inside)[0])
        return origin[at], True
    return origin[begin], False


def _broken(text: str, breaks: dict[int, bool]) -> str:
    pieces: list[str] = []
    last = 0
    for at in sorted(breaks):
        pieces += [text[last:at], " " if breaks[at] else REPLACED]
        last = at if breaks[at] else at + 1
    return "".join([*pieces, text[last:]])


def _fold(text: str) -> _Folded:
    characters = [_folded_character(character) for character in text]
    origin = [at for at, folded in enumerate(characters) for _ in folded]
    return _Folded("".join(characters), origin)


@cache
def _folded_character(character: str) -> str:
    """The character without everything that a normaliser may remove. Example: `É` becomes `e`."""
    if character.isspace() or character == "\u2581":  # SentencePiece's space
        return " "
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(" " if part.isspace() else part for part in decomposed if unicodedata.category(part)[0] not in "MC")


GENERIC = ControlTokens(pattern=f"{ANY_FAMILY}|{PLACEHOLDERS}")
"""For an unknown tokenizer: the control tokens of any family."""
