"""The expectation of a task: the right answer, or the right end, as data. Each kind has one verifier in this folder."""

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, TypeAdapter, field_validator, model_validator

from agent.types import JsonObject, Noun, only_finite
from judging.verifiers.json_values import DEEPEST

Words = Annotated[str, Field(min_length=1, max_length=10_000)]
Phrase = Annotated[str, Field(min_length=1, max_length=1_000)]
Tolerance = Annotated[float, Field(ge=0)]
ROUNDING = 1e-9
"""Accepted difference by default: rounding of floats, but no digit of a long whole number, which may be an order's or a
book's."""


def _shallow(value: Any) -> Any:
    """The value unchanged. Raises ValueError if it is nested deeper than an answer may be: comparing recurses."""
    level, depth = [value], 0
    while level := [inner for one in level for inner in _inside(one)]:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST}")
    return value


def _inside(value: Any) -> list[Any]:
    match value:
        case dict():
            return list(value.values())
        case list() | tuple():
            return list(value)
    return []


def _finite(value: JsonValue) -> JsonValue:
    only_finite({"value": value})
    return value


FiniteJson = Annotated[JsonValue, AfterValidator(_finite), AfterValidator(_shallow)]


class TextExpectation(Noun):
    """The answer is one of some texts. Example: `TextExpectation(any_of=("Paris", "Paris, France"))`."""

    kind: Literal["text"] = "text"
    any_of: Annotated[tuple[Words, ...], Field(min_length=1, max_length=100)]
    exact: bool = False
    """True if case, inner spaces, quotes and final punctuation count."""
    within: bool = False
    """True if the text may stand in a longer answer, as whole words. If False, such an answer stays undecided."""
    free_wording: bool = False
    """True if other words may say the same: an answer without the text stays undecided instead of failing."""


class NumberExpectation(Noun):
    """The answer is a number. Example: `NumberExpectation(value=1299, unit="EUR", absolute=0.5)` accepts "€1,299.00"."""

    kind: Literal["number"] = "number"
    value: float
    unit: Annotated[str, Field(max_length=40)] = ""
    """Unit of `value`, such as `EUR`, `%` or `km`; "" if the unit is free. An answer in another unit of the same
    dimension is converted, an answer without a unit is taken to be in this one."""
    unit_required: bool = False
    absolute: Tolerance = ROUNDING
    """Largest accepted difference, in `unit`."""
    relative: Tolerance = 0.0
    """Largest accepted difference as a share of `value`; the larger one of both tolerances counts."""
    decimal_mark: Literal[".", ","] = "."
    """Reads what is ambiguous: `1,299` is 1299 with ".", and 1.299 with ","."""
    within: bool = False
    """True if the number may stand in a sentence that has no other number (of the unit, if there is one)."""

    @model_validator(mode="after")
    def _has_the_unit_it_requires(self) -> "NumberExpectation":
        if self.unit_required and not self.unit:
            raise ValueError("unit_required needs a unit")
        return self


class DateExpectation(Noun):
    """The answer is a calendar date. Example: `DateExpectation(value=date(2026, 5, 1))` accepts "May 1st, 2026"."""

    kind: Literal["date"] = "date"
    value: date
    order: Literal["dmy", "mdy"] | None = None
    """Reads `05/06/2026`; None leaves an answer undecided that has two readings."""
    days: Annotated[int, Field(ge=0)] = 0
    """Largest accepted distance, in days."""
    within: bool = False
    """True if the date may stand in a sentence that has no other date."""


class ItemsExpectation(Noun):
    """The answer lists some items. Example: `ItemsExpectation(kind="set", items=("Basic", "Pro"))` accepts "Pro, Basic"."""

    kind: Literal["set", "list"]
    """`set`: order and repetition do not count; `list`: both count."""
    items: Annotated[tuple[Words, ...], Field(min_length=1, max_length=1_000)]
    exact: bool = False
    """True if case, inner spaces, quotes, final punctuation and the notation of a number count in an item."""


class JsonExpectation(Noun):
    """The answer has a JSON value. Example: `JsonExpectation(value={"plan": "Basic", "price": 9.5})`."""

    kind: Literal["json"] = "json"
    value: FiniteJson
    exact: bool = False
    """True if case, spaces, quotes and final punctuation of strings count. Types always count: `"1"` is not `1`."""
    extra_keys: bool = False
    """True if the answer's objects may have further keys."""
    unordered: tuple[str, ...] = ()
    """Paths of lists whose order does not count, such as `rows` or `rows[].tags`; `*` for all lists, `` for the value itself."""
    absolute: Tolerance = ROUNDING
    """Largest accepted difference of numbers."""
    relative: Tolerance = 0.0
    """Largest accepted difference of numbers as a share of the expected one; the larger one of both tolerances counts."""


class UrlRules(Noun):
    """An address and the parts of it that count. The scheme (http, https) and `www.` do not.

    Example: `UrlRules(url="https://shop.example/cart?id=7", query="subset")`
    """

    url: Annotated[str, Field(max_length=4_000)]
    host: Literal["exact", "subdomain", "ignore"] = "exact"
    """`subdomain`: the host or a host below it."""
    path: Literal["exact", "prefix", "ignore"] = "exact"
    """`prefix`: the path or a path below it. A final slash does not count."""
    query: Literal["exact", "subset", "ignore"] = "exact"
    """`exact`: the same parameters in any order; `subset`: these parameters, and others are accepted."""
    fragment: Literal["exact", "ignore"] = "ignore"

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if not re.match(r"https?://[^\s/?#\\@]+(?:[/?#]|$)", url, re.IGNORECASE) or re.search(r"[\s\\]", url):
            raise ValueError("expected an http or https address without a user name")
        return url


