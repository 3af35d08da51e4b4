"""Scripted solutions of the ticket office's templates, as lists of moves."""

from environments.tasks.scripts import Move, answering, go, press, script, to_the_end, write
from environments.tasks.templates import Solve

BUTTON = "button"
SAVE = press("Save", BUTTON)


def form(path: str, *moves: Move) -> Solve:
    """Opens a form of the event, makes the moves and saves."""
    return script(go("{base}" + path), *moves, SAVE)


def read(path: str) -> Solve:
    """Opens a page of the event and answers."""
    return answering(go("{base}" + path))


READ_ORDER, READ_ORDERS = read("/orders/{code}/"), read("/orders/?status={status}")
READ_PRODUCT, READ_QUOTA, SEARCH = read("/items/{product}/"), read("/quotas/{quota}/"), read("/orders/?query={email}")
COMMENT = script(go("{base}/orders/{code}/"), to_the_end, write("", "{text}"), press("Update comment", BUTTON))
CHANGE_EMAIL = form("/orders/{code}/contact", write("Email", "{new_email}"))
MARK_PAID = script(go("{base}/orders/{code}/transition?status=p"), press("Create payment", BUTTON))
CANCEL = script(go("{base}/orders/{code}/transition?status=c"), press("Yes, cancel order", BUTTON))
RENAME = form("/items/{product}/", write("Item name", "{new_name}"))
SET_PRICE = form("/items/{product}/", write("Default price", "{price}"))
DEACTIVATE = form("/items/{product}/", press("Active"))
ADD_CATEGORY = form("/categories/add", write("Category name", "{name}"))
RENAME_CATEGORY = form("/categories/{category}/", write("Category name", "{name}"))
SET_QUOTA = form("/quotas/{quota}/change", write("Total capacity", "{size}"))
ADD_VOUCHER = form("/vouchers/add", write("Voucher code", "{code}"), write("Maximum usages", "{uses}"))
SET_USES = form("/vouchers/{voucher}/", write("Maximum usages", "{uses}"))
REMOVE_VOUCHER = script(go("{base}/vouchers/{voucher}/delete"), press("Delete", BUTTON))
ADD_LIST = form("/checkinlists/add", write("Name", "{name}"))
