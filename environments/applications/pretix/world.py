"""The ticket office's start state: events, products, quotas, vouchers and orders, the same for every episode."""

import random
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict

ORGANIZER, SLUG = "Tinker Workshop", "tinker"
ACTOR = "robin@example.com"
"""The member of the organiser's team who is signed in."""
SESSION = "rlloopticketsession0000000000001"
ORDERS = 170
"""Orders of each event."""
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ379"
EVENTS = (
    ("lantern", "Lantern Festival", ("Lantern making", "Night walk", "Shadow theatre", "Paper cutting")),
    ("radio", "Radio Days", ("Soldering course", "Antenna building", "Morse evening", "Valve repair")),
    ("clock", "Clock Fair", ("Pendulum lecture", "Cleaning a watch", "Sundial walk", "Cuckoo clinic")),
    ("print", "Print Market", ("Lino cutting", "Bookbinding", "Type setting", "Poster printing")),
)
TICKETS = (("Day ticket", 1800), ("Weekend ticket", 3200), ("Child ticket", 700), ("Family ticket", 4500))
GOODS = (("Programme booklet", 500), ("Enamel mug", 1200), ("Cotton bag", 900), ("Parking pass", 600))
CATEGORIES = ("Tickets", "Workshops", "Extras")
FIRST = (
    *(
        "Ada",
        "Bruno",
        "Carla",
        "Dario",
        "Elif",
        "Farid",
        "Greta",
        "Hugo",
        "Ines",
        "Jonas",
        "Kira",
        "Lars",
        "Mona",
        "Nils",
    ),
    *("Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tara", "Ugo", "Vera", "Wim", "Xenia", "Yuri", "Zoe"),
)
LAST = ("Moor", "Fields", "Stone", "Brook", "Heath", "Marsh", "Dale", "Shore", "Wood", "Hill")
STATUS = {"p": "paid", "n": "pending", "c": "canceled", "e": "expired"}
COMMENTS = ("", "", "", "Asked for an invoice.", "Comes by bus.", "Wheelchair place.", "Knows the door code.")


class Product(BaseModel):
    """A product. Example: `Product(number=3, name="Child ticket", category="Tickets", price=700)`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    number: int
    """Id in the database."""
    name: str
    category: str
    price: int
    """In cents."""


class Order(BaseModel):
    """An order. Example: `Order(number=17, code="A7KQ3", status="p", email="ada.moor@example.com", ...)`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    number: int
    code: str
    status: str
    email: str
    name: str
    products: tuple[int, ...]
    """Places of its products among those of the event, one for each ticket."""
    total: int
    """In cents."""
    comment: str


class Voucher(BaseModel):
    """A voucher. Example: `Voucher(number=5, code="SPRING5KQ", uses=3)`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    number: int
    code: str
    uses: int


class Event(BaseModel):
    """An event with all that belongs to it."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    number: int
    slug: str
    name: str
    products: tuple[Product, ...]
    quotas: tuple[int, ...]
    """Sizes of the quotas, one for each product and with its name and its number."""
    vouchers: tuple[Voucher, ...]
    orders: tuple[Order, ...]

    def of_status(self, status: str) -> list[Order]:
        """Orders of a status."""
        return [order for order in self.orders if order.status == status]


class Office(BaseModel):
    """The start state as the task templates see it."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    events: tuple[Event, ...]


@lru_cache(maxsize=1)
def payments() -> dict[int, int]:
    """Ids of the payments in the database, by the order's: one of each order that is paid or pending."""
    orders = [order.number for event in office().events for order in event.orders if order.status in "pn"]
    return {order: number for number, order in enumerate(orders, start=1)}


@lru_cache(maxsize=1)
def office() -> Office:
    """The start state: 4 events with 48 products and quotas, 120 vouchers and 680 orders of 1,653 tickets."""
    rng = random.Random("tickets 1")
    codes: set[str] = set()
    counts = {"product": 0, "order": 0, "voucher": 0}
    return Office(
        events=tuple(
            _event(rng, number, slug, name, workshops, codes, counts)
            for number, (slug, name, workshops) in enumerate(EVENTS, start=1)
        )
    )


def world() -> dict[str, Any]:
    """Everything that is seeded, as JSON."""
    return {
        "organizer": ORGANIZER,
        "slug": SLUG,
        "actor": ACTOR,
        "session": SESSION,
        "categories": list(CATEGORIES),
        "events": office().model_dump(mode="json")["events"],
    }


def _event(
    rng: random.Random,
    number: int,
    slug: str,
    name: str,
    workshops: tuple[str, ...],
    codes: set[str],
    counts: dict[str, int],
) -> Event:
    wanted = [(title, "Tickets", price + 100 * rng.randrange(5)) for title, price in TICKETS]
    wanted += [(title, "Workshops", 100 * rng.randrange(12, 40)) for title in workshops]
    wanted += [(title, "Extras", price + 50 * rng.randrange(5)) for title, price in GOODS]
    products = tuple(
        Product(number=_next(counts, "product"), name=title, category=category, price=price)
        for title, category, price in wanted
    )
    vouchers = tuple(
        Voucher(number=_next(counts, "voucher"), code=_code(rng, codes, 9), uses=rng.randint(1, 9)) for _ in range(30)
    )
    orders = tuple(_order(rng, products, codes, counts) for _ in range(ORDERS))
    quotas = tuple(10 * rng.randrange(20, 60) for _ in products)
    return Event(
        number=number, slug=slug, name=name, products=products, quotas=quotas, vouchers=vouchers, orders=orders
    )


def _order(rng: random.Random, products: tuple[Product, ...], codes: set[str], counts: dict[str, int]) -> Order:
    first, last = rng.choice(FIRST), rng.choice(LAST)
    chosen = tuple(sorted(rng.randrange(len(products)) for _ in range(rng.randint(1, 4))))
    return Order(
        number=_next(counts, "order"),
        code=_code(rng, codes, 5),
        status=rng.choices("pnce", weights=(11, 5, 2, 2))[0],
        email=_email(rng, codes, f"{first}.{last}".lower()),
        name=f"{first} {last}",
        products=chosen,
        total=sum(products[place].price for place in chosen),
        comment=rng.choice(COMMENTS),
    )


def _next(counts: dict[str, int], kind: str) -> int:
    counts[kind] += 1
    return counts[kind]


def _code(rng: random.Random, codes: set[str], length: int) -> str:
    """A code that nothing else has."""
    while True:
        code = "".join(rng.choice(ALPHABET) for _ in range(length))
        if code not in codes:
            codes.add(code)
            return code


def _email(rng: random.Random, taken: set[str], name: str) -> str:
    """An address that no other order has."""
    while True:
        email = f"{name}{rng.randint(1, 999)}@example.com"
        if email not in taken:
            taken.add(email)
            return email
