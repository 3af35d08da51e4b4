"""Checks of the ticket office's templates: the wanted rows are there, and nothing changed that does not follow from them."""

import json
from collections.abc import Mapping
from typing import Any

from environments.applications.hosted.rows import Row, Rows
from environments.tasks.answers import is_number, is_text
from environments.tasks.changes import Changes
from environments.tasks.templates import Check, Ending, Parameters

ITEMS, CATEGORIES, QUOTAS, VOUCHERS, ORDERS = (
    f"pretixbase_{name}" for name in ("item", "itemcategory", "quota", "voucher", "order")
)
PAYMENTS, TRANSACTIONS, LISTS = (f"pretixbase_{name}" for name in ("orderpayment", "transaction", "checkinlist"))
MAILS, SETTINGS = "pretixbase_outgoingmail", "pretixbase_event_settingsstore"
DEFAULTS = ("__fee_reverse_calc",)
"""Ends of the keys of settings that pretix writes when it first needs them."""


def number_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the number, and nothing changed."""
    return {
        "answer": is_number(end.answer, float(end.parameters["answer"])),
        "no_side_effects": only(rows_of(end)),
    }


def text_answered(end: Ending) -> Mapping[str, bool]:
    """The answer is the text, and nothing changed."""
    return {"answer": is_text(end.answer, end.parameters["answer"]), "no_side_effects": only(rows_of(end))}


def column_set(table: str, key: str, column: str, value: str) -> Check:
    """One column of one row has the value of the parameter `value`; the row's id is the parameter `key`."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, number = rows_of(end), end.parameters[key]
        return {
            "changed_as_wanted": is_value(rows.changed(table, number).get(column), end.parameters[value]),
            "no_side_effects": only(rows, f"{table}/{number}/{column}"),
        }

    return check


def deactivated(end: Ending) -> Mapping[str, bool]:
    """The product is no longer sold."""
    rows, number = rows_of(end), end.parameters["product"]
    return {
        "deactivated": rows.changed(ITEMS, number).get("active") is False,
        "no_side_effects": only(rows, f"{ITEMS}/{number}/active"),
    }


def added(table: str, **columns: str) -> Check:
    """There is exactly one new row in a table, of the event, whose columns have the values of these parameters."""

    def check(end: Ending) -> Mapping[str, bool]:
        rows, wanted = rows_of(end), end.parameters
        new = rows.new(table)
        found = [
            row["event_id"] == wanted["number"]
            and all(is_value(row[column], wanted[parameter]) for column, parameter in columns.items())
            for row in new.values()
        ]
        return {"added": found == [True], "no_side_effects": only(rows, *new_rows(table, new))}

    return check


def removed(end: Ending) -> Mapping[str, bool]:
    """The voucher is gone, and no other one."""
    rows = rows_of(end)
    gone = rows.gone(VOUCHERS)
    return {
        "removed": set(gone) == {str(end.parameters["voucher"])},
        "no_side_effects": only(rows, *new_rows(VOUCHERS, gone)),
    }


def paid(end: Ending) -> Mapping[str, bool]:
    """The order is paid, by a confirmed payment of its total."""
    rows, wanted = rows_of(end), end.parameters
    return {
        "paid": rows.changed(ORDERS, wanted["order"]).get("status") == "p",
        "no_side_effects": only(
            rows,
            f"{ORDERS}/{wanted['order']}/status",
            *of_payments(rows, wanted),
            *of_mails(rows, wanted["order"]),
        ),
    }


def canceled(end: Ending) -> Mapping[str, bool]:
    """The order is canceled."""
    rows, wanted = rows_of(end), end.parameters
    booked = {key: row for key, row in rows.new(TRANSACTIONS).items() if row["order_id"] == wanted["order"]}
    return {
        "canceled": rows.changed(ORDERS, wanted["order"]).get("status") == "c",
        "no_side_effects": only(
            rows,
            f"{ORDERS}/{wanted['order']}/status",
            f"{ORDERS}/{wanted['order']}/cancellation_date",
            *new_rows(TRANSACTIONS, booked),
            *of_payments(rows, wanted),
            *of_mails(rows, wanted["order"]),
        ),
    }


def of_payments(rows: Rows, wanted: Parameters) -> list[str]:
    """Paths of new payments of the order, and of the open one, which is given up for them."""
    new = {key: row for key, row in rows.new(PAYMENTS).items() if row["order_id"] == wanted["order"]}
    return [*new_rows(PAYMENTS, new), f"{PAYMENTS}/{wanted['payment']}/state"]


def of_mails(rows: Rows, order: int) -> list[str]:
    """Paths of the mails that tell the customer."""
    return new_rows(MAILS, {key: row for key, row in rows.new(MAILS).items() if row.get("order_id") == order})


def rows_of(end: Ending) -> Rows:
    """The changes, without those that say the same in another way: a form that is saved rewrites all its fields."""
    return Rows(Changes(tuple(change for change in end.changes.all if plain(change.before) != plain(change.after))))


def plain(value: Any) -> Any:
    """A value as people see it: one empty value, and the text of the only language."""
    if value is None or value in ("", "{}", "[]"):
        return ""
    return in_english(value) if isinstance(value, str) else value


def only(rows: Rows, *patterns: str) -> bool:
    """True if nothing changed but what fits a pattern, and the defaults that a first look at a page writes down."""
    defaults = {key: row for key, row in rows.new(SETTINGS).items() if str(row["key"]).endswith(DEFAULTS)}
    return rows.only(*new_rows(SETTINGS, defaults), *patterns)


def new_rows(table: str, rows: Mapping[str, Row]) -> list[str]:
    """Paths of whole rows."""
    return [f"{table}/{key}" for key in rows]


def is_value(found: Any, wanted: Any) -> bool:
    """True for the same number, or the same text in the only language."""
    if isinstance(found, bool) or found is None:
        return found is wanted
    if isinstance(found, int | float):
        return is_number(str(wanted), float(found))
    return in_english(str(found)).strip() == str(wanted)


def in_english(text: str) -> str:
    """The text of a field that pretix keeps by language, as JSON."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return str(found.get("en", text)) if isinstance(found, dict) else text
