"""A service with devices and small updates, for tests. The scripts of an update count what they do on the device."""
from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import shutil
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from stack import Device, Service, wait_until

# A sanitizer report must fail the test: the process dies, and the test sees it die.
SANITIZER_ENV = {"ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}

SCRIPT = """#!/bin/sh
# Counts each action in $root/count and behaves as the properties ask: --fail-in ACTION, --wait-in ACTION (until $root/go is there),
# --say-in ACTION --say CODE (a success with that result code), --at-boot (what is applied is in place after the next boot only).
set -u
action='' result='' criteria='' root='' fail_in='' wait_in='' work='' say_in='' say='' target=installed
while [ $# -gt 0 ]; do
  case "$1" in
    --action) action=$2; shift 2 ;;
    --work-folder) work=$2; shift 2 ;;
    --result-file) result=$2; shift 2 ;;
    --installed-criteria) criteria=$2; shift 2 ;;
    --root) root=$2; shift 2 ;;
    --fail-in) fail_in=$2; shift 2 ;;
    --wait-in) wait_in=$2; shift 2 ;;
    --say-in) say_in=$2; shift 2 ;;
    --say) say=$2; shift 2 ;;
    --at-boot) target=next; shift ;;
    *) shift ;;
  esac
done
answer() { printf '{"resultCode":%s,"extendedResultCode":%s,"resultDetails":"%s"}\\n' "$1" "$2" "$3" > "$result"; exit 0; }
echo "$action $criteria" >> "$root/count"
if [ "$wait_in" = "$action" ]; then
  touch "$root/waiting"
  while [ ! -e "$root/go" ]; do sleep 0.1; done
fi
[ "$fail_in" = "$action" ] && answer 0 838860817 "the test asked $action to fail"
code() { if [ "$say_in" = "$action" ]; then echo "$say"; else echo "$1"; fi; }
case "$action" in
  is-installed) if [ "$(cat "$root/installed" 2>/dev/null)" = "$criteria" ]; then answer 900 0 ''; else answer 901 0 ''; fi ;;
  download) answer 500 0 '' ;;
  install) echo "installed $criteria" >> "$root/history"; echo "$criteria" > "$root/staged"; answer "$(code 600)" 0 '' ;;
  apply) echo "applied $criteria" >> "$root/history"; cp "$root/staged" "$root/$target"; answer "$(code 700)" 0 '' ;;
  *) answer 0 838860818 "unknown action $action" ;;
esac
"""


class Scene:
    def __init__(self, folder: Path, binaries: Path):
        self.folder = Path(folder)
        self.service = Service(self.folder, binaries, env=SANITIZER_ENV)
        self.devices: list[Device] = []
        self._numbers = itertools.count(1)

    def start(self, hosts: tuple | None = None) -> None:
        """`hosts`: names and addresses of the service, where devices know it under others than this machine's."""
        self.service.init(**({"hosts": hosts} if hosts else {}))
        self.service.start()

    def end(self) -> None:
        for device in self.devices:
            device.stop()
        self.service.stop()

    def processes(self):
        yield self.service.process
        for device in self.devices:
            yield device.agent
            yield device.installer

    # ---- devices ------------------------------------------------------------------------------------------------------

    def device(self, *, start: bool = True, group: str | None = None, model: str | None = None, skip_extensions: tuple = (), agent_config: str = "", **options) -> Device:
        """A device of its own class and group, unless told otherwise; its application folder is `device.root`."""
        number = next(self._numbers)
        name = f"device-{number}"
        device = Device(self.service, name, self.folder / name, group=group or f"group-{number}", model=model or f"Model{number}",
                        agent_config=agent_config, env=SANITIZER_ENV, **options)
        device.root = device.folder / "root"
        device.root.mkdir(parents=True)
        device.set_up(skip_extensions)
        self.devices.append(device)
        if start:
            device.start()
            self.wait_listed(device)
        return device

    def wait_listed(self, device: Device) -> None:
        def listed():
            device.agent.check_alive()
            device.installer.check_alive()
            return any(d["deviceId"] == device.id and d.get("groupId") == device.group for d in self.service.json("device", "list"))

        wait_until(f"{device.id} reports itself", listed, 60)

    # ---- updates ------------------------------------------------------------------------------------------------------

    def make_update(self, device: Device, version: str, *, arguments: str | list = "", steps: int = 1, handler: str = "microsoft/script:1",
                    payload: bytes = b"payload", model: str | None = None, name: str | None = None, properties: dict | None = None) -> Path:
        """Writes script, payload and manifest of an update for the device's class; gives the manifest's path."""
        folder = self.folder / "updates" / f"{device.id}-{version}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "run.sh").write_text(SCRIPT)
        (folder / "payload.bin").write_bytes(payload)
        words = ["update", "init", "v5", "--update-provider", "Tests", "--update-name", name or device.model, "--update-version", version, "--folder", folder,
                 "--compat", "manufacturer=Contoso", f"model={model or device.model}"]
        for step in range(steps):
            root = device.root if steps == 1 else device.root / f"step-{step}"
            root.mkdir(exist_ok=True)
            own = arguments if isinstance(arguments, str) else arguments[step]
            properties_of_step = {"scriptFileName": "run.sh", "apiVersion": "1.1", "installedCriteria": version, "arguments": f"--root {root} {own}".strip(),
                                  **(properties or {})}
            words += ["--step", f"handler={handler}", "properties=" + json.dumps(properties_of_step), "--file", f"path={folder / 'run.sh'}", "--file", f"path={folder / 'payload.bin'}"]
        self.service.cli(*words)
        return next(folder.glob("*.importmanifest.json"))

    def import_update(self, manifest: Path):
        return self.service.cli("update", "import", "--manifest", manifest)

    def deploy(self, device: Device, version: str, deployment: str | None = None, name: str | None = None) -> str:
        deployment = deployment or f"{device.id}-{version}".replace(".", "-")
        self.service.cli("device", "deployment", "create", "--group-id", device.group, "--deployment-id", deployment, "--update-provider", "Tests",
                         "--update-name", name or device.model, "--update-version", version)
        return deployment

    def states(self, device: Device, deployment: str) -> list:
        return self.service.json("device", "deployment", "list-devices", "--group-id", device.group, "--deployment-id", deployment)

    def state(self, device: Device, deployment: str) -> dict:
        mine = [s for s in self.states(device, deployment) if s["deviceId"] == device.id]
        return mine[0] if mine else {}

    def wait_state(self, device: Device, deployment: str, *wanted: str, timeout: float = 90) -> dict:
        """Waits for an end state; another end state than the wanted ends the wait with a failure that shows it."""
        def ended():
            state = self.state(device, deployment)
            return state if state.get("deviceState") in ("Succeeded", "Failed", "Canceled") else None

        state = wait_until(f"{deployment} ends on {device.id}", ended, timeout)
        assert state["deviceState"] in wanted, f"{device.id} in {deployment}: {json.dumps(state)}\nagent log:\n{device.agent.tail(30)}"
        return state

    def history(self, device: Device) -> list[str]:
        path = device.root / "history"
        return path.read_text().splitlines() if path.exists() else []

    def sent_bytes(self) -> int:
        """Of payloads and logs, by the service's own count."""
        text = self.rest("GET", "/metrics")[2].decode()
        return int(float(re.search(r"^godwit_payload_sent_bytes_total (\S+)$", text, re.MULTILINE)[1]))

    # ---- raw REST -----------------------------------------------------------------------------------------------------

    def rest(self, method: str, path: str, body=None, headers: dict | None = None, token: str | None = None):
        """(status, headers, body bytes) of one call; no exception for 4xx and 5xx."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        token = self.service.token_file.read_text().strip() if token is None else token
        request = urllib.request.Request(self.service.url + path, data=data, method=method,
                                         headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})})
        try:
            with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=str(self.service.ca)), timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, dict(refusal.headers), refusal.read()


def sha256_base64(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
