"""Untrusted text in a canonical form for comparison. Time grows linearly with the length of the text."""

import re
import unicodedata

MOST_MARKS = 30
"""Largest number of combining characters in a row; the rest is dropped, as Unicode's stream-safe format does, because
sorting them takes quadratic time."""
LABEL = re.compile(r"(?im)^[ \t>*#_]{0,8}(?:the |my )?(?:final )?answer[*_]{0,2}[ ]?[:\uff1a][*_]{0,2}")
PAIRED = "\"'`*_"
"""Characters that are removed when the text begins and ends with the same one."""
LAYERS = 8
"""Largest number of quotes or emphasis marks around each other that are removed."""
SAME = str.maketrans(
    dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02", '"')
    | dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\uff07", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\uff0d", "-")
    | dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad")
    | dict.fromkeys("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    | {chr(code): chr(code - 0xFEE0) for code in range(0xFF10, 0xFF5B)}
)
"""Other forms of quotes, dashes and Latin characters; invisible characters are removed."""


def said(answer: str) -> str:
    """The final statement of an answer: the text after its last line label `Answer:`, otherwise the whole answer."""
    tail = ""
    for label in LABEL.finditer(answer):
        tail = answer[label.end() :]
    return tail.strip() or answer.strip()


def unified(text: str) -> str:
    """The text with one form for each character and single spaces; case and punctuation are kept."""
    if not text.isascii():
        text = composed(text).translate(SAME)
        text = "".join(str(unicodedata.digit(c)) if c.isdecimal() and c > "9" else c for c in text)
    return " ".join(text.split())


def trimmed(text: str) -> str:
    """The unified text without final punctuation and without quotes or Markdown emphasis around the whole."""
    whole = text = unified(text)
    for _ in range(LAYERS):
        bare = text.rstrip(".,;: 。、")
        if bare.endswith("!") and bare.rstrip("!")[-1:].isalpha():  # "5!" is a number of its own
            bare = bare.rstrip("!")
        if len(bare) >= 2 and bare[0] == bare[-1] and bare[0] in PAIRED:
            bare = bare[1:-1].strip()
        if bare == text:
            break
        text = bare
    return text or whole


def composed(text: str) -> str:
    """The text in one Unicode form (NFC), without outer spaces: all that an exact comparison ignores."""
    return (text if text.isascii() else unicodedata.normalize("NFC", _without_long_marks(text))).strip()


def normalised(text: str) -> str:
    """The trimmed text without regard to case. Example: `normalised(" “Paris”. ") == "paris"`."""
    return unicodedata.normalize("NFC", trimmed(text).casefold())


def has_words(text: str, part: str) -> bool:
    """True if `part` stands in `text` as whole words; both normalised. A part of a number is no word: "42" is not in "42.5"."""
    if not part:
        return False
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        if not _joined(text, start) and not _joined(text, end):
            return True
        start = text.find(part, start + 1)
    return False


def _joined(text: str, place: int) -> bool:
    """True if the characters before and after a place belong to one word or number."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if before.isalnum() and after.isalnum():
        return not (_without_spaces(before) or _without_spaces(after))
    if before in ".,-" and after.isdigit():
        return True if before == "-" else text[place - 2 : place - 1].isdigit() or before == "."
    return before.isdigit() and (after == "%" or (after in ".," and text[place + 1 : place + 2].isdigit()))


def _without_spaces(letter: str) -> bool:
    """True for the scripts that put no spaces between words (Thai, Lao, Chinese, Japanese)."""
    code = ord(letter)
    return 0x0E00 <= code <= 0x0EFF or 0x2E80 <= code <= 0xA4CF or 0xF900 <= code <= 0xFAFF or code >= 0x20000


def _without_long_marks(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks <= MOST_MARKS:
            kept.append(letter)
    return "".join(kept)
