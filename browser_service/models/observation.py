"""The observation of a page, and the request for its parts."""

from typing import Annotated

from pydantic import Field

from browser_service.models.wire import ImageFormat, Wire


class Viewport(Wire):
    """Size of the page in CSS pixels (device pixel ratio 1)."""

    width: Annotated[int, Field(ge=32, le=4_096)] = 1280
    height: Annotated[int, Field(ge=32, le=4_096)] = 768


class Box(Wire):
    """A rectangle in CSS pixels, relative to the viewport's top left corner."""

    x: float
    y: float
    width: float
    height: float


class Mark(Wire):
    """One interactive element in view. Example: `Mark(id=3, role="button", name="ok", box=Box(...))`."""

    id: int
    """Displayed number, 1..n from top to bottom in document order; valid until the next observation."""
    role: str
    """ARIA role, or the nearest one for the tag: button, link, textbox, checkbox, radio, combobox, option, tab, generic."""
    name: str
    """Accessible name, at most 200 characters."""
    box: Box
    value: str | None = None
    """Current value of a text field or select; None for other roles and for password fields."""
    checked: bool | None = None
    """State of checkboxes, radio buttons and options; None for other roles."""
    scrollable: bool = False
    options: list[str] = []
    """Labels of a select's options, at most 100; empty for other roles."""


class Screenshot(Wire):
    """A picture of the viewport, named by its content."""

    sha256: str
    """Hex digest of the encoded bytes."""
    media_type: str
    """`image/png`, `image/jpeg` or `image/webp`."""
    width: int
    height: int
    data: str | None = None
    """Base64 of the bytes; None when the client has this hash already, or asked for a reference (`GET /blob/{sha256}`)."""


class Tab(Wire):
    """One open tab of the session."""

    url: str
    title: str
    active: bool


class Download(Wire):
    """A file that the page made the browser download."""

    name: str
    """Cleaned base name, unique in the session."""
    size: int
    """Bytes."""
    sha256: str
    error: str | None = None
    """The reason why there is no such file: too large, refused, interrupted."""


class Observation(Wire):
    """The session's active tab once it has settled."""

    url: str
    title: str
    status: Annotated[int, Field(ge=100, le=999)] | None = None
    """HTTP status with which the document came, redirects followed; None for a document without one (`about:blank`)."""
    viewport: Viewport
    screenshot: Screenshot | None = None
    marks: list[Mark] = []
    text: str | None = None
    """Visible text of the page, if requested."""
    ax_tree: str | None = None
    """Accessibility tree as indented text, if requested."""
    tabs: list[Tab] = []
    downloads: list[Download] = []
    """Downloads that ended since the last observation."""
    dialogs: list[str] = []
    """Messages of the dialogs that the page opened since the last observation; they were answered by policy."""
    notices: list[str] = []
    """Events since the last observation that no picture shows: what the page asked for and this service refuses by choice
    (service workers, the clipboard, permissions, files), a click that missed. Each kind once, in words of the service's own.
    """
    partial: bool = False
    """True when the page has more content than an observation: marks or the accessibility tree are incomplete."""
    settled: bool = True
    """False when the hard cap ended the wait and the page was still busy."""


class ObserveRequest(Wire):
    """The requested parts of an `Observation`, and the format of the picture."""

    screenshot: bool = True
    marks: bool = True
    draw_marks: bool = False
    """Draw the marks' boxes and numbers into the picture (set-of-marks)."""
    open_options: bool = False
    """Also mark the options of the focused select, as OmniBoxes does."""
    text: bool = False
    ax_tree: bool = False
    image_format: ImageFormat = "png"
    quality: Annotated[int, Field(ge=1, le=100)] = 80
    """Of JPEG and WebP, in percent."""
    scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Size of the picture relative to the viewport."""
    by_reference: bool = False
    """Send no bytes: they are fetched from `/blob/{sha256}` where they are used."""
    have_sha256: str | None = None
    """The newest picture that the client has: an unchanged screen is not sent again."""
