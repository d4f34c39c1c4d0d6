"""The Device Update routes as a hostile client sees them: raw HTTP over TLS, every route, every field. Each refusal is a 4xx with code and sentence."""
import http.client
import json
import re
import socket
import ssl

import pytest

from generate_docs import routes_of
from operators import API, ROOT, import_item, manifest_of

UPDATES, MANAGEMENT = "/deviceUpdate/default/updates", "/deviceUpdate/default/management"
DEPLOY = MANAGEMENT + "/groups/hostile/deployments/hostile"
# What stands in a path of the route table; a parameter that is not here becomes "x".
VALUES = {"instanceId": "default", "provider": "Conformance", "name": "hostile", "version": "1.0", "fileId": "f0123456789abcdef", "operationId": "1b671a64-40d5-491e-99b0-da01ff1f3341",
          "groupId": "hostile", "deviceClassId": "0123456789abcdef0123456789abcdef01234567", "deploymentId": "hostile", "deviceId": "device", "moduleId": "module"}
ROUTES = [(method, path) for source in sorted((ROOT / "src" / "server" / "api" / "deviceupdate").glob("*_routes.cpp")) for method, path, _ in routes_of(source.read_text())]
DEPLOYMENT = {"deploymentId": "hostile", "groupId": "hostile", "startDateTime": "2026-01-01T00:00:00Z", "update": {"updateId": {"provider": "Conformance", "name": "hostile", "version": "1.0"}},
              "rollbackPolicy": {"update": {"updateId": {"provider": "Conformance", "name": "hostile", "version": "0.9"}}, "failure": {"devicesFailedPercentage": 10, "devicesFailedCount": 1}}}
WITH_BODY = [route for route in ROUTES if route[0] in ("PUT", "PATCH") or route[1].endswith(":import")]
NOT_JSON = {"nothing": b"", "half an object": b'{"a":', "two values": b"{} {}", "not UTF-8": b'{"a":"\xff\xfe"}', "a lone surrogate": b'{"a":"\\ud800"}', "NaN": b'{"a":NaN}', "a NUL": b'{"a":"\\u0000"}',
            "a member twice": b'{"a":1,"a":2}', "very deep": b"[" * 100_000, "deep and whole": b'{"a":' * 500 + b"1" + b"}" * 500, "a huge number": b'{"a":1e99999}', "a word": b"null", "form": b"a=1&b=2",
            "a long text": b'"' + b"x" * 500_000 + b'"'}