class UrlExpectation(UrlRules):
    """The answer is an address. Example: `UrlExpectation(url="https://shop.example/cart", query="ignore")`."""

    kind: Literal["url"] = "url"
    within: bool = False
    """True if the address may stand in a sentence that has no other address."""


class PageExpectation(Noun):
    """The last page of the episode. Example: `PageExpectation(title="Order placed", has_text=("Order 17",))`."""

    kind: Literal["page"] = "page"
    url: UrlRules | None = None
    title: Words | None = None
    """Title of the page, compared normalised."""
    has_text: tuple[Phrase, ...] = ()
    """Texts that the visible text has as whole words, compared normalised. The episode must record visible text."""
    lacks_text: tuple[Phrase, ...] = ()
    """Texts that the visible text must not have."""

    @model_validator(mode="after")
    def _has_a_rule(self) -> "PageExpectation":
        if self.url is None and self.title is None and not self.has_text and not self.lacks_text:
            raise ValueError("expected a rule: url, title, has_text or lacks_text")
        return self


class StateExpectation(Noun):
    """Facts of the environment's record of the end. Example: `StateExpectation(state={"cart": {"items": 2}})`.

    Further keys of the record are accepted; lists are compared as a whole, strings exactly.
    """

    kind: Literal["state"] = "state"
    state: Annotated[JsonObject, Field(min_length=1), AfterValidator(_shallow)]
    absolute: Tolerance = ROUNDING
    """Largest accepted difference of numbers."""


class BodyRules(Noun):
    """The body of a request: JSON, a form, or text. Example: `BodyRules(has_json={"sku": 7, "quantity": 2})`."""

    has_json: FiniteJson | None = None
    """The body is JSON with these values. Objects may have further keys; lists count as a whole."""
    has_fields: dict[Words, str | tuple[str, ...]] | None = None
    """The body is a form, URL-encoded or multipart, whose fields have these values, and maybe others. A tuple for a
    repeated field; uploaded files are no fields."""
    has_text: tuple[Phrase, ...] = ()
    """Texts that the body has, as written there."""
    exact: bool = False
    """True if case, spaces, quotes and final punctuation of values count."""
    absolute: Tolerance = ROUNDING
    """Largest accepted difference of numbers in JSON."""

    @model_validator(mode="after")
    def _has_one_rule(self) -> "BodyRules":
        if (self.has_json is not None) + bool(self.has_fields) + bool(self.has_text) != 1:
            raise ValueError("expected one rule: has_json, has_fields or has_text")
        return self


class RequestRule(Noun):
    """A kind of request. Example: `RequestRule(method="POST", url=UrlRules(url="https://shop.example/cart"))`."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "write", "any"] = "write"
    """`write`: any but GET, HEAD and OPTIONS, so a request that may change something."""
    url: UrlRules
    body: BodyRules | None = None
    status: Literal["ok", "any"] | None = None
    """`ok`: answered with a status from 200 to 399; `any`: sent, whatever the answer. None: `ok` in `must`, `any` in
    `must_not`."""
    most: Annotated[int, Field(ge=1)] | None = None
    """In `must`: largest number of such requests, so that nothing is ordered twice; None: no limit."""

    @model_validator(mode="after")
    def _has_a_body(self) -> "RequestRule":
        if self.body is not None and self.method in ("GET", "HEAD", "any"):
            raise ValueError("a rule on the body needs a method that has one: POST, PUT, PATCH, DELETE or write")
        return self


class NetworkExpectation(Noun):
    """Requests that the episode's pages must have made, and must not have made.

    Example: `NetworkExpectation(must=(RequestRule(method="POST", url=UrlRules(url="https://shop.example/orders")),))`.
    WebArena-Verified (El Hattami et al. 2025) scores changes of a site in this way.
    """

    kind: Literal["network"] = "network"
    must: Annotated[tuple[RequestRule, ...], Field(max_length=20)] = ()
    must_not: Annotated[tuple[RequestRule, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _has_a_request(self) -> "NetworkExpectation":
        if not self.must and not self.must_not:
            raise ValueError("expected a rule: must or must_not")
        if any(rule.most is not None for rule in self.must_not):
            raise ValueError("must_not allows no such request: leave out most")
        return self


Single = (
    TextExpectation
    | NumberExpectation
    | DateExpectation
    | ItemsExpectation
    | JsonExpectation
    | UrlExpectation
    | PageExpectation
    | StateExpectation
    | NetworkExpectation
)


class AllExpectation(Noun):
    """All of some expectations. Example: `AllExpectation(each=(TextExpectation(any_of=("done",)), StateExpectation(..)))`."""

    kind: Literal["all"] = "all"
    each: Annotated[tuple[Annotated[Single, Field(discriminator="kind")], ...], Field(min_length=1, max_length=20)]


Expectation = Annotated[Single | AllExpectation, Field(discriminator="kind")]
"""Any of the kinds, as JSON by its `kind`."""
EXPECTATION: TypeAdapter[Any] = TypeAdapter(Expectation)
