"""Verifies an address by the parts that count: host, path, query, fragment."""

import re
from itertools import islice
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from judging.verifiers.expectations import UrlExpectation, UrlRules
from judging.verifiers.findings import Finding, by_place, shown
from judging.verifiers.wording import said

LONGEST = 4_000
"""Largest number of characters of an address that is read."""
LONGEST_HOST = 253
MOST_PARAMETERS = 200
MOST = 50
"""Largest number of addresses that are read in an answer; one with more stays undecided."""
IN_TEXT = re.compile(r"https?://[^\s<>\"'`\[\]{}|]+", re.IGNORECASE)
PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """The parts of an address, in canonical form. Example: `Address("shop.example", None, "/cart", (("id", "7"),), "")`."""

    host: str
    port: int | None
    """None for the scheme's own port."""
    path: str
    query: tuple[tuple[str, str], ...]
    """Parameters, sorted."""
    fragment: str


def address_of(text: str) -> Address | None:
    """The address of a text, None if it is no http or https address that every program reads in the same way.

    A user name, a backslash, a space or a control character makes a browser and a library see different hosts.
    """
    if len(text) > LONGEST or re.search(r"[\s\\\x00-\x20\x7f\ud800-\udfff]", text):
        return None
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = canonical_host(parts.hostname or ""), parts.port
        query = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        return None
    if parts.scheme not in PORTS or "@" in parts.netloc or not host:
        return None
    return Address(
        host, None if port == PORTS[parts.scheme] else port, _path(parts), tuple(sorted(query)), unquote(parts.fragment)
    )


def canonical_host(host: str) -> str:
    """A host in lower case and ASCII, without `www.` and final dot. Raises ValueError if it is none."""
    host = host.rstrip(".").lower()
    if len(host) > LONGEST_HOST:
        raise ValueError("too long for a host")  # before the codec, which takes quadratic time
    if not host.isascii():
        host = host.encode("idna").decode()  # UnicodeError is a ValueError
    if not re.fullmatch(r"[a-z0-9_.:-]+", host):
        raise ValueError("no host")
    return host.removeprefix("www.")


def url_criteria(rules: UrlRules, url: str) -> dict[str, bool]:
    """The result of each rule for an address: `url host`, `url path`, `url query`, `url fragment`; those ignored are left out."""
    wanted, given = address_of(rules.url), address_of(url)
    if wanted is None or given is None:
        return {"url": False}
    criteria: dict[str, bool] = {}
    if rules.host != "ignore":
        below = rules.host == "subdomain" and given.host.endswith(f".{wanted.host}")
        criteria["url host"] = (given.host == wanted.host or below) and given.port == wanted.port
    if rules.path != "ignore":
        below = rules.path == "prefix" and given.path.startswith(f"{wanted.path.rstrip('/')}/")
        criteria["url path"] = given.path == wanted.path or below
    if rules.query != "ignore":
        criteria["url query"] = (
            given.query == wanted.query if rules.query == "exact" else _has_all(given.query, wanted.query)
        )
    if rules.fragment != "ignore":
        criteria["url fragment"] = given.fragment == wanted.fragment
    return criteria or {"url": True}


def check_url(expected: UrlExpectation, answer: str) -> Finding:
    """Compares the answer with the address. Undecided when it stands among other words, unless `within` is True and it
    is the only address."""
    text = _bare(said(answer))
    if address_of(text) is not None and ("://" in text or "." in text):
        criteria = url_criteria(expected, text)
        evidence = f"expected {shown(expected.url)}, found the answer {shown(answer)}"
        return Finding(all(criteria.values()), criteria, evidence)
    found = [_bare(match[0]) for match in islice(IN_TEXT.finditer(text), MOST)]
    fits = [all(url_criteria(expected, one).values()) for one in found]
    return by_place(
        "url",
        expected=shown(expected.url),
        answer=answer,
        is_whole=False,
        is_inside=any(fits) or len(found) == MOST,
        accepts_inside=expected.within and len(found) < MOST and bool(found) and all(fits),
    )


def _bare(text: str) -> str:
    """The text without quotes, brackets and emphasis around it, and without a sentence's final punctuation.

    A closing bracket that the address itself has opened stays: `https://wiki.example/Mercury_(planet)`.
    """
    text = text.strip().strip("\"'`*<>").lstrip("(")
    text = text.rstrip(".,;:!?\"'`*>")
    surplus = text.count(")") - text.count("(")
    while surplus > 0 and text.endswith(")"):
        text, surplus = text[:-1], surplus - 1
    return text.rstrip(".,;:!?")


def _has_all(given: tuple[tuple[str, str], ...], wanted: tuple[tuple[str, str], ...]) -> bool:
    return all(given.count(pair) >= wanted.count(pair) for pair in set(wanted))


def _path(parts: SplitResult) -> str:
    """The path decoded once, without `.` and `..`, and without a final slash. A decoded slash is no separator."""
    kept: list[str] = []
    for segment in parts.path.split("/"):
        match unquote(segment).replace("/", "\0"):
            case "..":
                del kept[-1:]
            case "." | "":
                pass
            case decoded:
                kept.append(decoded)
    return "/" + "/".join(kept)
