"""Scripted solutions that read the page's text, on pages written by hand; no browser."""

from collections.abc import Sequence

import pytest

from browser_service.models import Action, Box, ClickId, DragId, FillId, Keypress, Mark, Observation, Viewport
from environments.base import Unsolvable
from environments.miniwob.solutions import editor, reading, sliders, synonyms
from environments.miniwob.solutions.page import Solution

BOX = Box(x=0, y=0, width=50, height=20)


def page(text: str | None, *marks: tuple[str, str, str | None], boxes: Sequence[Box] = ()) -> Observation:
    """A page with marks of a role, a name and a value."""
    drawn = [
        Mark(id=number, role=role, name=name, value=value, box=boxes[number - 1] if boxes else BOX)
        for number, (role, name, value) in enumerate(marks, 1)
    ]
    return Observation(url="http://a/", title="", viewport=Viewport(), marks=drawn, text=text)


FORM = (("textbox", "", ""), ("button", "Submit", None))


def filled(observation: Observation, solution: Solution, goal: str = "") -> str:
    action = solution(goal, observation, 0)
    assert isinstance(action, FillId)
    return action.value


@pytest.mark.parametrize(
    ("text", "solution", "answer"),
    [
        ("Solve.\n2 x 4 = \nSubmit", reading.solved_sum, "8"),
        ("Solve.\n2 - 4 = \nSubmit", reading.solved_sum, "-2"),
        ("Solve for x.\nx + 2 = 43\nx = ", reading.solved_for_x, "41"),
        ("Solve for x.\n2 + x = 43\nx = ", reading.solved_for_x, "41"),
        ("Solve for x.\nx - 7 = 37\nx = ", reading.solved_for_x, "44"),
        ("Solve for x.\n7 - x = 37\nx = ", reading.solved_for_x, "-30"),
    ],
)
def test_sums_are_read_and_solved(text: str, solution: Solution, answer: str) -> None:
    assert filled(page(text, *FORM), solution) == answer
    done = page(text, ("textbox", "", answer), FORM[1])
    assert solution("", done, 1) == ClickId(id=2)


def test_words_and_tables_are_read() -> None:
    goal = 'Find the 4th word in the paragraph, type that into the textbox and press "Submit".'
    assert (
        filled(page(f"{goal}\n\nUllamcorper nunc, morbi dictum. Id\n Submit", *FORM), reading.nth_word, goal)
        == "dictum"
    )
    goal = "Enter the value of Year of Birth into the text field and press Submit."
    table = f"{goal}\nColor\torange\nYear of Birth\t1975\n Submit"
    assert filled(page(table, *FORM), reading.value_of_table, goal) == "1975"
    with pytest.raises(Unsolvable, match="Expected a row 'Religion'"):
        reading.value_of_table(goal.replace("Year of Birth", "Religion"), page(table, *FORM), 0)


def test_a_form_is_filled_in_the_order_of_its_labels() -> None:
    goal = "Search for drama movies directed by Hale from year 2011."
    fields = [("textbox", "", ""), ("textbox", "", ""), ("textbox", "", ""), ("generic", "Go!", None)]
    text = f"{goal}\nReleased Date\nMovie Genre\nDirector Name\nGo!"
    said: list[str] = []
    for place in range(3):
        said.append(filled(page(text, *fields), reading.searched_movie, goal))
        fields[place] = ("textbox", "", said[-1])
    assert said == ["2011", "drama", "Hale"]
    assert reading.searched_movie(goal, page(text, *fields), 3) == ClickId(id=4)


@pytest.mark.parametrize(
    ("goal", "shown", "button"),
    [
        ("Generate an odd number, then press submit.", "-", 1),
        ("Generate an odd number, then press submit.", "4", 1),
        ("Generate an even number, then press submit.", "4", 2),
        ("Generate a number less than 7, then press submit.", "7", 1),
        ("Generate a number greater than 3, then press submit.", "7", 2),
    ],
)
def test_numbers_are_generated_until_one_fits(goal: str, shown: str, button: int) -> None:
    seen = page(f"{goal}\n{shown}\nGenerate Submit", ("button", "Generate", None), ("button", "Submit", None))
    assert reading.generated_number(goal, seen, 0) == ClickId(id=button)


def test_a_slider_is_dragged_near_its_value_and_then_moved_by_keys() -> None:
    def seen(value: int, place: float) -> Observation:
        track, handle = Box(x=10, y=60, width=102, height=10), Box(x=10 + 102 * place - 7, y=58, width=14, height=14)
        marks = (("generic", "white", None), ("generic", "", None), ("button", "Submit", None))
        return page(f"Select.\n {value}\nSubmit", *marks, boxes=(track, handle, BOX))

    goal = "Select -50 with the slider and hit Submit."
    dragged = sliders.slider_to_number(goal, seen(-80, 0.2), 0)
    assert isinstance(dragged, DragId) and dragged.id == 2 and dragged.dx == pytest.approx(30.6)
    assert sliders.slider_to_number(goal, seen(-51, 0.49), 1) == Keypress(keys=["ArrowRight"])
    assert sliders.slider_to_number(goal, seen(-50, 0.5), 2) == ClickId(id=3)


def test_words_of_a_text_are_selected_with_their_punctuation() -> None:
    goal = "Using the text editor, give the text gravida. the style italics and press Submit."
    tools = [("button", "", None)] * 3
    seen = page(goal, *tools, ("textbox", "", "Neque, turpis gravida."), ("button", "Submit", None))
    actions: list[Action] = [editor.styled_text(goal, seen, step) for step in range(10)]
    pressed = ["+".join(action.keys) for action in actions if isinstance(action, Keypress)]
    word = "Control+ArrowRight"
    assert pressed == ["Control+Home", word, word, word, "ArrowRight", *["Control+Shift+ArrowRight"] * 2]
    assert actions[0] == ClickId(id=4) and actions[-2:] == [ClickId(id=2), ClickId(id=5)]


def test_every_word_is_in_one_group_of_synonyms_but_pig() -> None:
    words = [word for group in synonyms.GROUPS for word in group.split()]
    assert {word for word in words if words.count(word) > 1} == {"pig"}
    with pytest.raises(Unsolvable, match="Expected a box for each"):
        synonyms.similar_words("Select words similar to big and click Submit.", page("", ("checkbox", "tiny", None)), 0)


def test_without_text_the_message_says_how_to_ask_for_it() -> None:
    with pytest.raises(Unsolvable, match=r"ask for it: ObserveRequest\(text=True\)"):
        reading.solved_sum("", page(None, *FORM), 0)
