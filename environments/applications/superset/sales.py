"""The shop's sales, which Superset's charts and SQL Lab query: the same rows for every episode. Money is in cents."""

import random
from collections import defaultdict
from datetime import date, timedelta
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

COUNTRIES: dict[str, tuple[str, ...]] = {
    "Austria": ("Graz", "Linz", "Vienna"),
    "Belgium": ("Antwerp", "Ghent", "Liege"),
    "Denmark": ("Aarhus", "Odense"),
    "Estonia": ("Tallinn", "Tartu"),
    "Finland": ("Oulu", "Tampere", "Turku"),
    "Ireland": ("Cork", "Galway"),
    "Italy": ("Bologna", "Trieste", "Turin"),
    "Norway": ("Bergen", "Oslo"),
    "Poland": ("Gdansk", "Krakow", "Poznan"),
    "Portugal": ("Braga", "Porto"),
    "Spain": ("Bilbao", "Malaga", "Valencia"),
    "Sweden": ("Lund", "Uppsala"),
}
PRODUCTS: dict[str, tuple[str, ...]] = {
    "Camping": ("Two-person tent", "Gas stove", "Sleeping mat", "Head lamp", "Water bag", "Folding chair", "Tin mug"),
    "Cycling": ("Bell", "Bottle cage", "City helmet", "Floor pump", "Pannier", "Rear light", "Repair kit"),
    "Garden": ("Hand fork", "Hose reel", "Pruning shears", "Rain barrel", "Seed tray", "Wheelbarrow", "Work gloves"),
    "Kitchen": ("Bread knife", "Cast-iron pan", "Coffee mill", "Mixing bowl", "Pepper mill", "Rolling pin", "Teapot"),
    "Lighting": ("Candle holder", "Desk lamp", "Floor lamp", "Lantern", "Night light", "Paper shade", "Wall lamp"),
    "Office": ("Archive box", "Book stand", "Cork board", "Desk tray", "Fountain pen", "Notebook", "Paper cutter"),
    "Textiles": ("Bath towel", "Cotton sheet", "Linen curtain", "Oven glove", "Picnic blanket", "Rug", "Wool throw"),
    "Toys": ("Ball track", "Building bricks", "Chess set", "Kite", "Puzzle", "Rocking horse", "Wooden train"),
}
FIRST = (
    *("Agnes", "Bernd", "Carla", "Dario", "Elif", "Fenna", "Georg", "Hanna", "Ivo", "Jelena", "Karim", "Lotte"),
    *("Marek", "Nadia", "Oskar", "Petra", "Rasmus", "Silvia", "Tomas", "Ulla"),
)
LAST = (
    *("Abel", "Brandt", "Costa", "Dahl", "Evers", "Falk", "Greco", "Holm", "Ionescu", "Jansen", "Kovac", "Lind"),
    *("Moreau", "Novak", "Olsen", "Pinto", "Quist", "Rossi", "Silva", "Tamm", "Urban", "Vogel"),
)
SEGMENTS, CHANNELS = ("Business", "Consumer", "School"), ("Catalogue", "Phone", "Store", "Web")
STATUSES = ("delivered", "delivered", "delivered", "delivered", "returned", "shipped", "cancelled", "open")
CUSTOMERS, ORDERS = 420, 3_200
DAYS = 365
START = date(2025, 1, 1)
SMALL_TABLES = ("coupons", "couriers", "employees", "returns_desk", "reviews", "shipments", "stores", "suppliers")
"""Tables of the shop that no dataset exists for."""
SMALL_ROWS = 60


class Customer(BaseModel):
    """A row of `shop.customers`. Example: `Customer(id=7, name="Carla Dahl", country="Italy", city="Turin", ...)`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    id: int
    name: str
    email: str
    country: str
    city: str
    segment: str
    joined_on: date


class Product(BaseModel):
    """A row of `shop.products`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    id: int
    name: str
    category: str
    price: int
    stock: int


