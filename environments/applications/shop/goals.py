"""Goals of the shop's tasks: each draws the parameters of a template from the start state."""

import random
from typing import Any

from environments.applications.shop.state import CATEGORIES, COUPONS, DELIVERY, Shop
from environments.tasks.templates import Filled

WORDS = ("sturdy", "pretty", "heavy", "cosy", "bright", "useful", "light", "plain")
SUBJECTS = ("Late parcel", "Wrong colour", "Opening hours", "Gift wrapping", "Invoice missing")


def product_of(shop: Shop, key: str) -> dict[str, Any]:
    """Parameters about one product."""
    product = shop.products[key]
    return {"product": key, "name": product.name, "category": product.category, "count": shop.cart.get(key, 0)}


def outside_cart(shop: Shop) -> list[str]:
    """Products that are neither in the cart nor on the wish list."""
    return [key for key in sorted(shop.products) if key not in shop.cart and key not in shop.wishes]


def featured(rng: random.Random, shop: Shop) -> dict[str, Any]:
    """A product on the first page."""
    return product_of(shop, rng.choice(shop.featured))


def any_product(rng: random.Random, shop: Shop) -> dict[str, Any]:
    """A product that has to be searched."""
    return product_of(shop, rng.choice([key for key in outside_cart(shop) if key not in shop.featured]))


def fill_cart_featured(rng: random.Random, shop: Shop) -> Filled:
    """One of the first page into the cart."""
    chosen = featured(rng, shop)
    return Filled(f"Put one {chosen['name']} into the cart.", chosen | {"quantity": 1})


def fill_wish_featured(rng: random.Random, shop: Shop) -> Filled:
    """One of the first page onto the wish list."""
    chosen = featured(rng, shop)
    return Filled(f"Put the {chosen['name']} on the wish list.", chosen)


def fill_remove_cart(rng: random.Random, shop: Shop) -> Filled:
    """One of the cart's two products out of it."""
    chosen = product_of(shop, rng.choice(sorted(shop.cart)))
    return Filled(f"Remove the {chosen['name']} from the cart.", chosen)


def fill_newsletter(rng: random.Random, shop: Shop) -> Filled:
    """The newsletter, the other way round."""
    verb = "Unsubscribe from" if shop.newsletter else "Subscribe to"
    return Filled(f"{verb} the newsletter.", {"fields": {"Newsletter": not shop.newsletter}})


def fill_quantity(rng: random.Random, shop: Shop) -> Filled:
    """Several of a product into the cart."""
    chosen, quantity = any_product(rng, shop), rng.randint(2, 6)
    return Filled(f"Put {quantity} of the {chosen['name']} into the cart.", chosen | {"quantity": quantity})


def fill_cancel(rng: random.Random, shop: Shop) -> Filled:
    """One of two open orders."""
    number = rng.choice([number for number, order in shop.orders.items() if order.status == "open"])
    return Filled(f"Cancel order {number}.", {"order": number})


def fill_address(rng: random.Random, shop: Shop) -> Filled:
    """A further address."""
    label, street = (
        rng.choice(("Holiday", "Parents", "Studio")),
        f"{rng.randint(1, 99)} {rng.choice(('Elm Road', 'Oak Way'))}",
    )
    city, postcode = rng.choice(("Gladwick", "Hollow", "Ivydale")), str(rng.randint(10_000, 99_999))
    fields = {"Label": label, "Street": street, "City": city, "Postcode": postcode}
    return Filled(f'Add the address "{label}": {street}, {postcode} {city}.', {"address": fields})


def fill_review(rng: random.Random, shop: Shop) -> Filled:
    """Stars and a short text."""
    chosen, stars, text = any_product(rng, shop), rng.randint(2, 5), " and ".join(rng.sample(WORDS, 2))
    goal = f'Review the {chosen["name"]}: {stars} stars, with the text "{text}".'
    return Filled(goal, chosen | {"stars": stars, "text": text})


def fill_message(rng: random.Random, shop: Shop) -> Filled:
    """A message to the shop."""
    subject, text = rng.choice(SUBJECTS), f"Please call me on day {rng.randint(1, 28)}."
    return Filled(f'Write to the shop: subject "{subject}", message "{text}"', {"subject": subject, "text": text})


