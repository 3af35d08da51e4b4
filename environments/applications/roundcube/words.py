"""Words that the mails and the tasks of the mail application are made of."""

FIRST = (
    *("Ada", "Bruno", "Carla", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines"),
    *("Jonas", "Kira", "Lars", "Mona", "Nils", "Olga", "Pavel", "Quinn", "Rosa"),
    *("Sven", "Tara", "Ugo", "Vera", "Wim", "Xenia", "Yuri", "Zoe"),
)
LAST = ("Ashdown", "Birch", "Cedarholm")
COMPANIES = ("lighthouse", "millpond", "quarry", "orchard", "ferry", "brickyard", "observatory", "tannery")
THINGS = (
    *("long ladder", "boat shed", "crane", "tool chest", "winter cover", "oak planks", "spare anchor", "paint order"),
    *("workshop key", "delivery van", "summer course", "fire door", "rope locker", "measuring bench", "open day"),
    *("insurance form", "harbour map", "engine hoist", "canvas roll", "guest book"),
)
PLACES = ("Utrecht", "Porto", "Tartu", "Graz", "Bergen", "Ghent", "Turku", "Lyon", "Trieste", "Cork", "Malmo", "Gdansk")
SUBJECTS = (
    *("The {thing} for {place}", "Question about the {thing} in {place}", "{place}: news of the {thing}"),
    *(
        "When does the {thing} leave for {place}?",
        "Please check the {thing} from {place}",
        "Lost the {thing} near {place}",
    ),
    *("A second {thing} in {place}", "Minutes: {thing}, {place}", "Photos of the {thing} in {place}"),
    *("Who pays for the {thing} in {place}?", "The {thing} of {place} is back"),
)
SENTENCES = (
    *("It took us longer than we thought.", "The rain has stopped at last.", "Nobody has seen it since Monday."),
    *("I have put a copy on your desk.", "We can talk about it on the phone.", "My colleague knows more about that."),
    *("The list is nearly complete.", "Please tell me which day suits you.", "There is no hurry."),
    *("The old one still works, by the way.", "I would rather wait until spring.", "Somebody has to sign it."),
    *("The driver comes in the morning.", "We have two more in the cellar.", "I enclose what I have found so far."),
)
GREETINGS = ("Kind regards", "Best wishes", "Yours", "All the best", "See you soon")
NEW_SUBJECTS = (
    *("Meeting on the fourth of May", "Borrowing the band saw", "Lost and found at the workshop", "New opening hours"),
    *("Tools for the spring course", "Key of the side door", "Tickets for the concert", "Repair of the gate"),
)
BEGINNINGS = (
    *(
        "I have read it twice.",
        "Many thanks for the details.",
        "We have had the same problem.",
        "That is fine with me.",
    ),
    *("Please tell us how it went.", "I can come on Saturday.", "I would not do that without gloves."),
)
ENDINGS = (
    *("Ask again in spring.", "The shop near the station has it.", "Keep the old parts.", "It took me two evenings."),
    *("Nobody else noticed.", "Write to me if you need one.", "It is worth the wait."),
)
NEW_PEOPLE = (
    *("Abel Norden", "Bea Lindqvist", "Cyril Okafor", "Dora Weissman", "Emil Castellan", "Fenna Brouwer"),
    *("Gustav Havel", "Hanna Sorel", "Ivo Marin", "Jette Dahl", "Karim Benali", "Lotte Vermeer"),
)
NEW_FOLDERS = (
    "Concerts",
    "Repairs",
    "Recipes",
    "Taxes",
    "Garden",
    "School",
    "Bookings",
    "Contracts",
    "Warranty",
    "Club",
)
NEW_GROUPS = ("Rowers", "Painters", "Tenants", "Volunteers", "Customers", "Teachers", "Drivers", "Printers")
DISPLAY_NAMES = ("R. Vale", "Robin A. Vale", "Robin Vale (Workshop)", "Robin V.", "Captain Vale", "Robin Vale, Harbour")
ORGANIZATIONS = ("Harbour Museum", "Vale and Sons", "North Quay Boats", "Rope and Tackle", "Dry Dock Two", "Pier Seven")
RESPONSES = ("Out of office", "Directions", "Opening hours", "Price list", "Delivery note", "Welcome")
