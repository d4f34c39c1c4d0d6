"""A reference device beside a real service: its identity and configuration on the data partition, and updates of its whole image."""
from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools" / "dev"))
import build  # noqa: E402
from boards import ARM64, Board  # noqa: E402
from virtual_machine import Machine  # noqa: E402
from stack import Service, StackError, wait_until  # noqa: E402

HOST = "godwit.test"  # this machine, as the guest's /etc/hosts names it
HOSTS = (HOST, "localhost", "127.0.0.1")  # for Service.init()
PROVIDER = "Godwit"
END_STATES = ("Succeeded", "Failed", "Canceled")


class ReferenceDevice:
    """One virtual machine that is registered with `service`; side A is written with `side`, side B is empty."""

    def __init__(self, service: Service, device_id: str, folder: Path, group: str, board: Board = ARM64):
        self.service, self.id, self.folder, self.group, self.board = service, device_id, Path(folder), group, board
        self.machine = Machine(self.folder / "disk.img", self.folder / "flash.img", self.folder / "console.log", board=board)

    def set_up(self, side: Path) -> None:
        etc = self.folder / "etc"
        etc.mkdir(parents=True)
        self.service.cli("hub", "device-identity", "create", "-d", self.id, "--key-file", etc / "device.key")
        self.service.cli("hub", "device-twin", "update", "-d", self.id, "--tags", json.dumps({"ADUGroup": self.group}))
        (etc / "ca.pem").write_bytes(self.service.ca.read_bytes())
        (etc / "trust-anchors.json").write_bytes((self.service.data / "trust-anchors.json").read_bytes())
        model = f'[device]\nmanufacturer = "{PROVIDER}"\nmodel = "{self.board.model}"\n'
        (etc / "agent.toml").write_text(f'[hub]\nhost = "{HOST}"\nport = {self.service.ports["hub"]}\ndevice_id = "{self.id}"\nkey_file = "device.key"\n'
                                        f'ca_file = "ca.pem"\nreconnect_limit = "5s"\nreconnect_spread = "1s"\n\n{model}\n'
                                        '[agent]\ndata = "/data/godwit/agent"\ntrust_anchors = "/etc/godwit/trust-anchors.json"\n')
        (etc / "installer.toml").write_text(f'[installer]\ndata = "/data/godwit/installer"\n\n{model}\n[restart]\ncommand = ["/sbin/reboot"]\n')
        build.make_disk(self.machine.disk, side, etc, self.board)
        if self.board.flash:
            build.make_flash(self.machine.flash, self.board)

    # ---- what the service says of it ----------------------------------------------------------------------------------

    def known(self) -> dict:
        done = self.service.cli("device", "show", "-d", self.id, "-o", "json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def installed(self) -> str:
        """The version that the service lists; "" without one."""
        return self.known().get("installedUpdate", {}).get("updateId", {}).get("version", "")

    def wait_known(self, timeout: float = 90) -> None:
        """Until the service knows the device with its group and class: before that no update fits."""
        wait_until(f"{self.id} reports itself", lambda: self.known().get("groupId") == self.group and self.known().get("deviceClassId"), timeout)

    def deploy(self, version: str, deployment: str = "") -> str:
        deployment = deployment or f"{self.id}-{version}".replace(".", "-")
        self.service.cli("device", "deployment", "create", "--group-id", self.group, "--deployment-id", deployment,
                         "--update-provider", PROVIDER, "--update-name", self.board.model, "--update-version", version)
        return deployment

    def state(self, deployment: str) -> dict:
        states = self.service.json("device", "deployment", "list-devices", "--group-id", self.group, "--deployment-id", deployment)
        return next((s for s in states if s["deviceId"] == self.id), {})

    def wait_ended(self, deployment: str, timeout: float = 420) -> dict:
        """What the service says of it in the end; the console's last lines are printed where no end comes."""
        def ended():
            now = self.state(deployment)
            return now if now.get("deviceState") in END_STATES else None

        try:
            return wait_until(f"{deployment} ends", ended, timeout)
        except StackError:
            print("\n".join(self.machine.lines[-60:]))
            raise


def pack(service: Service, side: Path, streamed: bool) -> tuple[dict, list[Path]]:
    """The handlerProperties of a side, and the files of its step."""
    if streamed:
        packed = json.loads(service.cli("image", "pack", side, "--level", "3", "-o", "json").stdout)
        return packed["handlerProperties"], [Path(packed["imageFile"]), Path(packed["indexFile"])]
    packed = side.with_name(side.name + ".zst")
    done = subprocess.run(["zstd", "-q", "-3", "-T0", side, "-o", packed], capture_output=True, text=True)
    if done.returncode != 0:
        raise StackError(f"zstd: {done.stderr}")
    with open(side, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"imageFile": packed.name, "compression": "zstd", "imageSize": str(side.stat().st_size), "imageSha256": digest}, [packed]


def pack_kernel(board: Board, folder: Path, version: str) -> tuple[dict, list[Path]]:
    """For a board whose kernels do not lie on its sides: the handlerProperties of a kernel of this version, and its files. The kernel is Debian's with the version
    behind it, which a loader does not read."""
    if board.has_kernel_on_side:
        return {}, []
    build.put_kernel(board, build.packages(board), folder)
    kernel = folder / "vmlinuz"
    with open(kernel, "ab") as file:
        file.write(b"\0" * 4096 + f"Godwit {version}".encode())
    packed = folder / "vmlinuz.zst"
    done = subprocess.run(["zstd", "-q", "-1", kernel, "-o", packed], capture_output=True, text=True)
    if done.returncode != 0:
        raise StackError(f"zstd: {done.stderr}")
    return {"pairs": {"kernel": packed.name, "initrd": "initrd"}}, [packed, folder / "initrd"]


def import_image(service: Service, folder: Path, version: str, fault: str | None = None, board: Board = ARM64, streamed: bool = False) -> Path:
    """Builds a side, packs it, imports it as an update of this board; gives the unpacked side."""
    folder = Path(folder) / board.name / version
    folder.mkdir(parents=True)
    side = build.make_side(folder / "side.ext4", version, fault, board)
    properties, files = pack(service, side, streamed)
    pairs, more = pack_kernel(board, folder, version)
    properties, files = {**properties, **pairs}, [*files, *more]
    service.cli("update", "init", "v5", "--update-provider", PROVIDER, "--update-name", board.model, "--update-version", version, "--folder", folder,
                "--compat", f"manufacturer={PROVIDER}", f"model={board.model}", "--step", "handler=godwit/image:1", "properties=" + json.dumps(properties),
                *(word for file in files for word in ("--file", f"path={file}")))
    service.cli("update", "import", "--manifest", next(folder.glob("*.importmanifest.json")))
    return side