def fill_price(rng: random.Random, shop: Shop) -> Filled:
    """A price to answer."""
    chosen = any_product(rng, shop)
    price = f"{shop.products[chosen['product']].price / 100:.2f}"
    return Filled(f"How much is the {chosen['name']}? Answer with the number.", chosen | {"answer": price})


def fill_cheapest(rng: random.Random, shop: Shop) -> Filled:
    """The cheapest of a category."""
    category = rng.choice(CATEGORIES)
    inside = [key for key, product in shop.products.items() if product.category == category]
    key = min(inside, key=lambda one: shop.products[one].price)
    return Filled(
        f"Put one of the cheapest product in {category} into the cart.", product_of(shop, key) | {"quantity": 1}
    )


def delivery_of(rng: random.Random) -> dict[str, str]:
    """Address and kind of delivery."""
    return {"address": rng.choice(("Home", "Work")), "delivery": rng.choice(sorted(DELIVERY))}


def fill_order(rng: random.Random, shop: Shop) -> Filled:
    """The whole cart."""
    to = delivery_of(rng)
    goal = f"Order everything in the cart, with {to['delivery']} delivery to the address {to['address']}."
    return Filled(goal, to | {"items": dict(shop.cart), "coupon": ""})


def fill_buy(rng: random.Random, shop: Shop) -> Filled:
    """One product, the cart untouched."""
    chosen, to = any_product(rng, shop), delivery_of(rng)
    goal = (
        f"Buy one {chosen['name']} with {to['delivery']} delivery to the address {to['address']}. "
        "Leave the cart as it is."
    )
    return Filled(goal, chosen | to | {"items": {chosen["product"]: 1}, "coupon": ""})


def fill_remove_wish(rng: random.Random, shop: Shop) -> Filled:
    """One of two wishes."""
    chosen = product_of(shop, rng.choice(sorted(shop.wishes)))
    return Filled(f"Take the {chosen['name']} off the wish list.", chosen)


def fill_set_quantity(rng: random.Random, shop: Shop) -> Filled:
    """Another count of a product in the cart."""
    chosen = product_of(shop, rng.choice(sorted(shop.cart)))
    quantity = rng.choice([count for count in range(1, 9) if count != chosen["count"]])
    return Filled(
        f"Change the quantity of {chosen['name']} in the cart to {quantity}.", chosen | {"quantity": quantity}
    )


def fill_email(rng: random.Random, shop: Shop) -> Filled:
    """Another e-mail address."""
    email = f"{shop.name.split()[0].lower()}.{rng.randint(100, 999)}@mail.test"
    return Filled(f"Change the e-mail address of the account to {email}.", {"fields": {"E-mail": email}})


def fill_best(rng: random.Random, shop: Shop) -> Filled:
    """The best rated of a category that is not on the list yet."""
    best = {
        category: max(
            (key for key, product in shop.products.items() if product.category == category),
            key=lambda key: shop.products[key].rating,
        )
        for category in CATEGORIES
    }
    category = rng.choice([category for category, key in best.items() if key not in shop.wishes])
    goal = f"Put the best rated product in {category} on the wish list."
    return Filled(goal, product_of(shop, best[category]))


def fill_coupon(rng: random.Random, shop: Shop) -> Filled:
    """The whole cart with a coupon."""
    to, coupon = delivery_of(rng), rng.choice(sorted(COUPONS))
    goal = (
        f"Order everything in the cart with the coupon {coupon} and {to['delivery']} delivery to the address "
        f"{to['address']}."
    )
    return Filled(goal, to | {"items": dict(shop.cart), "coupon": coupon})


def fill_total(rng: random.Random, shop: Shop) -> Filled:
    """The total of an order."""
    number = rng.choice(sorted(shop.orders))
    total = f"{shop.orders[number].total / 100:.2f}"
    return Filled(f"What was the total of order {number}? Answer with the number.", {"order": number, "answer": total})


def fill_below(rng: random.Random, shop: Shop) -> Filled:
    """A count over a category."""
    category, limit = rng.choice(CATEGORIES), rng.randrange(60, 241, 20)
    inside = [product for product in shop.products.values() if product.category == category]
    count = sum(product.price < limit * 100 for product in inside)
    goal = f"How many products in {category} cost less than {limit} EUR? Answer with the number."
    return Filled(goal, {"category": category, "answer": str(count)})
