"""REST calls of the benchmarks: devices by the thousand, desired properties for all of them."""
from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import ssl
from pathlib import Path

from measure import StackError
from stack import Service

EACH = 1000  # elements of one bulk call


class Api:
    """Keep-alive HTTPS with the service's CA and token."""

    def __init__(self, service: Service):
        self.service = service
        self.connection = http.client.HTTPSConnection("localhost", service.ports["api"], context=ssl.create_default_context(cafile=str(service.ca)), timeout=600)
        self.token = service.token_file.read_text().strip()

    def call(self, method: str, path: str, body=None, headers=None):
        self.connection.request(method, path, body=body, headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **(headers or {})})
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise StackError(f"{method} {path}: {answer.status} {data[:300]!r}")
        self.headers = answer.headers
        return data

    def location(self, method: str, path: str, body, headers: dict) -> str:
        """Starts long work; gives where its operation is."""
        self.call(method, path, body, headers)
        return self.headers["Operation-Location"]


def device_key(number: int) -> str:
    """The same key in each run."""
    return base64.b64encode(hmac.new(b"godwit-bench", str(number).encode(), hashlib.sha256).digest()).decode()


def bulk(service: Service, elements: list[dict]) -> None:
    """POST /devices, a thousand at a time; any element that fails fails all."""
    api = Api(service)
    for at in range(0, len(elements), EACH):
        answer = json.loads(api.call("POST", "/devices?api-version=2021-04-12", json.dumps(elements[at:at + EACH])))
        if not answer["isSuccessful"]:
            raise StackError(f"bulk call: {json.dumps(answer['errors'][:1])}")


def register(service: Service, count: int, keys: Path) -> None:
    """Makes devices device-0 .. and the keys file for godwit-fleet."""
    with open(keys, "w") as out:
        for number in range(count):
            out.write(f"device-{number} {device_key(number)}\n")
    bulk(service, [{"id": f"device-{n}", "importMode": "create",
                    "authentication": {"type": "sas", "symmetricKey": {"primaryKey": device_key(n), "secondaryKey": device_key(n)}}} for n in range(count)])


def push_desired(service: Service, count: int, value: int) -> None:
    """Writes a desired property of each device."""
    bulk(service, [{"id": f"device-{n}", "importMode": "updateTwin", "properties": {"desired": {"fleet": {"wanted": value}}}} for n in range(count)])
