"""A service with a small fleet in many states, for the console: classes, groups, updates, deployments that succeeded, failed and run."""
from __future__ import annotations

import base64
import hashlib
import json
import threading
from datetime import datetime, timezone

from hub_device import HubDevice
from scene import Scene
from stack import wait_until

API = "api-version=2022-10-01"
DATA_PLANE, OWN = "/deviceUpdate/default", "/godwit/v1/default"


def sha256_base64(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def manifest_of(name: str, version: str, files: dict[str, bytes], model: str) -> dict:
    return {"$schema": "https://json.schemastore.org/azure-deviceupdate-import-manifest-5.0.json",
            "updateId": {"provider": "Contoso", "name": name, "version": version},
            "description": f"{name} {version} for {model}",
            "compatibility": [{"manufacturer": "Contoso", "model": model}],
            "instructions": {"steps": [{"type": "inline", "description": "Install and check", "handler": "microsoft/script:1", "files": list(files),
                                        "handlerProperties": {"scriptFileName": next(iter(files)), "installedCriteria": version}}]},
            "files": [{"filename": file, "sizeInBytes": len(data), "hashes": {"sha256": sha256_base64(data)}} for file, data in files.items()],
            "createdDateTime": "2026-11-20T08:00:00Z", "manifestVersion": "5.0"}


class Stage:
    def __init__(self, scene: Scene):
        self.scene = scene
        self.devices: dict[str, HubDevice] = {}
        self._is_over = threading.Event()
        threading.Thread(target=self._keep_alive, daemon=True).start()

    def _keep_alive(self) -> None:
        """Devices of a stage live as long as it does: the hub gets their pings."""
        while not self._is_over.wait(20):
            for device in list(self.devices.values()):
                try:
                    device.wire.ping()
                except (OSError, ValueError):
                    pass  # it was sent away, or the service is

    def end(self) -> None:
        self._is_over.set()

    def call(self, method: str, path: str, body=None, headers=None) -> dict:
        status, _, answer = self.scene.rest(method, path, body, headers)
        assert status < 300, f"{method} {path}: {status} {answer.decode()[:400]}"
        return json.loads(answer) if answer else {}

    def import_update(self, name: str, version: str, model: str, payload: bytes = b"payload " * 512, **more) -> None:
        """`more`: members of the manifest that are to be others; None: not there."""
        files = {"install.sh": f"#!/bin/sh\n# {name} {version}\n".encode(), "rootfs.img": payload + version.encode()}
        manifest = {member: value for member, value in {**manifest_of(name, version, files, model), **more}.items() if value is not None}
        for data in files.values() if "files" in manifest else ():
            self.call("PUT", f"{OWN}/blobs/{hashlib.sha256(data).hexdigest()}", data, {"Content-Type": "application/octet-stream"})
        self.call("POST", f"{OWN}/updates:import", [{"importManifest": json.dumps(manifest), "friendlyName": f"{name} {version}"}])
        path = f"{DATA_PLANE}/updates/providers/Contoso/names/{name}/versions/{version}?{API}"
        wait_until(f"{name} {version} is imported", lambda: self.scene.rest("GET", path)[0] == 200, 30)

    def add(self, device: str, model: str, group: str | None, outcome="succeed") -> HubDevice:
        self.devices[device] = HubDevice(self.scene, device, model=model, group=group, outcome=outcome)
        self.devices[device].wire.patience = None
        self.devices[device].wire.ping()  # wakes its reader, which then waits without an end
        return self.devices[device]

    def wait_listed(self) -> None:
        def all_are_there():
            total = self.call("GET", f"{DATA_PLANE}/management/updateCompliance?{API}")["totalDeviceCount"]
            return total >= len(self.devices)

        wait_until("every device is in the inventory", all_are_there, 60)

    def deploy(self, deployment: str, group: str, name: str, version: str) -> None:
        self.call("PUT", f"{DATA_PLANE}/management/groups/{group}/deployments/{deployment}?{API}",
                  {"deploymentId": deployment, "groupId": group, "startDateTime": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                   "update": {"updateId": {"provider": "Contoso", "name": name, "version": version}}})

    def status(self, deployment: str, group: str) -> dict:
        parts = self.call("GET", f"{DATA_PLANE}/management/groups/{group}/deployments/{deployment}/status?{API}")["subgroupStatus"]
        names = ("totalDevices", "devicesInProgressCount", "devicesCompletedFailedCount", "devicesCompletedSucceededCount")
        return {name: sum(part.get(name, 0) for part in parts) for name in names}

    def wait_status(self, deployment: str, group: str, **wanted: int) -> None:
        wait_until(f"{deployment} counts {wanted}", lambda: {k: self.status(deployment, group)[k] for k in wanted} == wanted, 60)

    def play(self) -> None:
        """40 devices of three models in three groups and none: one group up to date, one with failures, one in progress."""
        models = {"gateway": "Gateway", "sensor": "Sensor", "kiosk": "Kiosk"}
        for number in range(16):
            self.add(f"sensor-{number:03}", models["sensor"], "field-north", "fail" if number in (3, 9, 12) else "succeed")
        for number in range(12):
            self.add(f"gateway-{number:03}", models["gateway"], "plant-one", {"2.1.0": "hold" if number in (2, 5, 7, 8) else "succeed"})
        for number in range(8):
            self.add(f"kiosk-{number:03}", models["kiosk"], "shops-berlin")
        for number in range(8, 12):
            self.add(f"kiosk-{number:03}", models["kiosk"], None)
        self.wait_listed()
        for name, version, model in (("GatewayOS", "2.0.0", "Gateway"), ("GatewayOS", "2.1.0", "Gateway"), ("SensorFirmware", "1.4.2", "Sensor"),
                                     ("KioskImage", "5.0.0", "Kiosk"), ("KioskImage", "5.1.0", "Kiosk")):
            self.import_update(name, version, model)
        self.deploy("gateway-2-0", "plant-one", "GatewayOS", "2.0.0")
        self.wait_status("gateway-2-0", "plant-one", devicesCompletedSucceededCount=12)
        self.deploy("gateway-2-1", "plant-one", "GatewayOS", "2.1.0")
        self.deploy("sensor-1-4-2", "field-north", "SensorFirmware", "1.4.2")
        self.deploy("kiosk-5-0", "shops-berlin", "KioskImage", "5.0.0")
        self.wait_status("gateway-2-1", "plant-one", devicesCompletedSucceededCount=8, devicesInProgressCount=4)
        self.wait_status("sensor-1-4-2", "field-north", devicesCompletedSucceededCount=13, devicesCompletedFailedCount=3)
        self.wait_status("kiosk-5-0", "shops-berlin", devicesCompletedSucceededCount=8)
        for device in ("sensor-005", "kiosk-010", "kiosk-011"):
            self.devices[device].close()
