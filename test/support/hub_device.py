"""A device that speaks the Device Update contract from one thread of the test: classes, models and results as the test wants them.

MQTT 3.1.1 and the twin topics are written here by hand, so that nothing of the project is on the device's side of the wire.
"""
from __future__ import annotations

import base64
import hashlib
import hmac
import json
import select
import socket
import ssl
import struct
import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from stack import wait_until

MODEL_ID = "dtmi:azure:iot:deviceUpdateModel;3"
FAILURE_CODE = 0x30000ACE  # what a failing device reports as its extended code


def key_of(device: str) -> str:
    return base64.b64encode(hashlib.sha256(device.encode()).digest()).decode()


def register(scene, ids: list[str], groups: dict[str, str] | None = None) -> None:
    """Creates identities with known keys, a thousand in a call, and tags them."""
    for start in range(0, len(ids), 1000):
        part = [{"id": device, "importMode": "createOrUpdate", "status": "enabled", "tags": {"ADUGroup": groups[device]} if groups and groups.get(device) else {},
                 "authentication": {"type": "sas", "symmetricKey": {"primaryKey": key_of(device), "secondaryKey": key_of(device)}}} for device in ids[start:start + 1000]]
        status, _, body = scene.rest("POST", "/devices?api-version=2021-04-12", part)
        assert status == 200 and json.loads(body)["isSuccessful"], body


def tag(scene, device: str, group: str | None) -> None:
    status, _, body = scene.rest("PATCH", f"/twins/{device}?api-version=2021-04-12", {"tags": {"ADUGroup": group}}, {"If-Match": "*"})
    assert status == 200, body


def identity_report(properties: dict, contract: int) -> dict:
    return {"deviceUpdate": {"__t": "c", "agent": {"deviceProperties": {**properties, "contractModelId": f"dtmi:azure:iot:deviceUpdateContractModel;{contract}"},
                                                   "compatPropertyNames": ",".join(properties)}}}


class Wire:
    """One MQTT connection: packets out, packets in; no threads of its own.

    One thread may read while another sends. OpenSSL allows only one of them in a connection at a time, so the socket never blocks inside it: whoever
    has to wait, waits outside, at most `patience` seconds (None: without an end).
    """

    def __init__(self, scene, device: str, model_id: str = MODEL_ID, context: ssl.SSLContext | None = None):
        context = context or ssl.create_default_context(cafile=str(scene.service.ca))
        raw = socket.create_connection(("127.0.0.1", scene.service.ports["hub"]), 30)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        self.socket.setblocking(False)
        self.patience: float | None = 30
        self._buffer = b""
        self._requests = 0
        self._lock = threading.Lock()
        scope, expiry = f"localhost/devices/{device}", int(time.time()) + 3600
        quoted = urllib.parse.quote(scope, safe="")
        signature = base64.b64encode(hmac.new(base64.b64decode(key_of(device)), f"{quoted}\n{expiry}".encode(), hashlib.sha256).digest()).decode()
        password = f"SharedAccessSignature sr={quoted}&sig={urllib.parse.quote(signature, safe='')}&se={expiry}"
        user = f"localhost/{device}/?api-version=2021-04-12" + (f"&model-id={urllib.parse.quote(model_id, safe='')}" if model_id else "")
        self._send(0x10, b"\x00\x04MQTT\x04\xc2\x00\xf0" + b"".join(map(self._text, (device, user, password))))
        kind, body = self.read()
        assert kind == 0x20 and body[1] == 0, f"{device}: the hub answered CONNECT with {body!r}"

    @staticmethod
    def _text(text) -> bytes:
        data = text.encode() if isinstance(text, str) else text
        return struct.pack(">H", len(data)) + data

    def _send(self, kind: int, body: bytes) -> None:
        size, length = len(body), b""
        while True:
            size, digit = divmod(size, 128)
            length += bytes([digit | (128 if size else 0)])
            if not size:
                break
        packet = memoryview(bytes([kind]) + length + body)
        with self._lock:
            while packet:
                try:
                    packet = packet[self.socket.send(packet):]
                except ssl.SSLWantWriteError:
                    self._wait(writing=True)

    def _wait(self, writing: bool = False) -> None:
        poll = select.poll()
        poll.register(self.socket, select.POLLOUT if writing else select.POLLIN)
        if not poll.poll(None if self.patience is None else self.patience * 1000):
            raise TimeoutError(f"nothing moved for {self.patience} s")

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            try:
                with self._lock:
                    more = self.socket.recv(65536)
            except ssl.SSLWantReadError:
                self._wait()
                continue
            if not more:
                raise ConnectionError("the hub closed the connection")
            self._buffer += more
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def read(self) -> tuple[int, bytes]:
        kind, size, shift = self._take(1)[0], 0, 0
        while True:
            digit = self._take(1)[0]
            size |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return kind, self._take(size)

    def read_publish(self) -> tuple[str, bytes]:
        """The next message; other packets are passed over."""
        while True:
            kind, body = self.read()
            if kind & 0xF0 == 0x30:
                length = struct.unpack(">H", body[:2])[0]
                return body[2:2 + length].decode(), body[2 + length + (2 if kind & 0x06 else 0):]

    def subscribe(self, *filters: str) -> None:
        self._send(0x82, b"\x00\x01" + b"".join(self._text(one) + b"\x00" for one in filters))

    def get_twin(self) -> None:
        self._requests += 1
        self._send(0x30, self._text(f"$iothub/twin/GET/?$rid=get{self._requests}"))

    def report(self, patch: dict) -> str:
        """Gives the request's id, which the hub's answer will have."""
        self._requests += 1
        request = f"report{self._requests}"
        self._send(0x30, self._text(f"$iothub/twin/PATCH/properties/reported/?$rid={request}") + json.dumps(patch).encode())
        return request

    def ping(self) -> None:
        self._send(0xC0, b"")

    def say_goodbye(self) -> None:
        """Sends DISCONNECT; the hub closes the connection, which is what a reader in another thread then sees."""
        try:
            self._send(0xE0, b"")
        except OSError:
            pass

    def close(self) -> None:
        """Only when nobody reads: a reader in OpenSSL would go on with the number of a closed file, which may by then be another's pipe."""
        self.say_goodbye()
        self.socket.close()