class Raw:
    """One keep-alive connection that comes again when the service closed it."""

    def __init__(self, scene):
        self.port, self.token = scene.service.ports["api"], scene.service.token_file.read_text().strip()
        self.context = ssl.create_default_context(cafile=str(scene.service.ca))
        self.connection = http.client.HTTPSConnection("localhost", self.port, context=self.context, timeout=30)

    def ask(self, method: str, target: str, body: bytes | None = None, **headers):
        """(status, headers, body) as they came."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items() if value is not None}}
        headers = {name: value for name, value in headers.items() if value != ""}
        for attempt in (1, 2):
            try:
                self.connection.putrequest(method, target)
                for name, value in headers.items():
                    self.connection.putheader(name, value)
                if body is not None:
                    self.connection.putheader("Content-Length", str(len(body)))
                self.connection.endheaders(body)
                answer = self.connection.getresponse()
                return answer.status, dict(answer.headers), answer.read()
            except (http.client.RemoteDisconnected, ConnectionError, http.client.CannotSendRequest):
                self.connection.close()
                if attempt == 2:
                    raise
        raise AssertionError("not reached")

    def refused(self, what, *statuses: int, method: str, target: str, body: bytes | None = None, **headers) -> dict:
        status, answer_headers, text = self.ask(method, target, body, **headers)
        where = f"{what}: {method} {target[:150]} gave {status} {text[:300]!r}"
        assert status in statuses, where
        refusal = json.loads(text)
        assert answer_headers["Content-Type"].startswith("application/json"), where
        assert refusal["error"]["code"] and len(refusal["error"]["message"]) > 10 and refusal["error"]["innererror"]["code"], where
        assert refusal["status"] == status and refusal["title"] and refusal["traceId"], where
        assert "exception" not in refusal["error"]["message"] and len(text) < 2000, where
        return refusal["error"]

    def bytes(self, data: bytes) -> bytes:
        """What comes back for raw bytes, until the service closes or says nothing for a while."""
        with self.context.wrap_socket(socket.create_connection(("localhost", self.port), 30), server_hostname="localhost") as wire:
            wire.sendall(data)
            wire.settimeout(1)
            came = b""
            try:
                while more := wire.recv(65536):
                    came += more
            except (TimeoutError, ssl.SSLError, ConnectionError):
                pass
            return came


@pytest.fixture(scope="module")
def raw(bench):
    bench.update("hostile", "1.0", "0.9")
    bench.device("hostile", "hostile", outcome="hold")  # so that a deployment fails for its wrong field, not for want of a group
    return Raw(bench.scene)


def target_of(path: str, query: str = API, **values) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], VALUES.get(found[1], "x")), path) + (f"?{query}" if query else "")


def ids_of(path: str) -> list[str]:
    return [name for name in re.findall(r"\{(\w+)\}", path) if name != "instanceId"]


def foreign_method(path: str) -> str:
    """One that no row has at this path."""
    shape = re.sub(r"\{\w+\}", "{}", path)
    return next(method for method in ("PUT", "POST", "PATCH", "DELETE", "GET") if not any(row == method and re.sub(r"\{\w+\}", "{}", at) == shape for row, at in ROUTES))


def test_the_table_of_routes_was_read(raw):
    assert len(ROUTES) >= 46 and ("PUT", "/deviceUpdate/{instanceId}/management/groups/{groupId}/deployments/{deploymentId}") in ROUTES and len(WITH_BODY) >= 4


@pytest.mark.parametrize("method, path", ROUTES, ids=[f"{method} {path.removeprefix('/deviceUpdate/{instanceId}')}" for method, path in ROUTES])
def test_each_route_refuses_what_is_wrong_with_the_request_line(raw, method, path):
    body = b"{}" if (method, path) in WITH_BODY else None
    for what, query in (("no version", ""), ("empty version", "api-version="), ("unknown version", "api-version=2021-06-01-preview"), ("version twice", f"{API}&{API}"),
                        ("percent in query", f"{API}&filter=%zz"), ("half a percent", f"{API}&filter=%2"), ("NUL in query", f"{API}&search=%00"), ("bad UTF-8", f"{API}&search=%C3%28"),
                        ("long query", f"{API}&search=" + "x" * 9000), ("many values", API + "".join(f"&a{number}=1" for number in range(40)))):
        raw.refused(what, 400, 414, method=method, target=target_of(path, query), body=body)
    for what, suffix in (("percent in path", "%zz"), ("NUL in path", "%00"), ("bad UTF-8 in path", "%ff"), ("dots", "/%2e%2e/updates")):
        raw.refused(what, 400, 404, method=method, target=target_of(path, "") + suffix + f"?{API}", body=body)
    raw.refused("no token", 401, method=method, target=target_of(path), body=body, Authorization="")
    raw.refused("another scheme", 401, method=method, target=target_of(path), body=body, Authorization="Basic YTpi")
    raw.refused("another instance", 404, method=method, target=target_of(path).replace("/default/", "/another/"), body=b"[]" if body else None)
    raw.refused("another method", 405, method=foreign_method(path), target=target_of(path))
    raw.refused("no such method", 501, method="BREW", target=target_of(path))


@pytest.mark.parametrize("method, path", [route for route in ROUTES if ids_of(route[1])])
def test_each_id_in_a_path_is_checked(raw, method, path):
    body = {"PUT": json.dumps(DEPLOYMENT).encode(), "PATCH": b'{"friendlyName":"x"}'}.get(method)
    for name in ids_of(path):
        for wrong in ("x" * 300, "%20", "a%2Fb", "%C3%BC%C3%BC", "'%20or%20'1'%3D'1", "%F0%9F%98%80", "-1", "..%2F..%2Fetc%2Fpasswd", "%25zz"):
            raw.refused(f"{name}={wrong}", 400, 404, method=method, target=target_of(path, **{name: wrong}), body=body)


@pytest.mark.parametrize("path, name", [*((path, "filter") for path in (
    UPDATES, UPDATES + "/operations", MANAGEMENT + "/devices", MANAGEMENT + "/deviceClasses", MANAGEMENT + "/operations", MANAGEMENT + "/deviceDiagnostics/deviceHealth")),
    (MANAGEMENT + "/groups", "orderby"), (UPDATES + "/operations", "top"), (MANAGEMENT + "/operations", "top"), (UPDATES, "skiptoken"), (MANAGEMENT + "/devices", "skiptoken"),
    (MANAGEMENT + "/groups", "skiptoken"), (MANAGEMENT + "/deviceClasses", "skiptoken")])
def test_each_option_of_a_list_is_checked(raw, path, name):
    wrong = {"filter": ["x", "eq", "'", "a%20eq", "a%20eq%20'b", "a%20ne%20'b'", "status%20eq%201", "%20and%20".join(["groupId%20eq%20'x'"] * 40), "groupId%20eq%20'" + "x" * 3000 + "'", "(((", "a%20eq%20b%20or",
                        "%F0%9F%98%80", "groupId%20eq%20'x'%20and%20groupId%20eq%20'y'", "groupId%20eq%20true"],
             "orderby": ["x", "groupId%20up", "groupId,deviceCount", "x" * 300, "%27", "groupId%20desc%20desc", "%F0%9F%98%80"],
             "top": ["0", "-1", "x", "", "1.5", "1e9", "99999999999999999999999", "%2B1", "0x10"],
             "skiptoken": ["x", "====", "A" * 2000, "%00%00".replace("%00", "%25")]}[name]
    for value in wrong:
        raw.refused(f"{name}={value[:40]}", 400, method="GET", target=target_of(path, f"{API}&{name}={value}"))


@pytest.mark.parametrize("method, path", WITH_BODY)
@pytest.mark.parametrize("what", NOT_JSON)
def test_a_body_that_is_not_the_json_it_should_be_is_refused(raw, method, path, what):
    raw.refused(what, 400, 413, method=method, target=target_of(path), body=NOT_JSON[what])


@pytest.mark.parametrize("method, path", WITH_BODY)
def test_a_body_of_another_kind_or_too_large_is_refused(raw, method, path):
    body = json.dumps(DEPLOYMENT).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data; boundary=x", "json", "application/jsonp"):
        raw.refused(kind, 415, method=method, target=target_of(path), body=body, Content_Type=kind)
    raw.refused("5 MB", 413, method=method, target=target_of(path), body=b" " * 5_000_000)  # the limit of any body is 4 MiB


def variations(body, where=()):
    """Each place in a body, with the path to it."""
    yield where
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in inner:
        yield from variations(value, (*where, key))


def with_value(body, where, value):
    if not where:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[where[0]] = with_value(body[where[0]], where[1:], value)
    return copy


def without(body, where):
    copy = dict(body)
    if len(where) == 1:
        del copy[where[0]]
    else:
        copy[where[0]] = without(body[where[0]], where[1:])
    return copy


WRONG = [0, -1, 1.5, 2**63, True, "", "x" * 5000, [], [1], {}, {"a": 1}, "\u0001", "ü" * 100]
OPTIONAL = {("rollbackPolicy",)}


@pytest.mark.parametrize("where", [where for where in variations(DEPLOYMENT)], ids=lambda where: ".".join(map(str, where)) or "root")
def test_each_field_of_a_deployment_is_checked(raw, where):
    for value in WRONG:
        if where and where[-1] in ("devicesFailedPercentage", "devicesFailedCount") and value in (0, True):
            continue  # 0 is of the right type; its range is told apart below
        raw.refused(f"{where} = {value!r}"[:60], 400, method="PUT", target=target_of(DEPLOY), body=json.dumps(with_value(DEPLOYMENT, where, value)).encode())
    if where and where not in OPTIONAL:
        error = raw.refused(f"without {where}", 400, method="PUT", target=target_of(DEPLOY), body=json.dumps(without(DEPLOYMENT, where)).encode())
        assert where[-1] in error["message"], error


@pytest.mark.parametrize("field, value", [("devicesFailedPercentage", 0), ("devicesFailedPercentage", 101), ("devicesFailedCount", 0), ("devicesFailedPercentage", True)])
def test_thresholds_of_a_rollback_have_a_range(raw, field, value):
    body = with_value(DEPLOYMENT, ("rollbackPolicy", "failure", field), value)
    error = raw.refused(field, 400, method="PUT", target=target_of(DEPLOY), body=json.dumps(body).encode())
    assert field in error["message"]


def test_each_field_of_an_import_is_checked(bench, raw):
    item = import_item(bench.shelf, manifest_of("hostile-import", "1.0"), friendly_name="x")
    optional = {(0, "friendlyName"), (0, "files")}
    for where in variations([item]):
        for value in WRONG:
            if where == (0, "files") and value == [] or where[-1:] in (("friendlyName",), ("filename",)) and value in ("\u0001", "ü" * 100) or where == (0, "importManifest") and isinstance(value, str):
                continue  # these are allowed, or a manifest by itself, whose rules another test has
            if where[-1:] == ("filename",) and value == "x" * 5000:
                continue
            raw.refused(f"{where} = {value!r}"[:60], 400, method="POST", target=target_of(UPDATES + ":import"), body=json.dumps(with_value([item], where, value)).encode())
        if len(where) > 1 and isinstance(where[-1], str) and where not in optional:
            raw.refused(f"without {where}", 400, method="POST", target=target_of(UPDATES + ":import"), body=json.dumps([without(item, where[1:])] if where[1] != "files" else with_value(
                [item], (0, "files"), [without(item["files"][0], where[3:])])).encode())
    raw.refused("12 items", 400, method="POST", target=target_of(UPDATES + ":import"), body=json.dumps([item] * 12).encode())
    for address in ("file:///etc/passwd", "ftp://localhost/x", "gopher://localhost/", "javascript:alert(1)", "//localhost/x"):
        raw.refused(address, 400, method="POST", target=target_of(UPDATES + ":import"), body=json.dumps(with_value([item], (0, "importManifest", "url"), address)).encode())


@pytest.mark.parametrize("value", [0, True, None, [], {}, "", "x" * 101, "a b", "ü", "a/b", "\u0001", {"a": 1}])
def test_the_name_of_a_class_is_checked(bench, raw, value):
    class_id = bench.class_of(bench.device("hostile-class", "hostile-class"))
    raw.refused(value, 400, method="PATCH", target=target_of(f"{MANAGEMENT}/deviceClasses/{class_id}"), body=json.dumps({"friendlyName": value}).encode(), Content_Type="application/merge-patch+json")


@pytest.mark.parametrize("value", [0, True, None, [], {}, "", "devices", "x" * 5000, ["Devices"], {"importType": "Devices"}])
def test_the_kind_of_a_device_import_is_checked(raw, value):
    raw.refused(value, 400, method="POST", target=target_of(MANAGEMENT + "/devices:import"), body=json.dumps(value).encode())


@pytest.mark.parametrize("what, head, status", [
    ("no Host", "GET {path} HTTP/1.1\r\n{token}\r\n", 400), ("two Hosts", "GET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n{token}\r\n", 400),
    ("HTTP/2.0", "GET {path} HTTP/2.0\r\nHost: a\r\n{token}\r\n", 505), ("no version", "GET {path}\r\nHost: a\r\n\r\n", 400),
    ("a space in the target", "GET {path} x HTTP/1.1\r\nHost: a\r\n{token}\r\n", 505), ("two lengths", "POST {import_path} HTTP/1.1\r\nHost: a\r\n{token}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}", 400),
    ("a negative length", "POST {import_path} HTTP/1.1\r\nHost: a\r\n{token}Content-Length: -1\r\n\r\n", 400), ("length and chunks", "POST {import_path} HTTP/1.1\r\nHost: a\r\n{token}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("another coding", "POST {import_path} HTTP/1.1\r\nHost: a\r\n{token}Transfer-Encoding: gzip\r\n\r\n", 501), ("a folded header", "GET {path} HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n{token}\r\n", 400),
    ("a control character", "GET {path} HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n{token}\r\n", 400), ("a large head", "GET {path} HTTP/1.1\r\nHost: a\r\nX: " + "x" * 20000 + "\r\n{token}\r\n", 431),
    ("many headers", "GET {path} HTTP/1.1\r\nHost: a\r\n" + "".join(f"X{number}: y\r\n" for number in range(100)) + "{token}\r\n", 431),
    ("an expectation", "POST {import_path} HTTP/1.1\r\nHost: a\r\n{token}Expect: miracle\r\nContent-Length: 2\r\n\r\n", 417), ("TLS inside TLS", "\x16\x03\x01\x02\x00\x01\x00", 400),
    ("another protocol", "EHLO localhost\r\n", 400), ("a huge chunk", "POST {import_path} HTTP/1.1\r\nHost: a\r\n{token}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n", 413),
    ("a large target", "GET {path}&x=" + "y" * 15000 + " HTTP/1.1\r\nHost: a\r\n{token}\r\n", 400)])
def test_bytes_that_are_no_good_http_are_refused_and_the_connection_ends(raw, what, head, status):
    came = raw.bytes(head.format(path=f"{UPDATES}?{API}", import_path=f"{UPDATES}:import?{API}", token=f"Authorization: Bearer {raw.token}\r\n").encode("latin-1"))
    assert came.startswith(f"HTTP/1.1 {status} ".encode()), (what, came[:300])
    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", came)) == 1
    refusal = json.loads(came.split(b"\r\n\r\n", 1)[1])
    assert refusal["error"]["code"] and refusal["error"]["message"] and refusal["status"] == status


def test_requests_in_a_row_are_answered_in_their_order(raw):
    def one(path, body=b""):
        return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {raw.token}\r\n".encode() + (b"Content-Length: %d\r\n\r\n" % len(body) + body if body else b"\r\n")

    smuggled = b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    came = raw.bytes(one(f"{UPDATES}/providers?{API}") + one(f"{MANAGEMENT}/groups?{API}", smuggled) + one(f"{UPDATES}/providers/nobody/names?{API}") + one(f"{MANAGEMENT}/updateCompliance?{API}"))
    assert re.findall(rb"HTTP/1\.1 (\d{3}) ", came) == [b"200", b"200", b"404", b"200"], came
    assert came.rindex(b"totalDeviceCount") > came.index(b"$default"), "a body of a GET is read and means nothing; it is no request of its own"


def test_nothing_of_all_this_was_a_failure_of_the_service_or_left_something(bench, raw):
    """Last in this file, so that it judges what came before it."""
    bench.scene.service.process.check_alive()
    assert "api.request_failed" not in bench.scene.service.process.log.read_text()
    assert list(bench.management.list_deployments_for_group("hostile")) == []
