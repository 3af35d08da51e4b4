"""Checks of the shop's templates: the wanted change is there, and nothing else changed."""

from collections.abc import Mapping
from typing import Any

from environments.tasks.answers import is_number
from environments.tasks.templates import Ending


def within(end: Ending, *patterns: str) -> dict[str, bool]:
    """True if only these paths changed."""
    return {"no_side_effects": end.changes.only(*patterns)}


def changed_to(end: Ending, path: str, value: Any) -> dict[str, bool]:
    """True if the value at `path` changed to `value` (None: it is gone), and nothing else changed."""
    changed = any(change.path == path and change.after == value for change in end.changes.all)
    return {"changed_as_wanted": changed} | within(end, path)


def ordered(end: Ending) -> dict[str, bool]:
    """True if there is exactly one new order, with the wanted items, address, delivery and coupon."""
    wanted = {key: end.parameters[key] for key in ("items", "address", "delivery", "coupon")}
    found = [{key: order[key] for key in wanted} for order in end.changes.added("orders/*")]
    return {"ordered_as_wanted": found == [wanted]}


def answered(end: Ending) -> Mapping[str, bool]:
    """True if the answer is the wanted number, and nothing changed."""
    return {"answer": is_number(end.answer, float(end.parameters["answer"]))} | within(end)


def in_cart(end: Ending) -> Mapping[str, bool]:
    """So many more of the product are in the cart, and nothing else changed."""
    return changed_to(end, f"cart/{end.parameters['product']}", end.parameters["count"] + end.parameters["quantity"])


def quantity_set(end: Ending) -> Mapping[str, bool]:
    """So many of the product are in the cart, and nothing else changed."""
    return changed_to(end, f"cart/{end.parameters['product']}", end.parameters["quantity"])


def out_of_cart(end: Ending) -> Mapping[str, bool]:
    """The product is gone from the cart, and nothing else changed."""
    return changed_to(end, f"cart/{end.parameters['product']}", None)


def on_wishes(end: Ending) -> Mapping[str, bool]:
    """The product is on the wish list, and nothing else changed."""
    return changed_to(end, f"wishes/{end.parameters['product']}", True)


def off_wishes(end: Ending) -> Mapping[str, bool]:
    """The product is off the wish list, and nothing else changed."""
    return changed_to(end, f"wishes/{end.parameters['product']}", None)


def newsletter_set(end: Ending) -> Mapping[str, bool]:
    """The newsletter is toggled, and nothing else changed."""
    return changed_to(end, "newsletter", end.parameters["fields"]["Newsletter"])


def email_set(end: Ending) -> Mapping[str, bool]:
    """The e-mail address is the new one, and nothing else changed."""
    return changed_to(end, "email", end.parameters["fields"]["E-mail"])


def cancelled(end: Ending) -> Mapping[str, bool]:
    """The order is cancelled, and nothing else changed."""
    return changed_to(end, f"orders/{end.parameters['order']}/status", "cancelled")


def address_added(end: Ending) -> Mapping[str, bool]:
    """The address is there, and nothing else changed."""
    fields = end.parameters["address"]
    wanted = {"street": fields["Street"], "city": fields["City"], "postcode": fields["Postcode"]}
    return changed_to(end, f"addresses/{fields['Label']}", wanted)


def reviewed(end: Ending) -> Mapping[str, bool]:
    """The review is there, and nothing else changed."""
    wanted = {"stars": end.parameters["stars"], "text": end.parameters["text"]}
    return changed_to(end, f"reviews/{end.parameters['product']}", wanted)


def message_sent(end: Ending) -> Mapping[str, bool]:
    """Exactly one message is sent, the wanted one."""
    wanted = {"subject": end.parameters["subject"], "text": end.parameters["text"]}
    return {"message_sent": end.changes.added("messages/*") == [wanted]} | within(end, "messages/*")


def cart_ordered(end: Ending) -> Mapping[str, bool]:
    """The cart is ordered as wanted, and is empty."""
    return ordered(end) | within(end, "orders/*", *(f"cart/{key}" for key in end.parameters["items"]))


def alone_ordered(end: Ending) -> Mapping[str, bool]:
    """The product is ordered as wanted, and the cart is as before."""
    return ordered(end) | within(end, "orders/*")