class HubDevice:
    """`outcome` is what the device does with a workflow: succeed, fail, or hold (begin and never end); or a dict of these by the update's version."""

    def __init__(self, scene, device_id: str, *, model: str, group: str | None = None, contract: int = 3, outcome: str | dict = "succeed", properties: dict | None = None):
        self.scene, self.id, self.group, self.contract, self.outcome = scene, device_id, group, contract, outcome
        self.properties = properties or {"manufacturer": "Contoso", "model": model}
        self.service: dict = {}       # desired.deviceUpdate.service as it stands
        self.actions: list = []       # (action, workflow id) of each desired document that arrived
        self.step_details: dict[str, list[str]] = {}  # version of an update -> what is told of each of its steps
        self.log: bytes | dict[str, bytes] | None = b"what the device saw\n"  # sent when logs are asked for, or files by name; None: it has none
        self._sent_logs: set = set()
        self.problem: BaseException | None = None
        self._last = None
        self._busy = False
        register(scene, [device_id], {device_id: group} if group else None)
        self._connect()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _connect(self) -> None:
        self.wire = Wire(self.scene, self.id)
        self.wire.subscribe("$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#")
        self.wire.report(identity_report(self.properties, self.contract))
        self.wire.get_twin()

    def _run(self) -> None:
        try:
            while True:
                topic, payload = self.wire.read_publish()
                if topic.startswith("$iothub/twin/PATCH/properties/desired/"):
                    self._take(json.loads(payload))
                elif "rid=get" in topic:
                    self._take(json.loads(payload)["desired"])
        except (OSError, ValueError) as end:
            self.problem = end

    def _take(self, desired: dict) -> None:
        asked = (desired.get("diagnosticInformation") or {}).get("service") or {}
        if asked.get("operationId") and asked["operationId"] not in self._sent_logs:
            self._sent_logs.add(asked["operationId"])
            self._send_log(asked["operationId"], asked["storageSasUrl"])
        patch = (desired.get("deviceUpdate") or {}).get("service")
        if not patch:
            return
        self.service = {**self.service, **patch, "workflow": {**self.service.get("workflow", {}), **patch.get("workflow", {})}}
        workflow = self.service["workflow"]
        self.actions.append((workflow["action"], workflow["id"]))
        if workflow["action"] == 255:
            if self._busy:
                self._report(0, workflow, {"resultCode": -1, **self._extended(0), "resultDetails": ""})
            self._busy = False
            self._last = None
        elif (workflow["id"], workflow.get("retryTimestamp")) != self._last:
            self._last = (workflow["id"], workflow.get("retryTimestamp"))
            self.work()

    def work(self) -> None:
        """Goes through the workflow that is desired now, as `outcome` says."""
        workflow = self.service["workflow"]
        self._busy = True
        self._report(6, workflow, {"resultCode": 1, **self._extended(0), "resultDetails": "", "stepResults": None})
        update = json.loads(self.service["updateManifest"])["updateId"]
        outcome = self.outcome.get(update["version"], "succeed") if isinstance(self.outcome, dict) else self.outcome
        if outcome == "hold":
            return
        self._busy = False
        fails = outcome == "fail"
        step = {"resultCode": 0 if fails else 700, **self._extended(FAILURE_CODE if fails else 0), "resultDetails": "the disk of the test is full" if fails else ""}
        told = self.step_details.get(update["version"], [step["resultDetails"]])
        steps = {f"step_{number}": {**step, "resultDetails": details} for number, details in enumerate(told)}
        self._report(255 if fails else 0, workflow, {**step, "stepResults": steps}, None if fails else update)

    def _send_log(self, operation: str, url: str) -> None:
        """Puts the log into the container as the storage clients do, and reports the end."""
        files = {} if self.log is None else self.log if isinstance(self.log, dict) else {"agent.log": self.log}
        place, query = url.split("?", 1)
        for name, data in files.items():
            blob = urllib.request.Request(f"{place}/{self.id}/{operation}/{name}?{query}", data=data, method="PUT", headers={"x-ms-blob-type": "BlockBlob"})
            with urllib.request.urlopen(blob, context=ssl.create_default_context(cafile=str(self.scene.service.ca)), timeout=30) as answer:
                assert answer.status == 201, answer.status
        self.wire.report({"diagnosticInformation": {"__t": "c", "agent": {"operationId": operation, "resultCode": -1 if self.log is None else 200}}})

    def _extended(self, code: int) -> dict:
        return {"extendedResultCodes": f"{code:08X}"} if self.contract == 3 else {"extendedResultCode": code}

    def _report(self, state: int, workflow: dict, result: dict, installed: dict | None = None) -> str:
        echoed = {name: workflow[name] for name in ("action", "id", "retryTimestamp") if workflow.get(name)}
        agent = {"state": state, "workflow": echoed, "lastInstallResult": result}
        if installed:
            agent["installedUpdateId"] = json.dumps({name: installed[name] for name in ("provider", "name", "version")}, separators=(",", ":"))
        return self.wire.report({"deviceUpdate": {"__t": "c", "agent": agent}})

    def close(self) -> None:
        self.wire.say_goodbye()
        self._thread.join(10)
        if self._thread.is_alive():
            socket.socket.shutdown(self.wire.socket, socket.SHUT_RDWR)
            self._thread.join(10)
        self.wire.socket.close()


def announce(scene, ids: list[str], properties: dict, contract: int = 3, threads: int = 4) -> None:
    """Lets each device log in once and report who it is: they are in the lists afterwards, and away again."""
    context = ssl.create_default_context(cafile=str(scene.service.ca))

    def one(device: str) -> None:
        wire = Wire(scene, device, context=context)
        wire.subscribe("$iothub/twin/res/#")
        wire.report(identity_report(properties, contract))
        topic, _ = wire.read_publish()
        assert topic.startswith("$iothub/twin/res/20"), f"{device}: the report was answered by {topic}"
        wire.close()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, ids))


def wait_listed(client, *devices: HubDevice) -> None:
    """Until each device is known with the group it belongs to."""
    for device in devices:
        def listed(device=device):
            found = [d for d in client.device_management.list_devices(filter=f"groupId eq '{device.group or '$default'}'") if d["deviceId"] == device.id]
            return found or (device.problem and f"{device.id}: {device.problem}" and None)

        wait_until(f"{device.id} is listed", listed, 30, 0.05)