class Order(BaseModel):
    """A row of `shop.orders`, with its lines."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    id: int
    customer: Customer
    ordered_on: date
    status: str
    channel: str
    lines: tuple[tuple[Product, int], ...]
    """Products with their quantities."""

    @property
    def total(self) -> int:
        """Sum of the lines."""
        return sum(product.price * quantity for product, quantity in self.lines)


class Sales(BaseModel):
    """All rows of the shop."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    customers: tuple[Customer, ...]
    products: tuple[Product, ...]
    orders: tuple[Order, ...]

    def orders_from(self, country: str) -> list[Order]:
        """Orders of the customers of a country."""
        return [order for order in self.orders if order.customer.country == country]

    def units(self) -> dict[str, int]:
        """Units sold by product."""
        found: dict[str, int] = defaultdict(int)
        for order in self.orders:
            for product, quantity in order.lines:
                found[product.name] += quantity
        return found

    def units_of(self, category: str) -> int:
        """Units sold of a category."""
        units = self.units()
        return sum(units[product.name] for product in self.products if product.category == category)

    def revenue_by_customer(self, country: str) -> dict[str, int]:
        """Revenue by customer of a country."""
        found: dict[str, int] = defaultdict(int)
        for order in self.orders_from(country):
            found[order.customer.name] += order.total
        return found


@lru_cache(maxsize=1)
def sales() -> Sales:
    """420 customers, 56 products, 3,200 orders of 2025 with about 6,400 lines."""
    rng = random.Random("sales 1")
    names = [f"{first} {last}" for first in FIRST for last in LAST]
    rng.shuffle(names)
    customers = []
    for number, name in enumerate(names[:CUSTOMERS], start=1):
        country = rng.choice(list(COUNTRIES))
        customers.append(
            Customer(
                id=number,
                name=name,
                email=f"{name.lower().replace(' ', '.')}@example.com",
                country=country,
                city=rng.choice(COUNTRIES[country]),
                segment=rng.choice(SEGMENTS),
                joined_on=date(2020, 1, 1) + timedelta(days=rng.randrange(1_800)),
            )
        )
    pairs = [(name, category) for category, names in PRODUCTS.items() for name in names]
    prices = rng.sample(range(350, 19_000, 10), len(pairs))
    products = [
        Product(id=number, name=name, category=category, price=price, stock=rng.randrange(5, 400))
        for number, ((name, category), price) in enumerate(zip(pairs, prices, strict=True), start=1)
    ]
    days = sorted(rng.randrange(DAYS) for _ in range(ORDERS))
    orders = [
        Order(
            id=number,
            customer=rng.choice(customers),
            ordered_on=START + timedelta(days=day),
            status=rng.choice(STATUSES),
            channel=rng.choice(CHANNELS),
            lines=tuple((product, rng.randint(1, 6)) for product in rng.sample(products, rng.randint(1, 3))),
        )
        for number, day in enumerate(days, start=1)
    ]
    return Sales(customers=tuple(customers), products=tuple(products), orders=tuple(orders))


def in_euros(cents: int) -> str:
    """Cents as a number with two decimals. Example: `in_euros(12_345) == "123.45"`."""
    return f"{cents / 100:.2f}"


def small_tables() -> dict[str, list[tuple[int | str, ...]]]:
    """Rows (id, name, city, added_on) of the tables without a dataset."""
    rng = random.Random("small tables 1")
    cities = [city for found in COUNTRIES.values() for city in found]
    return {
        table: [
            (
                number,
                f"{rng.choice(FIRST)} {rng.choice(LAST)}",
                rng.choice(cities),
                str(START + timedelta(days=rng.randrange(DAYS))),
            )
            for number in range(1, SMALL_ROWS + 1)
        ]
        for table in SMALL_TABLES
    }


def tables() -> dict[str, list[list[int | str]]]:
    """The rows that the seed program writes, by table."""
    found = sales()
    lines = [
        (order.id, product.id, quantity, in_euros(product.price))
        for order in found.orders
        for product, quantity in order.lines
    ]
    rows: dict[str, list[tuple[int | str, ...]]] = {
        "customers": [
            (one.id, one.name, one.email, one.country, one.city, one.segment, str(one.joined_on))
            for one in found.customers
        ],
        "products": [(one.id, one.name, one.category, in_euros(one.price), one.stock) for one in found.products],
        "orders": [
            (one.id, one.customer.id, str(one.ordered_on), one.status, one.channel, in_euros(one.total))
            for one in found.orders
        ],
        "order_lines": [(number, *line) for number, line in enumerate(lines, start=1)],
        **small_tables(),
    }
    return {table: [list(row) for row in found] for table, found in rows.items()}
