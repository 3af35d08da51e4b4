"""A client of OmniBoxes masters (WebGym's browser service), used in the same way as the client of this service."""

from browser_service.client.omniboxes.pool import OmniBoxesPool

__all__ = ["OmniBoxesPool"]
