"""Fills the ticket office's empty database with the events, products, vouchers and orders of a file."""

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "office_settings")

import django

django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django_scopes import scopes_disabled  # noqa: E402
from pretix.base.models import (  # noqa: E402
    Event,
    Item,
    ItemCategory,
    Order,
    OrderPayment,
    OrderPosition,
    Organizer,
    Quota,
    Team,
    User,
    Voucher,
)

PLUGINS = "pretix.plugins.banktransfer,pretix.plugins.manualpayment,pretix.plugins.checkinlists"
world = json.loads(Path(sys.argv[1]).read_text())
now = datetime.now(UTC).replace(microsecond=0)


def euros(cents: int) -> Decimal:
    """Cents as euros."""
    return Decimal(cents) / 100


def organizer() -> Organizer:
    """Makes the organiser and the team whose member is signed in."""
    made = Organizer.objects.create(name=world["organizer"], slug=world["slug"], plugins=PLUGINS)
    user = User.objects.create_user(world["actor"], "password1", fullname="Robin Vale", locale="en", timezone="UTC")
    team = Team.objects.create(
        organizer=made, name="Everybody", all_events=True, all_event_permissions=True, all_organizer_permissions=True
    )
    team.members.add(user)
    session(user)
    return made


def event(wanted: dict, place: int, owner: Organizer) -> None:
    """Makes an event with its products, quotas, vouchers and orders."""
    begin = now + timedelta(days=60 + 30 * place)
    made = Event.objects.create(
        organizer=owner,
        name=wanted["name"],
        slug=wanted["slug"],
        date_from=begin,
        date_to=begin + timedelta(days=2),
        currency="EUR",
        live=True,
        plugins=PLUGINS,
        is_public=True,
    )
    made.settings.timezone = "UTC"
    made.settings.locale = "en"
    made.settings.locales = ["en"]
    made.settings.payment_banktransfer__enabled = True
    made.settings.payment_banktransfer_bank_details_type = "other"
    made.settings.payment_banktransfer_bank_details = "Tinker Workshop"
    categories = {
        name: ItemCategory.objects.create(event=made, name=name, position=number)
        for number, name in enumerate(world["categories"])
    }
    items = []
    for number, product in enumerate(wanted["products"]):
        item = Item.objects.create(
            event=made,
            name=product["name"],
            category=categories[product["category"]],
            default_price=euros(product["price"]),
            admission=product["category"] == "Tickets",
            position=number,
        )
        quota = Quota.objects.create(event=made, name=product["name"], size=wanted["quotas"][number])
        quota.items.add(item)
        items.append(item)
    for voucher in wanted["vouchers"]:
        Voucher.objects.create(event=made, code=voucher["code"], max_usages=voucher["uses"], item=items[0])
    orders(wanted["orders"], made, items)


def orders(wanted: list[dict], made: Event, items: list[Item]) -> None:
    """Makes the orders of an event."""
    channel = made.organizer.sales_channels.get(identifier="web")
    for number, one in enumerate(wanted):
        at = now - timedelta(hours=5 * (len(wanted) - number) + 3)
        order = Order.objects.create(
            code=one["code"],
            event=made,
            email=one["email"],
            status=one["status"],
            datetime=at,
            expires=at + timedelta(days=400 if one["status"] == "n" else 1),
            total=euros(one["total"]),
            sales_channel=channel,
            locale="en",
            comment=one["comment"],
        )
        for place, product in enumerate(one["products"], start=1):
            OrderPosition.objects.create(
                order=order,
                item=items[product],
                variation=None,
                price=items[product].default_price,
                attendee_name_parts={"_scheme": "full", "full_name": one["name"]},
                positionid=place,
            )
        if one["status"] in "pn":
            is_paid = one["status"] == "p"
            OrderPayment.objects.create(
                order=order,
                amount=order.total,
                provider="banktransfer",
                state=OrderPayment.PAYMENT_STATE_CONFIRMED if is_paid else OrderPayment.PAYMENT_STATE_CREATED,
                payment_date=at if is_paid else None,
            )
        order.create_transactions(is_new=True)


def session(user: User) -> None:
    """Makes the session with which every episode begins."""
    content = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
        HASH_SESSION_KEY: user.get_session_auth_hash(),
        "pretix_auth_long_session": True,
        "pretix_auth_login_time": int(time.time()),
        "pretix_auth_last_used": int(time.time()),
    }
    # A store that is given a key which does not exist yet takes another one, so the row is written as it is.
    Session.objects.create(
        session_key=world["session"],
        session_data=SessionStore().encode(content),
        expire_date=now + timedelta(days=3_650),
    )


def check() -> None:
    """Ends the program if a row has not the id by which the tasks know it."""
    for kind, model, name in (("products", Item, "name"), ("vouchers", Voucher, "code"), ("orders", Order, "code")):
        expected = [(one["number"], one[name]) for wanted in world["events"] for one in wanted[kind]]
        found = [(row.pk, str(getattr(row, name))) for row in model.objects.order_by("pk")]
        if found != expected:
            sys.exit(f"expected the {kind} {expected[:2]}..., found {found[:2]}...")


with scopes_disabled():
    tinker = organizer()
    for place, wanted in enumerate(world["events"]):
        event(wanted, place, tinker)
    check()
