"""The actions of an agent: one class per kind, in the union `Action`, discriminated by `kind`."""

from typing import Annotated, Literal

from pydantic import Field

from browser_service.models.pointer_actions import (
    ClickCoords,
    ClickId,
    Drag,
    DragId,
    HoverAndScrollCoords,
    HoverCoords,
    HoverId,
    MouseDown,
    MouseUp,
    ScrollCoords,
    ScrollId,
    SelectCoords,
    SelectOption,
)
from browser_service.models.wire import Coordinate, Key, MarkId, Text, Wire


class VisitPage(Wire):
    """Navigate the tab. Example: `{"kind": "visit_page", "url": "http://127.0.0.1:9000/shop"}`."""

    kind: Literal["visit_page"] = "visit_page"
    url: Annotated[str, Field(min_length=1, max_length=8_192)]


class Back(Wire):
    """Go back in the tab's history."""

    kind: Literal["back"] = "back"


class Forward(Wire):
    """Go forward in the tab's history."""

    kind: Literal["forward"] = "forward"


class Reload(Wire):
    """Load the current page again."""

    kind: Literal["reload"] = "reload"


class FillCoords(Wire):
    """Click a point, then type `value` there."""

    kind: Literal["fill_coords"] = "fill_coords"
    x: Coordinate
    y: Coordinate
    value: Text
    press_enter: bool = True
    delete_existing: bool = False


class FillId(Wire):
    """Click a marked element, then type `value` into it."""

    kind: Literal["fill_id"] = "fill_id"
    id: MarkId
    value: Text
    press_enter: bool = True
    delete_existing: bool = False


class OpenTab(Wire):
    """Open a tab, make it the active one, and visit `url` in it."""

    kind: Literal["open_tab"] = "open_tab"
    url: Annotated[str, Field(min_length=1, max_length=8_192)] = "about:blank"


class SwitchTab(Wire):
    """Make another tab the active one. `index` counts from 0 in the order of `Observation.tabs`."""

    kind: Literal["switch_tab"] = "switch_tab"
    index: Annotated[int, Field(ge=0, le=100)]


class CloseTab(Wire):
    """Close a tab: the active one, or the one at `index`. The last tab can't be closed."""

    kind: Literal["close_tab"] = "close_tab"
    index: Annotated[int, Field(ge=0, le=100)] | None = None


FileNames = Annotated[list[Annotated[str, Field(min_length=1, max_length=255)]], Field(min_length=1, max_length=20)]


class Upload(Wire):
    """Give files of the lease's folder (`LeaseRequest.files`) to a marked file input, or to whatever opens a chooser."""

    kind: Literal["upload"] = "upload"
    id: MarkId
    files: FileNames


class UploadCoords(Wire):
    """Give files of the lease's folder to the file input at a point, or to whatever opens a chooser when it is clicked."""

    kind: Literal["upload_coords"] = "upload_coords"
    x: Coordinate
    y: Coordinate
    files: FileNames


class PageDown(Wire):
    """Scroll the page down by `amount` CSS pixels, or by a viewport less 50 pixels."""

    kind: Literal["page_down"] = "page_down"
    amount: Annotated[int, Field(ge=1, le=100_000)] = 200
    full_page: bool = False


class PageUp(Wire):
    """Scroll the page up by `amount` CSS pixels, or by a viewport less 50 pixels."""

    kind: Literal["page_up"] = "page_up"
    amount: Annotated[int, Field(ge=1, le=100_000)] = 200
    full_page: bool = False


class Keypress(Wire):
    """Press one chord, for `duration` seconds (at most 30). Example: `{"kind": "keypress", "keys": ["Control", "a"]}`."""

    kind: Literal["keypress"] = "keypress"
    keys: Annotated[list[Key], Field(min_length=1, max_length=6)]
    duration: Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)] = 0.0


class KeyDown(Wire):
    """Press keys and hold them, over the actions that follow."""

    kind: Literal["key_down"] = "key_down"
    keys: Annotated[list[Key], Field(min_length=1, max_length=6)]


class KeyUp(Wire):
    """Let held keys go."""

    kind: Literal["key_up"] = "key_up"
    keys: Annotated[list[Key], Field(min_length=1, max_length=6)]


class TypeText(Wire):
    """Type into whatever has the focus."""

    kind: Literal["type_text"] = "type_text"
    value: Text
    press_enter: bool = False


class TabAndEnter(Wire):
    """Press Tab, then Enter."""

    kind: Literal["tab_and_enter"] = "tab_and_enter"


class Sleep(Wire):
    """Wait for `duration` seconds (at most 30)."""

    kind: Literal["sleep"] = "sleep"
    duration: Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)] = 1.0


class Observe(Wire):
    """Do nothing: only look."""

    kind: Literal["observe"] = "observe"


Action = Annotated[
    VisitPage
    | Back
    | Forward
    | Reload
    | ClickCoords
    | ClickId
    | Drag
    | DragId
    | MouseDown
    | MouseUp
    | FillCoords
    | FillId
    | SelectOption
    | SelectCoords
    | HoverCoords
    | HoverId
    | HoverAndScrollCoords
    | ScrollId
    | ScrollCoords
    | OpenTab
    | SwitchTab
    | CloseTab
    | Upload
    | UploadCoords
    | PageDown
    | PageUp
    | Keypress
    | KeyDown
    | KeyUp
    | TypeText
    | TabAndEnter
    | Sleep
    | Observe,
    Field(discriminator="kind"),
]
