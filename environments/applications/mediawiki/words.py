"""Names and sentences that the wiki's articles are made of."""

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of building. Example: `Kind("Bridges", "Bridge", "bridge", "length in metres", "is {size} metres long", ...)`."""

    category: str
    suffix: str
    """Last word of its titles."""
    noun: str
    label: str
    """Name of its size in a question and in a list."""
    sentence: str
    sizes: range
    most: str
    """Adjective of the one with the largest size."""


KINDS = (
    Kind("Bridges", "Bridge", "bridge", "length in metres", "is {size} metres long", range(18, 420), "longest"),
    Kind("Mills", "Mill", "mill", "height in metres", "is {size} metres high", range(7, 60), "highest"),
    Kind(
        "Lighthouses", "Lighthouse", "lighthouse", "height in metres", "is {size} metres high", range(9, 75), "highest"
    ),
    Kind("Gardens", "Gardens", "garden", "area in hectares", "covers {size} hectares", range(2, 90), "largest"),
    Kind("Museums", "Museum", "museum", "number of exhibits", "shows {size} exhibits", range(120, 9_000), "largest"),
    Kind(
        "Stations",
        "Station",
        "railway station",
        "length of platform in metres",
        "has {size} metres of platform",
        range(60, 400),
        "longest",
    ),
    Kind("Theatres", "Theatre", "theatre", "number of seats", "has {size} seats", range(80, 1_900), "largest"),
    Kind("Schools", "School", "school", "number of pupils", "has {size} pupils", range(40, 1_500), "largest"),
)
TOWNS = ("Aldmouth", "Brackwater", "Corhaven", "Dunlow", "Eastmere", "Farrowby", "Glenholt", "Harsby")
FIRST = (
    *("Alder", "Amber", "Ashby", "Beacon", "Bellwood", "Birch", "Bishop", "Bracken", "Carver", "Chestnut"),
    *("Copper", "Cross", "Dyer", "Elder", "Falcon", "Ferry", "Fuller", "Gorse", "Granary", "Harrow"),
    *("Hazel", "Heron", "Holly", "Juniper", "Kings", "Lantern", "Larch", "Linden", "Mason", "Meadow"),
    *("Merchant", "Orchard", "Osprey", "Poplar", "Priory", "Queens", "Rowan", "Saddler", "Tanner", "Willow"),
)
GIVEN = ("Ada", "Bruno", "Carla", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Lars")
EDITORS = tuple(f"{given}{family}" for given in GIVEN for family in ("Moor", "Heath", "Brook", "Dale"))
ARCHITECTS = tuple(
    f"{given} {family}"
    for given in ("Agnes", "Bertram", "Cecily", "Edmund", "Flora", "Gilbert", "Harriet", "Isaac")
    for family in ("Thorne", "Wexley", "Underhill")
)
COLOURS = ("green", "grey", "red", "white", "dark blue", "yellow", "brown")
STONES = ("brick", "sandstone", "granite", "limestone", "oak", "iron")
EVENTS = (
    "was closed for repairs in {year}",
    "was damaged by a flood in {year}",
    "was enlarged in {year}",
    "was sold to the county in {year}",
    "was lit by electricity in {year}",
    "was visited by the queen in {year}",
)
REMARKS = (
    "It is open to visitors on Sundays.",
    "A plaque beside the entrance names the builders.",
    "Pigeons nest below the roof.",
    "It appears on the county's postage stamps.",
    "A footpath leads to it from the market place.",
    "The county repaints it every eight years.",
)
HEADINGS = {"history": "History", "description": "Description", "see": "See also"}
"""Headings of an article's sections, in order."""
GROWTH = {
    "history": ("Added the history", "The story so far", "When it was built"),
    "description": ("Added a description", "How it looks", "Size and colour"),
    "see": ("Links to its neighbours", "Related articles", "Added more links"),
}
"""Summaries of the edits that add a section."""
SMALL = (
    "Typo",
    "Corrected a figure",
    "Wording",
    "Small correction",
    "As in the county's register",
    "Checked on site",
    "Better wording",
)
QUESTIONS = (
    "Is the year right?",
    "A better source",
    "Photograph wanted",
    "Name of the architect",
    "Which road?",
    "Old postcards",
)
TALK = (
    "I have found another figure in the county's register.",
    "The plaque beside the entrance says something else.",
    "Does anybody have a photograph from the north side?",
    "The newspaper of that year has a drawing of it.",
)
