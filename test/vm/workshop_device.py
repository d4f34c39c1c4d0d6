"""A workshop of images/workshop.py beside a real service: its identity on the disk, a shell through the hatch, and the power switch."""
from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "images"))
import workshop  # noqa: E402
from reference import HOST, PROVIDER, ReferenceDevice  # noqa: E402
from stack import Service, wait_until  # noqa: E402


class Hatch:
    """A shell of root on the device, over its second serial line."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="hatch", dir="/tmp"))  # short: a socket's path has room for 107 bytes
        self.words = ("-serial", f"unix:{self.folder}/s,server=on,wait=off")
        self.number = 0

    def run(self, script: str, timeout: float = 60) -> tuple[int, str]:
        """(exit code, what it said). TimeoutError: no answer, as from a device that still boots."""
        self.number += 1
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(timeout)
            line.connect(f"{self.folder}/s")
            line.sendall(f"{self.number} {base64.b64encode(script.encode()).decode()}\n".encode())
            for text in line.makefile():
                words = text.split()
                if words[:2] == ["hatch", str(self.number)] and len(words) >= 3:
                    return int(words[2]), base64.b64decode(words[3]).decode(errors="replace") if len(words) > 3 else ""
        raise TimeoutError("the line was closed")

    def end(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class WorkshopDevice(ReferenceDevice):
    def __init__(self, service: Service, device_id: str, folder: Path):
        super().__init__(service, device_id, folder, f"{device_id}-group", workshop.board())
        self.hatch = Hatch()
        self.machine.more = self.hatch.words
        self.updates = 0

    def set_up(self, side: Path | None = None) -> None:
        self.folder.mkdir(parents=True)
        key = self.folder / "device.key"
        self.service.cli("hub", "device-identity", "create", "-d", self.id, "--key-file", key)
        self.service.cli("hub", "device-twin", "update", "-d", self.id, "--tags", json.dumps({"ADUGroup": self.group}))
        model = f'[device]\nmanufacturer = "{PROVIDER}"\nmodel = "{self.board.model}"\n'
        agent = (f'[hub]\nhost = "{HOST}"\nport = {self.service.ports["hub"]}\ndevice_id = "{self.id}"\nkey_file = "device.key"\nca_file = "ca.pem"\n'
                 f'reconnect_limit = "5s"\nreconnect_spread = "1s"\n\n{model}')
        subprocess.run(["cp", "--sparse=always", workshop.make_disk(), self.machine.disk], check=True)
        workshop.put_files(self.machine.disk, {
            "/etc/godwit/agent.toml": (agent.encode(), 0o644, "root"), "/etc/godwit/installer.toml": (model.encode(), 0o644, "root"),
            "/etc/godwit/ca.pem": (self.service.ca.read_bytes(), 0o644, "root"), "/etc/godwit/device.key": (key.read_bytes(), 0o600, "godwit-agent"),
            "/etc/godwit/trust-anchors.json": ((self.service.data / "trust-anchors.json").read_bytes(), 0o644, "root")})

    # ---- on the device ------------------------------------------------------------------------------------------------

    def sh(self, script: str, check: bool = True, timeout: float = 60) -> str:
        code, said = self.hatch.run(script, timeout)
        assert not check or code == 0, f"{script}\ngave {code}\n{said}"
        return said.strip()

    def put(self, path: str, content: str) -> None:
        self.sh(f"mkdir -p {Path(path).parent} && base64 -d >{path} <<<{base64.b64encode(content.encode()).decode()} && sync")

    def wait_up(self, timeout: float = 240) -> None:
        """Until it takes words through the hatch."""
        def answers():
            assert self.machine.running(), "\n".join(self.machine.lines[-20:])
            try:
                return self.hatch.run("true", 3)[0] == 0
            except OSError:
                return False

        wait_until(f"{self.id} is up", answers, timeout)

    # ---- the power ----------------------------------------------------------------------------------------------------

    def cut(self, *moments: str, after: float = 0, timeout: float = 300) -> None:
        """The power goes so many seconds after the console has said all of `moments`, one after the other; its file system is whole then."""
        for words in moments:
            self.machine.wait_for(words, timeout=timeout)
        time.sleep(after)
        self.cut_now()

    def cut_now(self) -> None:
        self.machine.kill()
        self.check_disk()

    def power_on(self) -> None:
        self.machine.start()
        self.wait_up()

    def check_disk(self) -> None:
        """After its journal was replayed the file system has no fault. On a copy: the device replays the journal itself."""
        copy = self.folder / "copy.ext4"
        subprocess.run(["cp", "--sparse=always", self.machine.disk, copy], check=True)
        subprocess.run(["e2fsck", "-p", "-E", "journal_only", copy], capture_output=True, check=False)
        checked = subprocess.run(["e2fsck", "-f", "-n", copy], capture_output=True, text=True)
        copy.unlink()
        assert checked.returncode == 0, checked.stdout

    def end(self) -> None:
        self.machine.kill()
        self.hatch.end()
        self.machine.disk.unlink(missing_ok=True)

    # ---- updates ------------------------------------------------------------------------------------------------------

    def bring(self, name: str, version: str, compatible: str, steps, *words: str) -> None:
        """Imports an update of these steps: handler, properties, files by name."""
        words = [*words, "--compat", *compatible.split()]
        folder = self.folder / f"{name}-{version}"
        folder.mkdir()
        for handler, properties, files in steps:
            words += ["--step", f"handler={handler}", "properties=" + json.dumps(properties)]
            for file, content in files.items():
                (folder / file).write_bytes(content)
                words += ["--file", f"path={folder / file}"]
        self.service.cli("update", "init", "v5", "--update-provider", PROVIDER, "--update-name", name, "--update-version", version, "--folder", folder, *words)
        self.service.cli("update", "import", "--manifest", next(folder.glob("*.importmanifest.json")))
        shutil.rmtree(folder)

    def send(self, *steps: tuple[str, dict, dict[str, bytes]], parts: str = "") -> str:
        """Imports and deploys an update of these steps, as bring() takes them; for each of the device's parts of the group `parts`, if it is named. Gives the
        deployment."""
        self.updates += 1
        version, model, refers = f"{self.updates}.0", self.board.model, []
        if parts:
            child = f"{model}-{parts}"
            self.bring(child, version, f"group={parts}", steps, "--is-deployable", "false")
            refers = ["--step", f"updateId.provider={PROVIDER}", f"updateId.name={child}", f"updateId.version={version}"]
        self.bring(model, version, f"manufacturer={PROVIDER} model={model}", () if parts else steps, *refers)
        self.machine.skip()
        return self.deploy(version)

    def goes_through(self, step: tuple[str, dict, dict[str, bytes]], *moments: str, after: float, end: str = "Succeeded", parts: str = "") -> dict:
        """An update of this step whose power is cut as cut() says: the end state, which must be `end`."""
        deployment = self.send(step, parts=parts)
        self.cut(*moments, after=after)
        self.power_on()
        return self.ends(deployment, end)

    def ends(self, deployment: str, end: str, timeout: float = 600) -> dict:
        """The end state, which must be `end`."""
        state = self.wait_ended(deployment, timeout)
        assert state["deviceState"] == end, f"{json.dumps(state)}\n" + "\n".join(self.machine.lines[-60:])
        return state


