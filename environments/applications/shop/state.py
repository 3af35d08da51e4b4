"""The shop's state, and the start state of a seed."""

import random
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from environments.providers.static.visits import State

CATEGORIES = ("Chairs", "Kitchen", "Lamps", "Rugs", "Tables", "Tools")
ADJECTIVES = ("Amber", "Birch", "Cobalt", "Dune", "Ember", "Fjord", "Granite", "Harbor", "Indigo", "Juniper")
NOUNS = {
    "Chairs": ("Stool", "Armchair", "Bench"),
    "Kitchen": ("Kettle", "Teapot", "Pan"),
    "Lamps": ("Lantern", "Desk Lamp", "Floor Lamp"),
    "Rugs": ("Runner", "Rug", "Mat"),
    "Tables": ("Desk", "Side Table", "Table"),
    "Tools": ("Hammer", "Drill", "Saw"),
}
PER_CATEGORY = 6
FEATURED = 6
COUPONS = {"SAVE10": 10, "SPRING20": 20}
"""Percent by code."""
DELIVERY = {"Standard": 490, "Express": 1290}
"""Cents by kind."""
CITIES = ("Aberfeld", "Brookham", "Carlow", "Dornbach", "Eastvale", "Fairholm")
STREETS = ("Mill Lane", "Station Road", "Park Street", "High Street", "Garden Way")
PASSWORD = "maple-42"


class Product(State):
    """A product. `price` in cents, `rating` in tenths of a star, different for each product of a category."""

    name: str
    category: str
    price: int
    rating: int
    stock: int


class Address(State):
    """An address of the customer."""

    street: str
    city: str
    postcode: str


class Order(State):
    """An order; `total` in cents, delivery included."""

    items: dict[str, int]
    address: str
    delivery: str
    coupon: str = ""
    total: int
    status: Literal["open", "delivered", "cancelled"] = "open"


class Review(State):
    """The customer's review of a product."""

    stars: Annotated[int, Field(ge=1, le=5)]
    text: str


class Message(State):
    """A message to the shop."""

    subject: str
    text: str


class Shop(State):
    """All that a customer sees and can change."""

    products: dict[str, Product]
    featured: list[str]
    cart: dict[str, int]
    wishes: dict[str, bool]
    orders: dict[str, Order]
    addresses: dict[str, Address]
    reviews: dict[str, Review] = {}
    messages: dict[str, Message] = {}
    coupon: str = ""
    name: str
    email: str
    newsletter: bool
    closed: bool = False
    """True after the customer closed the account."""

    def subtotal(self, items: dict[str, int] | None = None) -> int:
        """Price of the items, or of the cart, in cents."""
        return sum(self.products[key].price * count for key, count in (self.cart if items is None else items).items())

    def total(self, items: dict[str, int], delivery: str, coupon: str) -> int:
        """Price with discount and delivery, in cents."""
        return self.subtotal(items) * (100 - COUPONS.get(coupon, 0)) // 100 + DELIVERY[delivery]


def start(seed: int) -> Shop:
    """The start state of a seed: 36 products, two in the cart, two wishes, three orders, two addresses."""
    return _start(seed).model_copy(deep=True)


@lru_cache(maxsize=64)
def _start(seed: int) -> Shop:
    rng = random.Random(f"shop/{seed}")
    products = _products(rng)
    keys = rng.sample(sorted(products), len(products))
    shop = Shop(
        products=products,
        featured=keys[:FEATURED],
        cart={key: rng.randint(1, 3) for key in keys[6:8]},
        wishes=dict.fromkeys(keys[8:10], True),
        orders={},
        addresses={"Home": _address(rng), "Work": _address(rng)},
        name=f"{rng.choice(('Ada', 'Ben', 'Cleo', 'Dan'))} {rng.choice(('Moss', 'Reed', 'Stone'))}",
        email=f"customer{rng.randint(10, 99)}@mail.test",
        newsletter=rng.random() < 0.5,
    )
    first = rng.randint(1000, 8000)
    known: list[Literal["open", "delivered"]] = ["open", "open", "delivered"]
    statuses = rng.sample(known, 3)
    for number, status in enumerate(statuses):
        items = {key: rng.randint(1, 2) for key in rng.sample(keys, 2)}
        delivery = rng.choice(sorted(DELIVERY))
        total = shop.total(items, delivery, "")
        shop.orders[str(first + 7 * number)] = Order(
            items=items, address="Home", delivery=delivery, total=total, status=status
        )
    return shop


def _products(rng: random.Random) -> dict[str, Product]:
    products = {}
    for category in CATEGORIES:
        prices = rng.sample(range(990, 29_990, 500), PER_CATEGORY)
        ratings = rng.sample(range(25, 50), PER_CATEGORY)
        names = [f"{first} {noun}" for first in ADJECTIVES for noun in NOUNS[category]]
        for name, price, rating in zip(rng.sample(names, PER_CATEGORY), prices, ratings, strict=True):
            key = name.lower().replace(" ", "-")
            products[key] = Product(name=name, category=category, price=price, rating=rating, stock=rng.randint(5, 20))
    return products


def _address(rng: random.Random) -> Address:
    return Address(
        street=f"{rng.randint(1, 99)} {rng.choice(STREETS)}",
        city=rng.choice(CITIES),
        postcode=str(rng.randint(10_000, 99_999)),
    )
