"""Goals of the ticket office's tasks: each draws an event and one of its orders, products, vouchers or quotas."""

import random
from collections.abc import Callable

from environments.applications.pretix.world import CATEGORIES, SLUG, Event, Office, Order, Product, Voucher, payments
from environments.tasks.templates import Fill, Filled, Parameters

COMMENTS = (
    *("Asked for two seats side by side.", "Will bring the invoice.", "Needs a place near the door."),
    *("Called on Monday about the parking.", "Has paid in cash at the desk.", "Speaks at the opening."),
)
NAMES = ("Evening ticket", "Helper ticket", "Family pass", "Sunday course", "Late show", "Workshop pass", "Travel mug")
NEW_CATEGORIES = ("Partners", "Press", "Guided tours", "Food and drink", "Donations", "Camping", "Speakers")
MAIL_NAMES = ("office", "tickets", "new.address", "family", "work", "home")
LISTS = ("Main entrance", "Side door", "Workshop room", "Helpers", "VIP lounge", "Night watch")
PRICES = tuple(range(550, 9_000, 50))
More = Callable[[random.Random, Event], Parameters]


def of_event(goal: str, more: More) -> Fill:
    """Fills a goal about an event that is drawn."""

    def fill(rng: random.Random, office: Office) -> Filled:
        event = rng.choice(office.events)
        parameters: Parameters = {
            "event": event.name,
            "number": event.number,
            "base": f"/control/event/{SLUG}/{event.slug}",
        }
        parameters |= more(rng, event)
        return Filled(goal.format(**parameters), parameters)

    return fill


def of_order(order: Order) -> Parameters:
    """Parameters about an order."""
    return {"order": order.number, "code": order.code, "email": order.email, "payment": payments().get(order.number, 0)}


def of_product(product: Product) -> Parameters:
    """Parameters about a product."""
    return {"product": product.number, "name": product.name, "category": product.category}


def an_order(status: str, more: Callable[[random.Random, Order], Parameters]) -> More:
    """An order with one of the statuses."""

    def draw(rng: random.Random, event: Event) -> Parameters:
        order = rng.choice([order for order in event.orders if order.status in status])
        return of_order(order) | more(rng, order)

    return draw


def a_product(more: Callable[[random.Random, Product], Parameters]) -> More:
    """A product."""

    def draw(rng: random.Random, event: Event) -> Parameters:
        product = rng.choice(event.products)
        return of_product(product) | more(rng, product)

    return draw


def an_extreme(
    choose: Callable[[list[Product]], Product], more: Callable[[random.Random, Product], Parameters]
) -> More:
    """The product of a category that `choose` gives, if only one has its price."""

    def draw(rng: random.Random, event: Event) -> Parameters:
        found = []
        for category in CATEGORIES:
            inside = [product for product in event.products if product.category == category]
            product = choose(inside)
            if [other.price for other in inside].count(product.price) == 1:
                found.append(product)
        product = rng.choice(found)
        return of_product(product) | more(rng, product)

    return draw


def dearest(products: list[Product]) -> Product:
    """The most expensive one."""
    return max(products, key=lambda product: product.price)


def cheapest(products: list[Product]) -> Product:
    """The least expensive one."""
    return min(products, key=lambda product: product.price)


def a_voucher(more: Callable[[random.Random, Voucher], Parameters]) -> More:
    """A voucher."""

    def draw(rng: random.Random, event: Event) -> Parameters:
        voucher = rng.choice(event.vouchers)
        return {"voucher": voucher.number, "code": voucher.code} | more(rng, voucher)

    return draw


def a_quota(rng: random.Random, event: Event) -> Parameters:
    """A quota, its size, and another size."""
    place = rng.randrange(len(event.products))
    product, size = event.products[place], event.quotas[place]
    other = rng.choice([number for number in range(25, 400, 5) if number != size])
    return {"quota": product.number, "name": product.name, "answer": str(size), "size": other}


def a_count(rng: random.Random, event: Event) -> Parameters:
    """How many orders have a status."""
    status, word = rng.choice((("n", "pending"), ("p", "paid"), ("c", "canceled"), ("e", "expired")))
    return {"status": status, "word": word, "answer": str(len(event.of_status(status)))}


def a_category(rng: random.Random, event: Event) -> Parameters:
    """A category of the event, and a new name."""
    place = rng.randrange(len(CATEGORIES))
    number = (event.number - 1) * len(CATEGORIES) + place + 1
    return {"category": number, "old": CATEGORIES[place], "name": rng.choice(NEW_CATEGORIES)}


def a_name(names: tuple[str, ...]) -> More:
    """A name for a new thing."""
    return lambda rng, event: {"name": rng.choice(names)}


def a_new_voucher(rng: random.Random, event: Event) -> Parameters:
    """A code and a number of uses for a new voucher."""
    return {"code": f"FRIEND{rng.randrange(100, 1_000)}", "uses": rng.randint(2, 9)}


def a_comment(rng: random.Random, order: Order) -> Parameters:
    """A comment that the order does not have."""
    return {"text": rng.choice(COMMENTS)}


def an_email(rng: random.Random, order: Order) -> Parameters:
    """Another address."""
    return {"new_email": f"{rng.choice(MAIL_NAMES)}{rng.randrange(10, 100)}@example.com"}


def another_price(rng: random.Random, product: Product) -> Parameters:
    """Another price, in euros."""
    return {"price": f"{rng.choice([price for price in PRICES if price != product.price]) / 100:.2f}"}


def another_name(rng: random.Random, product: Product) -> Parameters:
    """Another name."""
    return {"new_name": rng.choice(NAMES)}


def other_uses(rng: random.Random, voucher: Voucher) -> Parameters:
    """Another number of uses."""
    return {"uses": rng.choice([uses for uses in range(10, 60)])}


def nothing(rng: random.Random, thing: object) -> Parameters:
    """No further parameters."""
    return {}


def the_answer(answer: Callable[[Order], str]) -> Callable[[random.Random, Order], Parameters]:
    """The answer to a question about an order."""
    return lambda rng, order: {"answer": answer(order)}


def the_price(rng: random.Random, product: Product) -> Parameters:
    """The price as an answer."""
    return {"answer": f"{product.price / 100:.2f}"}
