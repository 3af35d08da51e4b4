"""Wikitext of articles: sections, and the texts that an edit may leave, whatever blank lines it makes."""

import re
from collections.abc import Iterable
from hashlib import sha1
from itertools import product

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
SHA1_DIGITS = 31
LINK = re.compile(r"\[\[(?:Category:)?([^]|#]+)")
HEADING = re.compile(r"^(?===[^=])", re.MULTILINE)


def sections(text: str) -> list[str]:
    """The text before the first heading, and each section with its heading."""
    return [part.strip() for part in HEADING.split(text)]


def with_section(text: str, heading: str, body: str) -> list[str]:
    """The texts in which a section has another body."""
    parts = sections(text)
    place = next(number for number, part in enumerate(parts) if part.startswith(f"== {heading} =="))
    before, after = "\n\n".join(parts[:place]), "\n\n".join(parts[place + 1 :])
    return [
        f"{before}\n\n== {heading} =={first}{body}{last}{after}"
        for first, last in product(("\n", "\n\n"), ("\n\n", "\n", "\n\n\n"))
    ]


def with_category(text: str, name: str) -> list[str]:
    """The texts that are in one more category: at the end, at the beginning, before or between the others."""
    line = f"[[Category:{name}]]"
    first = text.index("[[Category:")
    lines = text[first:].split("\n")
    placed = ["\n".join([*lines[:place], line, *lines[place:]]) for place in range(len(lines) + 1)]
    ends = [f"{text}{gap}{line}" for gap in ("\n\n", " ", "")]
    begins = [f"{line}{gap}{text}" for gap in ("\n", "\n\n", "")]
    return [*(text[:first] + lines for lines in placed), *ends, *begins]


def with_topic(text: str, subject: str, body: str) -> list[str]:
    """The texts of a discussion page with one more topic at its end."""
    before = [text + gap for gap in ("\n\n", "\n")] if text else [""]
    return [f"{old}== {subject} =={gap}{body}" for old in before for gap in ("\n\n", "\n")]


def linked(text: str) -> set[str]:
    """Titles of pages and names of categories that a text links to, as tables have them."""
    return {title.strip().replace(" ", "_") for title in LINK.findall(text)}


def digest(text: str) -> str:
    """The digest that the wiki keeps of each revision's text: SHA-1 in base 36."""
    number, found = int(sha1(text.encode()).hexdigest(), 16), ""
    while number:
        number, digit = divmod(number, 36)
        found = DIGITS[digit] + found
    return found.rjust(SHA1_DIGITS, "0")


def is_one_of(found: str, texts: Iterable[str]) -> bool:
    """True if a revision's digest is that of one of the texts."""
    return found in {digest(text) for text in texts}
