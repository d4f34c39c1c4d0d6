"""Starts a real service and real devices from built binaries, for the demo and for the tests.

Nothing here is a mock: godwitd, godwit-agent, godwit-installer and the godwit CLI run as processes, each in a folder of
its own, on ports the system chose, over TLS with a CA made by `godwitd init`. Python 3.11 standard library only.
"""
from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class StackError(Exception):
    """Something did not start, answer or end as it must; the text says what and where the log is."""


def wait_until(what: str, check, timeout: float = 60.0, pause: float = 0.1):
    """Calls `check` until it gives something true; that is the result. The clock is monotonic."""
    deadline = time.monotonic() + timeout
    last = None
    while time.monotonic() < deadline:
        try:
            last = check()
            if last:
                return last
        except StackError as problem:
            last = problem
        time.sleep(pause)
    raise StackError(f"{what}: not within {timeout:.0f} s; last seen: {last}")


class Process:
    """One child with its log file. stop() asks (SIGTERM) and, after a while, insists; kill() is a power cut for it."""

    def __init__(self, name: str, command: list, log: Path, env: dict | None = None):
        self.name, self.command, self.log, self.env = name, [str(c) for c in command], Path(log), env
        self.child: subprocess.Popen | None = None

    def start(self) -> None:
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(self.command, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                          env={**os.environ, **(self.env or {})}, start_new_session=True)

    def running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def check_alive(self) -> None:
        if self.child is not None and self.child.poll() is not None:
            raise StackError(f"{self.name} ended with {self.child.returncode}; its log {self.log} ends:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def stop(self, timeout: float = 15.0) -> int | None:
        if self.child is None:
            return None
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        code, self.child = self.child.returncode, None
        return code

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None


class Service:
    """godwitd with a data folder of its own."""

    def __init__(self, folder: Path, binaries: Path, extra_config: str = "", env: dict | None = None):
        self.folder, self.binaries, self.env_extra = Path(folder), Path(binaries), env
        self.data = self.folder / "service"
        self.extra_config = extra_config
        self.process = Process("godwitd", [self.binaries / "godwitd", "run", "--data", self.data], self.folder / "godwitd.log", env)
        self.ports: dict = {}

    def init(self, hub_port: int = 0, api_port: int = 0, hosts: tuple = ("localhost", "127.0.0.1")) -> None:
        """`hosts`: names in the certificate, "localhost" among them; download links carry the first one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        names = [word for host in hosts for word in ("--host", host)]
        done = subprocess.run([self.binaries / "godwitd", "init", "--data", self.data, *names, "--hub-port", str(hub_port), "--api-port", str(api_port)],
                              capture_output=True, text=True, env={**os.environ, **(self.env_extra or {})})
        if done.returncode != 0:
            raise StackError(f"godwitd init failed: {done.stderr or done.stdout}")
        if self.extra_config:
            with open(self.data / "godwit.toml", "a") as config:
                config.write(self.extra_config)

    def pin_ports(self) -> None:
        """Writes the ports in use into the configuration, so that a restart serves under the same addresses."""
        path = self.data / "godwit.toml"
        lines, section = [], ""
        for line in path.read_text().splitlines():
            if line.strip().startswith("["):
                section = line.strip().strip("[]")
            if line.split("=")[0].strip() == "port" and section in self.ports:
                line = f"port = {self.ports[section]}"
            lines.append(line)
        path.write_text("\n".join(lines) + "\n")

    def start(self, timeout: float = 30.0) -> None:
        ports_file = self.data / "run" / "ports.json"
        ports_file.unlink(missing_ok=True)
        self.process.start()

        def ready():
            self.process.check_alive()
            if not ports_file.exists():
                return None
            self.ports = json.loads(ports_file.read_text())
            return self.cli("device", "compliance", "show", "-o", "json", check=False).returncode == 0

        wait_until("godwitd answers", ready, timeout)
        self.pin_ports()

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.kill()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.ports['api']}"

    @property
    def ca(self) -> Path:
        return self.data / "tls" / "ca.pem"

    @property
    def token_file(self) -> Path:
        return self.data / "admin.token"

    def env(self) -> dict:
        return {"GODWIT_URL": self.url, "GODWIT_CA": str(self.ca), "GODWIT_TOKEN_FILE": str(self.token_file)}

    def cli(self, *words, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess:
        done = subprocess.run([self.binaries / "godwit", *map(str, words)], capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, env={**os.environ, **(self.env_extra or {}), **self.env()})
        if check and done.returncode != 0:
            raise StackError(f"godwit {' '.join(map(str, words))} gave {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def json(self, *words):
        return json.loads(self.cli(*words, "-o", "json").stdout)


class Device:
    """One device: agent and installer in a folder, registered with the service."""

    def __init__(self, service: Service, device_id: str, folder: Path, *, group: str = "", manufacturer: str = "Contoso", model: str = "Toaster",
                 agent_config: str = "", installer_config: str = "", env: dict | None = None, binaries: Path | None = None, runner: list | None = None):
        """`binaries`: of the device, where they are not those of the service. `runner`: words before each of its programs."""
        self.service, self.id, self.folder, self.group = service, device_id, Path(folder), group
        self.manufacturer, self.model, self.agent_config = manufacturer, model, agent_config
        self.installer_config = installer_config
        self.env = env
        self.binaries, self.runner = Path(binaries or service.binaries), runner or []
        bin_ = self.binaries
        self.agent = Process("godwit-agent", [*self.runner, bin_ / "godwit-agent", "run", "--config", self.folder / "agent.toml"], self.folder / "agent.log", env)
        self.installer = Process("godwit-installer", [*self.runner, bin_ / "godwit-installer", "run", "--config", self.folder / "installer.toml"], self.folder / "installer.log", env)

    def register(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.service.cli("hub", "device-identity", "create", "-d", self.id, "--key-file", self.folder / "device.key")
        if self.group:
            self.service.cli("hub", "device-twin", "update", "-d", self.id, "--tags", json.dumps({"ADUGroup": self.group}))

    def write_config(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("agent", "installer", "run"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        shutil.copy(self.service.data / "trust-anchors.json", self.folder / "trust-anchors.json")
        shutil.copy(self.service.ca, self.folder / "ca.pem")
        (self.folder / "agent.toml").write_text(f"""[hub]
host = "localhost"
port = {self.service.ports['hub']}
device_id = "{self.id}"
key_file = "device.key"
ca_file = "ca.pem"
reconnect_limit = "5s"

[device]
manufacturer = "{self.manufacturer}"
model = "{self.model}"

[agent]
data = "agent"
socket = "run/agent.sock"
trust_anchors = "trust-anchors.json"

[installer]
socket = "run/installer.sock"
{self.agent_config}""")
        (self.folder / "installer.toml").write_text(f"""[installer]
agent_user = "{pwd.getpwuid(os.getuid()).pw_name}"
data = "installer"
socket = "run/installer.sock"
trust_anchors = "trust-anchors.json"

[device]
manufacturer = "{self.manufacturer}"
model = "{self.model}"
{self.installer_config}""")

    def register_extensions(self, skip: tuple = ()) -> None:
        libraries = self.binaries.parent / "lib"
        for program, kind, name, library in (
                ("installer", "step-handler", "microsoft/script:1", "godwit-step-script.so"),
                ("installer", "manifest-handler", "microsoft/update-manifest:4", "godwit-manifest-steps.so"),
                ("installer", "manifest-handler", "microsoft/update-manifest:5", "godwit-manifest-steps.so"),
                ("agent", "content-downloader", "godwit/curl:1", "godwit-downloader-curl.so")):
            if name not in skip:
                self.register_extension(program, kind, name, libraries / library)

    def register_extension(self, program: str, kind: str, name: str, library: Path, *more) -> None:
        command = [*self.runner, self.binaries / f"godwit-{program}", "extension", "register", "--config", self.folder / f"{program}.toml",
                   "--type", kind, "--id", name, library, *more]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(self.env or {})})
        if done.returncode != 0:
            raise StackError(f"registering {name} failed: {done.stderr or done.stdout}")

    def set_up(self, skip_extensions: tuple = ()) -> None:
        self.register()
        self.write_config()
        self.register_extensions(skip_extensions)

    def start(self) -> None:
        self.start_installer()
        self.agent.start()

    def start_installer(self) -> None:
        socket = self.folder / "run" / "installer.sock"
        socket.unlink(missing_ok=True)  # that of one that was killed
        self.installer.start()

        def listens():
            self.installer.check_alive()
            return socket.exists()

        wait_until("the installer listens", listens, 20)

    def stop(self) -> None:
        self.agent.stop()
        self.installer.stop()

    def known(self):
        """What the service says of this device, or None."""
        done = self.service.cli("device", "show", "-d", self.id, "-o", "json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None


def binaries_folder(default_preset: str) -> Path:
    """GODWIT_BIN, or build/<preset>/bin of this checkout."""
    folder = Path(os.environ.get("GODWIT_BIN", ROOT / "build" / default_preset / "bin")).resolve()
    if not (folder / "godwitd").exists():
        sys.exit(f"no binaries in {folder}: run ./dev build {default_preset} first")
    return folder
