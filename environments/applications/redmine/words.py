"""Words of the tracker's start state: projects with their parts, people, sentences."""

from typing import NamedTuple


class Theme(NamedTuple):
    """A project's words. Example: `Theme("kiln", "Kiln Controller", "Firmware of ...", ("Heater", "Display"))`."""

    identifier: str
    name: str
    description: str
    parts: tuple[str, ...]
    """Names of its categories; issues are about them."""


THEMES = (
    Theme(
        *("harbour", "Harbour Booking", "Berths for visiting boats: requests, payments and the harbour master's list."),
        ("Berth map", "Payments", "Tide table", "Mail templates", "Arrivals list"),
    ),
    Theme(
        *("kiln", "Kiln Controller", "Firmware and display of the controller for pottery kilns."),
        ("Heater", "Touch display", "Firing curves", "Thermocouple", "Data export"),
    ),
    Theme(
        *("library", "Library Portal", "Catalogue, loans and reservations of the town library."),
        ("Catalogue search", "Loans", "Reading room", "Member cards", "Reminder letters"),
    ),
    Theme(
        *("tram", "Tram Timetable", "The timetable for passengers, at stops and on telephones."),
        ("Stop signs", "Route planner", "Delay feed", "Night lines", "Printed tables"),
    ),
    Theme(
        *("orchard", "Orchard Website", "The fruit growers' website with shop and recipes."),
        ("Shop", "Recipe pages", "Newsletter", "Photo gallery", "Opening hours"),
    ),
    Theme(
        *("museum", "Museum Guide", "The audio guide and the plan of the rooms for visitors."),
        ("Audio player", "Room plan", "Translations", "Ticket desk", "Quiz"),
    ),
    Theme(
        *("bakery", "Bakery Orders", "Standing orders of shops and canteens, from the call to the van."),
        ("Order form", "Delivery route", "Invoices", "Stock list", "Allergen labels"),
    ),
    Theme(
        *("weather", "Weather Station", "Sensors on the school roofs and the page that shows them."),
        ("Rain gauge", "Wind sensor", "Battery", "Map view", "Archive"),
    ),
)
FIRST = (
    *("Ada", "Bruno", "Carla", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Lars", "Mona"),
    *("Nils", "Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tara", "Ugo", "Vera", "Wim", "Xenia"),
)
LAST = (
    *("Moor", "Fields", "Stone", "Brook", "Heath", "Marsh", "Dale", "Shore", "Wood", "Hill", "Finch", "Reed", "Thorn"),
    *("Ash", "Holm", "Pike", "Rook", "Lark", "Elm", "Frost", "Glen", "Birch", "Crane", "Vale"),
)
SYMPTOMS = (
    *("is empty", "shows yesterday's values", "is too slow", "loses the last entry", "shows the wrong unit"),
    *("freezes", "is cut off", "forgets the chosen language", "counts twice", "shows no error message"),
)
CONDITIONS = (
    *("after a restart", "on small screens", "when two people save at once", "in the night from Sunday to Monday"),
    *("with long names", "without a network", "after the clock change", "when the list is sorted", "on the first page"),
    *("after the update", "with an empty field", "in the printed version"),
)
WISHES = (
    *("Undo for the {part}", "Export the {part} as a table", "Dark colours for the {part}", "Search in the {part}"),
    *("Keyboard shortcuts for the {part}", "A short help text for the {part}", "Filter the {part} by date"),
    *("Larger buttons in the {part}", "Remember the last view of the {part}", "A test plan for the {part}"),
)
FOR_WHOM = (
    *("for new members", "for the front desk", "for the evening shift", "for visitors", "for the board"),
    *("for people with glasses", "for the summer season", "for the branch in the north"),
)
QUESTIONS = (
    *("How do we set up the {part}", "Who may change the {part}", "Where are the old files of the {part}"),
    *("How long are the data of the {part} kept", "Which settings does the {part} need"),
)
DESCRIPTIONS = (
    *("Reported by telephone this morning.", "Seen on two machines with the same version.", "Happens every time."),
    *("There is a note about it in the wiki.", "Nobody can say since when.", "A screenshot follows by mail."),
    *("Please talk to the front desk first.", "It was discussed in the last meeting.", "Costs us an hour a week."),
)
COMMENTS = (
    *("I can reproduce this on my machine.", "Waiting for an answer from the supplier.", "Works for me, please retry."),
    *("The cause is found, the repair is small.", "Let us talk about it on Monday.", "Moved to the next release."),
    *("Thank you, this helps a lot.", "The tests pass now.", "Could somebody look at the second page, too?"),
    *("I have asked the front desk.", "This is harder than it looks.", "The old version did it in the same way."),
)
RELEASES = ("1.0 Alder", "1.1 Beech", "2.0 Cedar", "2.1 Dogwood")
PAGES = (*("Release_checklist", "Meeting_notes", "Glossary", "Installation", "Backup_plan", "Contacts", "House_rules"),)
PARAGRAPHS = (
    *("This page is kept short on purpose.", "Ask before you change the order of the steps.", "Last read in spring."),
    *("The details are in the folder at the front desk.", "Every step has a person and a date.", "Old names stay."),
    *("When in doubt, call instead of writing.", "The list is read aloud at the first meeting of the month."),
)
NEWS = (
    *("Summer break", "New colleague at the front desk", "Server moved", "Open day", "First thousand users"),
    *("Meeting moved to Thursday", "Survey results", "Spring cleaning of old issues", "New printer", "Thank you all"),
)
