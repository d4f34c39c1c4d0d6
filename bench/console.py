"""The web console over the real service: first paint and time to interactive in Debian's Chromium with 20,000 devices, and what its bundle weighs.

Beside each figure: a page of one line from another server with the same certificate (what Chromium and TLS alone take), the same page
with 100 devices (what the size of the fleet adds), or the service's answers without a browser.
"""
from __future__ import annotations

import http.server
import json
import shutil
import ssl
import statistics
import subprocess
import threading
import time
from pathlib import Path

from measure import BINARIES, ROOT, Fleet, Peer, StackError, row, wait_until
from registry import Api, register
from stack import Service

CONSOLE = ROOT / "console"
FEW, MANY, QUICK_MANY = 100, 20_000, 2_000
WAVE = 10_000  # connected at a time: a process may have 20,000 files
BUNDLE_MAX = 150 * 1024
DATA = "/deviceUpdate/default/management"
API = "api-version=2022-10-01"


def node(script: str, *arguments: str) -> dict:
    done = subprocess.run(["node", f"test/{script}", *arguments], cwd=CONSOLE, capture_output=True, text=True)
    if done.returncode:
        raise StackError(f"{script} failed: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


class OneLine:
    """The floor: one line of HTML over TLS, with the service's own certificate."""

    PAGE = b"<!doctype html><html lang=en><title>One line</title><p id=line>One line</p></html>"

    def __init__(self, service: Service):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(OneLine.PAGE)))
                self.end_headers()
                self.wfile.write(OneLine.PAGE)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(service.data / "tls" / "server.pem", service.data / "tls" / "server-key.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.server_address[1]}/"


def listed(api: Api) -> int:
    return json.loads(api.call("GET", f"{DATA}/updateCompliance?{API}"))["totalDeviceCount"]


def come(service: Service, folder: Path, keys: Path, first: int, count: int) -> Fleet:
    """Devices log in and report who they are, in waves; the last wave stays connected."""
    name = next(line.split('"')[1] for line in (service.data / "godwit.toml").read_text().splitlines() if line.startswith("name"))
    peer = Peer("Godwit", service.process, service.ports["hub"], service.ca, keys, name)
    run, api = None, Api(service)  # a connection of its own: an older one was idle for too long
    for at in range(first, first + count, WAVE):
        if run:
            run.stop()
        wave = min(WAVE, first + count - at)
        scenario = folder / "console.toml"
        scenario.write_text(f'time_limit = "1h"\nsay_every = "60s"\n[[class]]\nname = "device"\ncount = {wave}\nmanufacturer = "Contoso"\nmodel = "Meter"\n')
        run = Fleet("run", peer, wave, scenario, first=at)
        wait_until(f"{at + wave} devices are listed", lambda known=at + wave: listed(api) >= known, 600, 0.5)
    return run


def answers(service: Service, path: str, body: dict | None = None) -> float:
    """Milliseconds of one answer, median of nine on a warm connection."""
    api = Api(service)
    took = []
    for _ in range(10):
        begun = time.perf_counter()
        api.call("POST" if body else "GET", path, json.dumps(body) if body else None)
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took[1:])


def paint(service: Service, floor: OneLine, last: int, runs: int) -> dict:
    url, session = f"https://localhost:{service.ports['api']}/console", {"token": service.token_file.read_text().strip(), "instance": "default"}
    search = {"label": "Search by id", "text": f"device-{last}", "wanted": f"device-{last}"}
    return node("paint.mjs", json.dumps({"runs": runs, "pages": [
        {"name": "floor", "url": floor.url, "wanted": "#line"},
        {"name": "overview", "url": url, "wanted": ".compliance .donut", "session": session},
        {"name": "devices", "url": f"{url}/devices", "wanted": "tbody tr", "session": session, "search": search}]}))


def show_bundle() -> None:
    parts = node("parts.mjs")
    sizes = {name: size / 1024 for name, size in parts["files"].items()}
    row("console bundle, all files zipped", f"{sum(sizes.values()):.1f} KiB", f"limit: {BUNDLE_MAX / 1024:.0f} KiB", ", ".join(f"{name} {size:.1f}" for name, size in sorted(sizes.items(), key=lambda one: -one[1])))
    whole = sum(parts["packages"].values())
    row("of its scripts, by package", ", ".join(f"{name} {size / 1024:.1f} KiB" for name, size in sorted(parts["packages"].items(), key=lambda one: -one[1])), f"{whole / 1024:.1f} KiB together",
        "shares by length before minifying; uplot is fetched with the first chart")


def bench_console(service: Service, folder: Path, quick: bool) -> None:
    if not (CONSOLE / "node_modules").exists() or not shutil.which("chromium"):
        raise StackError("the console's tools are not here: ./dev build bench, and Debian's chromium")
    show_bundle()
    many, runs = QUICK_MANY if quick else MANY, 3 if quick else 5
    fresh = Service(folder / "console", BINARIES)
    fresh.init()
    fresh.start()
    fleets = []
    try:
        keys, floor = folder / "console" / "keys", OneLine(fresh)
        register(fresh, many, keys)
        fleets.append(come(fresh, folder, keys, 0, FEW))
        few = paint(fresh, floor, FEW - 1, runs)
        begun = time.monotonic()
        fleets.append(come(fresh, folder, keys, FEW, many - FEW))
        print(f"<!-- {many - FEW} devices came in {time.monotonic() - begun:.0f} s -->", flush=True)
        full = paint(fresh, floor, many - 1, runs)
        ms = lambda found, name: f"{found[name]:.0f} ms"
        for page in ("overview", "devices"):
            found, small = full[page], few[page]
            title = f"console, {page} of {many:,} devices"
            row(f"{title}: first paint, median of {runs}", ms(found, "firstPaint"), f"one line of HTML {ms(full['floor'], 'firstPaint')}; with {FEW} devices {ms(small, 'firstPaint')}", f"nothing cached, {found['bytes'] / 1024:.0f} KiB fetched")
            row(f"{title}: its figures stand", ms(found, "stands"), f"with {FEW} devices {ms(small, 'stands')}", f"script {ms(found, 'script')}, style and layout {ms(found, 'layout')}, heap {found['heapMiB']:.1f} MiB")
            row(f"{title}: time to interactive", ms(found, "interactive"), f"with {FEW} devices {ms(small, 'interactive')}; one line of HTML {ms(full['floor'], 'interactive')}", f"slowest {found['slowest']:.0f} ms; they stand and no task over 50 ms follows for 5 s")
        alone = answers(fresh, "/devices/query?api-version=2021-04-12", {"query": f"SELECT deviceId FROM devices WHERE CONTAINS(deviceId, 'device-{many - 1}')"})
        row(f"console, search for one of {many:,} devices, from Enter to its row", ms(full["devices"], "search"), f"the answer alone {alone:.0f} ms; with {FEW} devices {ms(few['devices'], 'search')}")
        row(f"a page of the device list of {many:,}, without a browser", f"{answers(fresh, f'{DATA}/devices?{API}'):.1f} ms", "-")
    finally:
        for run in fleets:
            run.child.terminate()
            run.child.wait(60)
        fresh.stop()
