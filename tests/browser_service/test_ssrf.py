"""No page reaches what its lease does not name: every way to make Chromium connect somewhere is tried against a canary.

Each way is also tried where it is allowed, so that a way that has stopped working can't pass for a refusal.
"""

import socket
import socketserver
import threading
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil
import pytest
from eventually import until
from real_service import SMALL, Site, running_service
from real_tiers import Deployment

from browser_service.client import Browser, BrowserPool
from browser_service.egress.addresses import Endpoint
from browser_service.models import ObserveRequest, Sleep, VisitPage
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
QUICK = ObserveRequest(screenshot=False, marks=False)

# Markup and scripts that make a page connect to the canary C (`http://host:port`), each with a path of its own.
MARKUP = {
    "img": "<img src='C/img'>",
    "script": "<script src='C/script'></script>",
    "style": "<link rel=stylesheet href='C/style'>",
    "background": "<p style='background: url(C/background)'>x",
    "iframe": "<iframe src='C/iframe'></iframe>",
    "object": "<object data='C/object'></object>",
    "embed": "<embed src='C/embed'>",
    "video": "<video src='C/video' autoplay muted></video>",
    "preload": "<link rel=preload as=image href='C/preload'>",
    "redirect": "<img src='/redirect'>",
    "meta refresh": "<iframe srcdoc=\"<meta http-equiv=refresh content='0;C/meta%20refresh'>\"></iframe>",
    "js navigation": "<iframe srcdoc=\"<script>location = 'C/js%20navigation'</script>\"></iframe>",
}
SCRIPTS = {
    "fetch": "fetch('C/fetch', {mode: 'no-cors'})",
    "post": "fetch('C/post', {method: 'POST', mode: 'no-cors', body: '{}', headers: {'content-type': 'text/plain'}})",
    "xhr": "{ const x = new XMLHttpRequest(); x.open('GET', 'C/xhr'); x.send() }",
    "beacon": "navigator.sendBeacon('C/beacon', 'x')",
    "event source": "new EventSource('C/event source')",
    "form": "{ const f = document.createElement('form'); f.action = 'C/form'; f.method = 'post'; f.target = 'sink';"
    " document.body.append(f); f.submit() }",
    "worker": "new Worker(URL.createObjectURL(new Blob([`fetch('C/worker', {mode: 'no-cors'})`])))",
    "import": "import('C/import')",
    "websocket": "new WebSocket('C/websocket'.replace('http:', 'ws:'))",
    "popup": "open('C/popup')",
}
# These show as a bare connection: the canary speaks no TLS.
CONNECTIONS = "<link rel=preconnect href='S'><link rel=prefetch href='S/prefetch'><img src='S/img'>"


class Canary:
    """Listens on all addresses of this machine and remembers everything that it hears."""

    def __init__(self) -> None:
        self.connections = 0
        self.paths: set[str] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def canary() -> Generator[Canary, None, None]:
    """A server that no page must reach."""
    heard = Canary()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            heard.connections += 1
            line = self.rfile.readline(65_537).decode("latin-1").split(" ")
            if len(line) == 3:
                heard.paths.add(line[1].lstrip("/").replace("%20", " "))
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        allow_reuse_address = daemon_threads = True

        def server_bind(self) -> None:
            if self.address_family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            super().server_bind()

    with Server(("", 0), Handler) as server:
        heard.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield heard
        server.shutdown()


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """Nothing private can be reached that a lease does not name."""
    with running_service(slots=2, egress_sites=[], settle_cap_s=0.5, navigation_deadline_s=5) as settings:
        yield settings


@contextmanager
def quiet(canary: Canary) -> Generator[None, None, None]:
    """Nothing reaches the canary inside the block."""
    canary.connections, canary.paths = 0, set()
    yield
    assert (canary.connections, canary.paths) == (0, set())


def page_with_everything(site: Site, canary: Canary) -> str:
    site.redirects["/redirect"] = f"{canary.url}/redirect"
    markup = "<iframe name=sink></iframe>" + "".join(MARKUP.values()) + CONNECTIONS
    script = "".join(f"try {{ {code} }} catch (e) {{}}\n" for code in SCRIPTS.values())
    secure = canary.url.replace("http:", "https:")
    body, script = (text.replace("C/", f"{canary.url}/").replace("'S", f"'{secure}") for text in (markup, script))
    return site.page("everything", body, script=script)


async def visit(browser: Browser, url: str) -> None:
    """Opens the page and gives what must not happen time to happen."""
    await browser.step(VisitPage(url=url), QUICK)
    await browser.step(Sleep(duration=0.7), QUICK)


async def test_every_way_to_connect_works_where_it_is_allowed(pool: BrowserPool, site: Site, canary: Canary) -> None:
    canary.connections, canary.paths = 0, set()
    async with pool.lease(owner="allowed", viewport=SMALL, sites=[site.host, f"127.0.0.1:{canary.port}"]) as browser:
        await browser.step(VisitPage(url=page_with_everything(site, canary)), QUICK)
        await until(lambda: {*MARKUP, *SCRIPTS} <= canary.paths, "every way to connect")
        await until(lambda: canary.connections > len(canary.paths), "the connections that speak TLS")


async def test_no_way_to_connect_works_where_it_is_not(pool: BrowserPool, site: Site, canary: Canary) -> None:
    """Fails as soon as Chromium goes to loopback addresses by itself, as it does without the bypass rule."""
    async with pool.lease(owner="refused", viewport=SMALL, sites=[site.host]) as browser:
        with quiet(canary):
            await visit(browser, page_with_everything(site, canary))


