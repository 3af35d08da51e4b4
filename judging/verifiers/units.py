"""Units of measure by their spellings, with the dimension and the factor to the dimension's base unit."""

from decimal import Decimal
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit of measure. Example: `Unit("length", Decimal(1000))` is the kilometre."""

    dimension: str
    factor: Decimal


SPELLINGS: dict[str, dict[str, str]] = {
    "percent": {"1": "% percent pct percentage"},
    "EUR": {"1": "€ eur euro euros"},
    "USD": {"1": "$ us$ usd dollar dollars", "0.01": "¢ cent cents"},
    "GBP": {"1": "£ gbp pound-sterling pounds-sterling"},
    "JPY": {"1": "¥ jpy yen 円"},
    "CNY": {"1": "cny rmb yuan 元"},
    "INR": {"1": "₹ inr rupee rupees"},
    "CHF": {"1": "chf franc francs"},
    "KRW": {"1": "₩ krw won"},
    "length": {
        "1": "m metre metres meter meters",
        "1000": "km kilometre kilometres kilometer kilometers",
        "0.01": "cm centimetre centimetres centimeter centimeters",
        "0.001": "mm millimetre millimetres millimeter millimeters",
        "1609.344": "mi mile miles",
        "0.3048": "ft foot feet",
        "0.9144": "yd yard yards",
        "0.0254": "in inch inches",
    },
    "mass": {
        "1": "kg kilogram kilograms kilo kilos",
        "0.001": "g gram grams gramme grammes",
        "0.000001": "mg milligram milligrams",
        "1000": "t tonne tonnes",
        "0.45359237": "lb lbs",
        "0.028349523125": "oz ounce ounces",
    },
    "time": {
        "1": "s sec secs second seconds",
        "0.001": "ms millisecond milliseconds",
        "60": "min mins minute minutes",
        "3600": "h hr hrs hour hours",
        "86400": "d day days",
        "604800": "week weeks",
    },
    "data": {
        "1": "byte bytes",
        "1000": "kb",
        "1000000": "mb",
        "1000000000": "gb",
        "1000000000000": "tb",
        "1024": "kib",
        "1048576": "mib",
        "1073741824": "gib",
    },
    "celsius": {"1": "°c celsius"},
    "fahrenheit": {"1": "°f fahrenheit"},
}
UNITS = {
    spelling: Unit(dimension, Decimal(factor))
    for dimension, factors in SPELLINGS.items()
    for factor, spellings in factors.items()
    for spelling in spellings.split()
}
SCALES = {"k": 3, "K": 3, "M": 6, "mn": 6, "Mn": 6, "mio": 6, "Mio": 6, "bn": 9, "Bn": 9, "B": 9, "T": 12, "tn": 12} | {
    word: power
    for name, power in (("thousand", 3), ("million", 6), ("billion", 9), ("trillion", 12))
    for word in (name, name.capitalize(), name.upper())
}
"""Powers of ten by spelling. Case counts: `M` is a million, `m` a metre."""


def unit_named(spelling: str) -> Unit | None:
    """The unit of a spelling, None if it is not in the table. An unknown word is a dimension of its own to the caller."""
    return UNITS.get(spelling.casefold())


def unit_or_word(spelling: str) -> Unit:
    """The unit of a spelling; for an unknown one, such as "items", a unit of its own. "" is the unit without dimension."""
    return unit_named(spelling) or Unit(f"word {spelling.casefold()}" if spelling else "", Decimal(1))


def spelling_of(unit: Unit) -> str:
    """The first spelling of a unit of the table; the word itself for a unit of its own. Example: `spelling_of(UNITS["km"]) == "km"`."""
    return next((name for name, one in UNITS.items() if one == unit), unit.dimension.removeprefix("word "))
