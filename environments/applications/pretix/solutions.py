"""Scripted solutions of the ticket office's templates, as lists of moves."""

from environments.tasks.scripts import Move, answering, go, press, script, to_the_end, write
from environments.tasks.templates import Solve

BUTTON = "button"


def form(path: str, *moves: Move) -> Solve:
    """Opens a form of the event and makes the moves; the last one sends it."""
    return script(go("{base}" + path), *moves)


def last(field: str, value: str) -> Move:
    """Fills a form's last field and sends it with the enter key."""
    return write(field, value, press_enter=True)


def read(path: str) -> Solve:
    """Opens a page of the event and answers."""
    return answering(go("{base}" + path))


READ_ORDER, READ_ORDERS = read("/orders/{code}/"), read("/orders/?status={status}")
READ_PRODUCT, READ_QUOTA, SEARCH = read("/items/{product}/"), read("/quotas/{quota}/"), read("/orders/?query={email}")
COMMENT = script(go("{base}/orders/{code}/"), to_the_end, write("", "{text}"), press("Update comment", BUTTON))
CHANGE_EMAIL = form("/orders/{code}/contact", last("Email", "{new_email}"))
MARK_PAID = script(go("{base}/orders/{code}/transition?status=p"), press("Create payment", BUTTON))
CANCEL = script(go("{base}/orders/{code}/transition?status=c"), press("Yes, cancel order", BUTTON))
# Names are fields of a language each, and the office has one.
RENAME = form("/items/{product}/", last("English", "{new_name}"))
SET_PRICE = form("/items/{product}/", press("Price", "tab"), last("Default price", "{price}"))
DEACTIVATE = form("/items/{product}/", press("Active", "checkbox"), to_the_end, press("Save", BUTTON))
ADD_CATEGORY = form("/categories/add", last("English", "{name}"))
RENAME_CATEGORY = form("/categories/{category}/", last("English", "{name}"))
SET_QUOTA = form("/quotas/{quota}/change", last("Total capacity", "{size}"))
ADD_VOUCHER = form("/vouchers/add", write("Voucher code", "{code}"), last("Maximum usages", "{uses}"))
SET_USES = form("/vouchers/{voucher}/", last("Maximum usages", "{uses}"))
REMOVE_VOUCHER = script(go("{base}/vouchers/{voucher}/delete"), press("Delete", BUTTON))
ADD_LIST = form("/checkinlists/add", last("Name", "{name}"))