async def test_no_spelling_of_this_machine_reaches_it(pool: BrowserPool, site: Site, canary: Canary) -> None:
    own = {
        address.address for entries in psutil.net_if_addrs().values() for address in entries if "." in address.address
    }
    spellings = [
        "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7F.1",
        "017700000001", "0177.0.0.1", "localhost", "LOCALHOST", "localhost.", "x.localhost", "0.0.0.0", "0", "[::]", "[::1]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "%31%32%37.1", "①②⑦.0.0.1", *own,
    ]  # fmt: skip
    images = "".join(f"<img src='http://{spelling}:{canary.port}/x'>" for spelling in spellings)
    async with pool.lease(owner="spelling", viewport=SMALL, sites=[site.host]) as browser:
        with quiet(canary):
            await visit(browser, site.page("spellings", images))
            for spelling in ("2130706433", "[::ffff:127.0.0.1]", "localhost.", "0.0.0.0", "[::1]", *own):
                reply = await browser.step(VisitPage(url=f"http://{spelling}:{canary.port}/"), QUICK)
                assert reply.error is not None and reply.error.code == "NAV_BLOCKED", spelling


async def test_no_datagram_leaves_a_page(pool: BrowserPool, site: Site) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        port = udp.getsockname()[1]
        script = f"""
            for (const url of ['stun:127.0.0.1:{port}', 'turn:127.0.0.1:{port}?transport=udp']) {{
                const peer = new RTCPeerConnection({{iceServers: [{{urls: url, username: 'u', credential: 'c'}}]}})
                peer.createDataChannel('x')
                peer.createOffer().then(offer => peer.setLocalDescription(offer))
            }}
            try {{ new WebTransport('https://127.0.0.1:{port}/x') }} catch (e) {{}}
        """
        async with pool.lease(owner="udp", viewport=SMALL, sites=[site.host, f"127.0.0.1:{port}"]) as browser:
            await visit(browser, site.page("udp", "x", script=script))
        with pytest.raises(BlockingIOError):
            udp.recv(2_048)


async def test_no_page_reaches_a_port_of_the_service_itself(site: Site) -> None:
    """Not even where a lease names them: its own port, and the ways out of all contexts."""
    others = listening()
    with running_service(slots=2, egress_sites=[], navigation_deadline_s=5) as service:
        async with BrowserPool(service.url) as pool, pool.lease(owner="first", viewport=SMALL):
            control = listening() - others
            assert service.port in {part.port for part in control} and len(control) > 2
            sites = [str(part) for part in control]
            async with pool.lease(owner="control", viewport=SMALL, sites=[site.host, *sites][:64]) as browser:
                for part in control:
                    reply = await browser.step(VisitPage(url=f"http://{part}/healthz"), QUICK)
                    assert reply.error is not None, part
                    if part in listening():  # a spare context may have gone meanwhile, and its port with it
                        assert reply.error.code == "NAV_BLOCKED", (part, reply.error)
                        reasons = ("the browser service itself", "which no page may reach")
                        assert any(reason in reply.error.message for reason in reasons), reply.error


async def test_no_page_reaches_another_part_of_the_deployment(deployment: Deployment, site: Site) -> None:
    """Every lease of this deployment may reach 127.0.0.1, and names it once more: the other parts are still nobody's site."""
    deployment.wait_until_whole()
    async with BrowserPool(deployment.url) as pool, pool.batch(2, owner="parts", viewport=SMALL) as others:
        sites = ["127.0.0.1:*", *(f"{host}:*" for host in ("127.98.115.1", "localhost", "[::1]"))]
        async with pool.lease(owner="curious", viewport=SMALL, sites=sites) as browser:
            parts = deployment.listening()
            fixed = {urlsplit(url).port for url in (deployment.url, *deployment.node_urls)}
            fixed |= {urlsplit(each.lease.direct_url or "").port for each in others}
            assert fixed <= {part.port for part in parts}, "master, nodes and both instances"
            assert len(parts) > len(fixed) + 2, "and the ways out of their browsers"
            assert (await browser.step(VisitPage(url=site.page("near", "x")), QUICK)).error is None
            for part in parts:
                for host in {part.host, "localhost"} if part.port in fixed else {part.host}:
                    reply = await browser.step(VisitPage(url=f"http://{host}:{part.port}/healthz"), QUICK)
                    assert reply.error is not None and reply.error.code == "NAV_BLOCKED", (host, part, reply.error)


def listening() -> set[Endpoint]:
    """Addresses on which this process listens: the service's, which runs in a thread, and those of other test servers."""
    found = psutil.Process().net_connections("tcp")
    return {Endpoint(each.laddr.ip, each.laddr.port) for each in found if each.status == psutil.CONN_LISTEN}


async def test_a_page_has_no_service_worker_to_fetch_for_it(pool: BrowserPool, site: Site, canary: Canary) -> None:
    site.pages["/worker.js"] = f"self.addEventListener('install', () => fetch('{canary.url}/sw', {{mode: 'no-cors'}}))"
    script = "navigator.serviceWorker && navigator.serviceWorker.register('/worker.js')"
    async with pool.lease(owner="worker", viewport=SMALL, sites=[site.host]) as browser:
        with quiet(canary):
            await visit(browser, site.page("with-worker", "x", script=script))
