"""One function per widget and use. Its name is the page, two underscores, and the use."""

from collections.abc import Callable
from types import FunctionType

from benchmarks.widgets.hands import Hands
from browser_service import models as wire

CASES: dict[str, Callable[[Hands], None]] = {}


def case(run: FunctionType) -> FunctionType:
    """Registers a case under its name; the page in the name before `__` is opened first."""
    CASES[run.__name__] = run
    return run


@case
def react_datepicker__day(h: Hands) -> None:
    h.click("", "textbox")
    h.click("May 15")
    h.expect("day", lambda s: s["d"] == "2024-5-15")


@case
def react_datepicker__typed(h: Hands) -> None:
    h.type("06/20/2024", "", "textbox", enter=True)
    h.expect("typed", lambda s: s["d"] == "2024-6-20")


@case
def flatpickr__day(h: Hands) -> None:
    h.click("When", "textbox")
    h.click("May 15, 2024|^15$")
    h.expect("day", lambda s: s["d"] == "2024-05-15")


@case
def air_datepicker__day(h: Hands) -> None:
    h.click("When", "textbox")
    h.click("^15$")
    h.expect("day", lambda s: "15" in s["d"])


@case
def choices__tokens(h: Hands) -> None:
    h.type("Alp", "", "textbox|searchbox|combobox")
    h.click("^Alpha", "option")
    h.expect("first", lambda s: s["v"] == ["a"])
    h.type("Bet", "", "textbox|searchbox")
    h.click("^Beta", "option")
    h.expect("both", lambda s: s["v"] == ["a", "b"])


@case
def trix__replaced(h: Hands) -> None:
    h.type("New text", "Body", "textbox")
    h.expect("text", lambda s: s["t"] == "<div>New text</div>")


def replace_then_bold(h: Hands, bold: str) -> None:
    """Replaces a rich text, presses the toolbar's button, and goes on typing: the focus must still be in the text."""
    h.expect("ready", lambda s: s["t"] is not None)
    h.act(wire.Observe())
    h.type("New text", "", "textbox")
    h.expect("text", lambda s: "New text" in s["t"].replace("&nbsp;", " ") and "Old" not in s["t"])
    h.click(bold, "button|menuitemcheckbox|generic")
    h.act(wire.TypeText(value=" strong"))
    h.expect("bold", lambda s: "strong</strong>" in s["t"] and "<strong>New" not in s["t"])


@case
def ckeditor__replaced_then_bold(h: Hands) -> None:
    replace_then_bold(h, "^Bold")


@case
def ckeditor__list(h: Hands) -> None:
    h.expect("ready", lambda s: s["t"] is not None)
    h.act(wire.Observe())
    h.type("One", "", "textbox")
    h.click("^Bulleted List", "button")
    h.act(wire.TypeText(value=" more"))
    h.expect("item", lambda s: s["t"].startswith("<ul><li>One more"))


@case
def quill__replaced_then_bold(h: Hands) -> None:
    replace_then_bold(h, "[Bb]old")


@case
def tinymce__replaced_then_bold(h: Hands) -> None:
    replace_then_bold(h, "^Bold")


@case
def prosemirror__replaced_then_bold(h: Hands) -> None:
    replace_then_bold(h, "[Ss]trong")


@case
def material__button(h: Hands) -> None:
    h.click("^Save all$", "button")
    h.expect("clicked", lambda s: s["n"] == 1)


@case
def material__text(h: Hands) -> None:
    h.type("a@b.c", "Your mail", "textbox")
    h.expect("typed", lambda s: s["t"] == "a@b.c")


@case
def material__checkbox(h: Hands) -> None:
    h.click("I agree", "checkbox")
    h.expect("checked", lambda s: s["c"])


@case
def material__radio(h: Hands) -> None:
    h.click("^R2$", "radio")
    h.expect("chosen", lambda s: s["r"])


@case
def material__switch(h: Hands) -> None:
    h.click("Alerts", "switch")
    h.expect("on", lambda s: s["s"])


@case
def material__select(h: Hands) -> None:
    h.click("Colour", "combobox")
    h.click("^Green$", "option")
    h.expect("chosen", lambda s: s["o"] == "g")


@case
def material__tab(h: Hands) -> None:
    h.click("^Two$", "tab")
    h.expect("tab", lambda s: s["tab"] == 1)


@case
def material__slider(h: Hands) -> None:
    h.type("70", "Volume", "slider")
    h.expect("value", lambda s: s["sl"] == 70)


@case
def material__menu(h: Hands) -> None:
    h.click("^Open menu$", "button")
    h.click("^Paste$", "menuitem")
    h.expect("item", lambda s: s["p"] == 1)


@case
def material__icon_button(h: Hands) -> None:
    h.click("^Like$", "button")
    h.expect("clicked", lambda s: s["l"] == 1)


@case
def antd__select(h: Hands) -> None:
    h.click("City", "combobox")
    h.click("^Rome$", "option|generic")
    h.expect("city", lambda s: s["city"] == "rome")


@case
def antd__tokens(h: Hands) -> None:
    h.type("a", "Tags", "combobox")
    h.click("^Alpha$", "option|generic")
    h.expect("first", lambda s: s["tags"] == ["a"])
    h.type("b", "Tags", "combobox", enter=True)
    h.expect("both", lambda s: s["tags"] == ["a", "b"])


@case
def antd__date(h: Hands) -> None:
    h.click("Day", "textbox")
    h.click("^15$")
    h.expect("day", lambda s: s["day"].endswith("-15"))


@case
def antd__switch(h: Hands) -> None:
    h.click("Wifi", "switch")
    h.expect("on", lambda s: s["wifi"])


@case
def antd__slider(h: Hands) -> None:
    h.act(wire.DragId(id=h.mark("", "slider").id, dx=60))
    h.expect("value", lambda s: 45 <= s["vol"] <= 55)


@case
def antd__radio(h: Hands) -> None:
    h.click("^Right$", "radio")
    h.expect("side", lambda s: s["side"] == "Right")
    h.act(wire.Observe())
    if not h.mark("^Right$", "radio").checked:
        raise AssertionError("the mark does not tell that it is chosen")


@case
def antd__cascader(h: Hands) -> None:
    h.click("Where", "combobox")
    h.click("^Norway$", "menuitemcheckbox")
    h.click("^Oslo city$", "menuitemcheckbox")
    h.expect("place", lambda s: s["where"] == ["no", "os"])


def read_pdf(h: Hands) -> None:
    """Waits until the viewer has drawn the first page with its form."""
    h.expect("drawn", lambda s: s["ready"])
    h.act(wire.Observe())


@case
def pdf__link(h: Hands) -> None:
    read_pdf(h)
    h.click("see the second page", "link")
    h.expect("second page", lambda s: s["page"] == 2)


@case
def pdf__text(h: Hands) -> None:
    read_pdf(h)
    h.type("Ada", "Your name", "textbox")
    h.expect("typed", lambda s: "Ada" in s["form"])


@case
def pdf__checkbox(h: Hands) -> None:
    read_pdf(h)
    h.click("I agree", "checkbox")
    h.expect("checked", lambda s: True in s["form"])


@case
def pdf__scrolled(h: Hands) -> None:
    read_pdf(h)
    h.click("Zoom in", "button")
    for _ in range(3):
        h.act(wire.PageDown(full_page=True))
    h.expect("second page", lambda s: s["page"] == 2)
