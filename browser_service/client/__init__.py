"""The client: `async with BrowserPool(url).lease(...) as browser`, and the same without await."""

from browser_service.client.browser import Browser
from browser_service.client.pool import BrowserPool, LeaseOptions
from browser_service.client.sync import SyncBrowser, SyncBrowserPool

__all__ = ["Browser", "BrowserPool", "LeaseOptions", "SyncBrowser", "SyncBrowserPool"]
