"""Actions and views of the shop: what its forms do, and what its pages show beside the state."""

from typing import Any

from environments.applications.shop.state import (
    CATEGORIES,
    COUPONS,
    DELIVERY,
    PASSWORD,
    Address,
    Message,
    Order,
    Product,
    Review,
    Shop,
)
from environments.providers.static.visits import Action, Refused, View, Visit, known

MOST_OF_ONE = 9
SORTS = {
    "Name": lambda product: product.name,
    "Price": lambda product: product.price,
    "Rating": lambda product: -product.rating,
}


def add_to_cart(shop: Shop, visit: Visit) -> str:
    """Adds to the count in the cart."""
    key = known(shop.products, visit, "product")
    count = visit.number("quantity", least=1, most=MOST_OF_ONE)
    shop.cart[key] = min(MOST_OF_ONE, shop.cart.get(key, 0) + count)
    visit.notice = f"{shop.products[key].name} is in your cart."
    return "cart.html"


def set_quantity(shop: Shop, visit: Visit) -> str:
    """Sets the count in the cart."""
    key = known(shop.cart, visit, "product")
    shop.cart[key] = visit.number("quantity", least=1, most=MOST_OF_ONE)
    return "cart.html"


def remove_from_cart(shop: Shop, visit: Visit) -> str:
    """Takes a product out of the cart."""
    del shop.cart[known(shop.cart, visit, "product")]
    return "cart.html"


def apply_coupon(shop: Shop, visit: Visit) -> str:
    """Applies a code to the cart."""
    code = visit.text("coupon", longest=20).upper()
    if code not in COUPONS:
        raise Refused(f"{code} is no valid coupon.")
    shop.coupon = code
    visit.notice = f"{code} is applied."
    return "cart.html"


def place_order(shop: Shop, visit: Visit) -> str:
    """Orders one product (`product`), or the cart, and empties the cart then."""
    alone = visit.fields.get("product", "")
    items = {known(shop.products, visit, "product"): 1} if alone else dict(shop.cart)
    if not items:
        raise Refused("Your cart is empty.")
    address, delivery = known(shop.addresses, visit, "address"), known(DELIVERY, visit, "delivery")
    coupon = "" if alone else shop.coupon
    number = str(max(int(number) for number in shop.orders) + 7)
    shop.orders[number] = Order(
        items=items,
        address=address,
        delivery=delivery,
        coupon=coupon,
        total=shop.total(items, delivery, coupon),
    )
    if not alone:
        shop.cart, shop.coupon = {}, ""
    visit.notice = f"Thank you: order {number} is placed."
    return f"order.html?id={number}"


def cancel_order(shop: Shop, visit: Visit) -> str:
    """Cancels an open order."""
    number = known(shop.orders, visit, "order")
    if shop.orders[number].status != "open":
        raise Refused(f"Order {number} is {shop.orders[number].status} and can't be cancelled.")
    shop.orders[number].status = "cancelled"
    visit.notice = f"Order {number} is cancelled."
    return f"order.html?id={number}"


def add_wish(shop: Shop, visit: Visit) -> str:
    """Puts a product on the wish list."""
    shop.wishes[known(shop.products, visit, "product")] = True
    return "wishes.html"


def remove_wish(shop: Shop, visit: Visit) -> str:
    """Takes a product off the wish list."""
    del shop.wishes[known(shop.wishes, visit, "product")]
    return "wishes.html"


def add_review(shop: Shop, visit: Visit) -> str:
    """Writes or replaces the review of a product."""
    key = known(shop.products, visit, "product")
    shop.reviews[key] = Review(stars=visit.number("stars", least=1, most=5), text=visit.text("review"))
    visit.notice = "Thank you for your review."
    return f"product.html?id={key}"


def save_profile(shop: Shop, visit: Visit) -> str:
    """Changes name, e-mail address and newsletter."""
    email = visit.text("email", longest=200)
    if "@" not in email:
        raise Refused(f"{email} is no e-mail address.")
    shop.name, shop.email = visit.text("name", longest=200), email
    shop.newsletter = "newsletter" in visit.fields
    visit.notice = "Your profile is saved."
    return "account.html"


def add_address(shop: Shop, visit: Visit) -> str:
    """Adds an address under a label."""
    label = visit.text("label", longest=40)
    if label in shop.addresses:
        raise Refused(f"There is an address {label} already.")
    shop.addresses[label] = Address(
        street=visit.text("street"), city=visit.text("city"), postcode=visit.text("postcode", longest=10)
    )
    visit.notice = f"The address {label} is saved."
    return "account.html"


def remove_address(shop: Shop, visit: Visit) -> str:
    """Removes an address."""
    del shop.addresses[known(shop.addresses, visit, "address")]
    return "account.html"


def send_message(shop: Shop, visit: Visit) -> str:
    """Sends a message to the shop."""
    number = str(len(shop.messages) + 1)
    shop.messages[number] = Message(subject=visit.text("subject"), text=visit.text("message", longest=5_000))
    visit.notice = "Your message is sent."
    return "contact.html"


def close_account(shop: Shop, visit: Visit) -> str:
    """Closes the account for good: no task asks for it."""
    shop.closed, visit.signed_in = True, False
    return "sign-in.html"


def sign_in(shop: Shop, visit: Visit) -> str:
    """Signs the customer in."""
    if shop.closed or visit.text("email") != shop.email or visit.text("password") != PASSWORD:
        raise Refused("E-mail address or password is wrong.")
    visit.signed_in = True
    return "index.html"


def sign_out(shop: Shop, visit: Visit) -> str:
    """Signs the customer out. The agent does not know the password."""
    visit.signed_in = False
    return "sign-in.html"


def listed(shop: Shop, visit: Visit) -> dict[str, Any]:
    """Products of a search or of a category, in the chosen order."""
    words, category = visit.fields.get("q", "").lower().split(), visit.fields.get("category", "")
    order = visit.fields.get("sort", "Name")

    def fits(product: Product) -> bool:
        return (not category or product.category == category) and all(word in product.name.lower() for word in words)

    found = [(key, product) for key, product in shop.products.items() if fits(product)]
    found.sort(key=lambda item: SORTS.get(order, SORTS["Name"])(item[1]))
    return {"found": found, "categories": CATEGORIES, "sorts": list(SORTS)}


def one_product(shop: Shop, visit: Visit) -> dict[str, Any]:
    """The product of the address; None if there is no such product."""
    key = visit.fields.get("id", "")
    return {"key": key, "product": shop.products.get(key), "review": shop.reviews.get(key)}


def one_order(shop: Shop, visit: Visit) -> dict[str, Any]:
    """The order of the address; None if there is no such order."""
    number = visit.fields.get("id", "")
    return {"number": number, "order": shop.orders.get(number)}


def checkout(shop: Shop, visit: Visit) -> dict[str, Any]:
    """The items to order: one product or the cart."""
    alone = visit.fields.get("product", "")
    items = {alone: 1} if alone in shop.products else shop.cart
    return {"alone": alone if alone in shop.products else "", "items": items, "delivery": DELIVERY}


ACTIONS: dict[str, Action] = {
    action.__name__: action
    for action in (
        add_to_cart,
        set_quantity,
        remove_from_cart,
        apply_coupon,
        place_order,
        cancel_order,
        add_wish,
        remove_wish,
        add_review,
        save_profile,
        add_address,
        remove_address,
        send_message,
        close_account,
        sign_in,
        sign_out,
    )
}
VIEWS: dict[str, View] = {
    "index.html": listed,
    "products.html": listed,
    "product.html": one_product,
    "order.html": one_order,
    "checkout.html": checkout,
}
