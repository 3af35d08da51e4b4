"""Pages of lists: the body is the list alone, the address of the next page is in the header `Link` (RFC 8288)."""

from fastapi import Request, Response

CURSOR = "x-next-cursor"


def next_page(request: Request, response: Response, cursor: str) -> None:
    """Tells the cursor of the next page."""
    url = request.url.include_query_params(cursor=cursor)
    response.headers["link"] = f'<{url.path}?{url.query}>; rel="next"'
    response.headers[CURSOR] = cursor
