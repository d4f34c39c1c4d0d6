"""The container image of godwitd, made of the packages and run for real: its files unpacked as a runtime does it, its programs started by
systemd-nspawn with the image's own configuration (user, environment, volume, no capability, read-only root). Needs root."""
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from machine import run

HERE = Path(__file__).resolve().parent
MAKE_IMAGE = HERE.parents[1] / "packaging" / "container" / "make_image.py"
sys.path.insert(0, str(MAKE_IMAGE.parent))
import make_image  # noqa: E402

PACKAGES = HERE.parents[1] / "build" / "packages"
HEALTH = ["/usr/bin/godwitd", "health"]
PORTS = {"GODWITD_CONFIG_API_PORT": "18443", "GODWITD_CONFIG_HUB_PORT": "18883", "GODWITD_CONFIG_API_HOST": "updates.example"}


class Image:
    """An OCI archive, read as the specification says: index, manifest, configuration, layers, each by its digest."""

    def __init__(self, archive: Path):
        with tarfile.open(archive) as tree:
            self.files = {member.name: tree.extractfile(member).read() for member in tree}
        assert json.loads(self.files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
        (entry,) = json.loads(self.files["index.json"])["manifests"]
        self.manifest = json.loads(self.blob(entry))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.tars = [gzip.decompress(self.blob(layer)) for layer in self.manifest["layers"]]
        assert [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in self.tars] == self.config["rootfs"]["diff_ids"]

    def blob(self, described: dict) -> bytes:
        data = self.files["blobs/sha256/" + described["digest"].split(":")[1]]
        assert described["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}" and described["size"] == len(data)
        return data

    def unpack(self, root: Path) -> None:
        for tar in self.tars:
            with tarfile.open(fileobj=io.BytesIO(tar)) as tree:
                tree.extractall(root, numeric_owner=True)


class Container:
    """Runs programs in an unpacked image with `volume` at /data; several share one volume as several starts would."""

    def __init__(self, image: Image, folder: Path):
        self.image, self.folder, self.root = image, folder, folder / "rootfs"
        image.unpack(self.root)
        self.volume = folder / "volume"
        shutil.copytree(self.root / "data", self.volume)  # a named volume begins as the image's folder
        shutil.copystat(self.root / "data", self.volume)
        owner = (self.root / "data").stat()
        os.chown(self.volume, owner.st_uid, owner.st_gid)

    def command(self, words: list[str] | None, variables: dict[str, str]) -> list[str]:
        bundle = self.folder / f"bundle-{time.monotonic_ns()}"  # one each: a program that starts still reads its own
        bundle.mkdir()
        settings = self.image.config["config"]
        user, group = map(int, settings["User"].split(":"))
        spec = {"ociVersion": "1.0.0", "root": {"path": str(self.root), "readonly": True}, "hostname": "container",
                "process": {"terminal": False, "cwd": settings["WorkingDir"], "user": {"uid": user, "gid": group}, "noNewPrivileges": True,
                            "env": [*settings["Env"], *(f"{name}={value}" for name, value in variables.items())],
                            "args": [*settings["Entrypoint"], *(settings["Cmd"] if words is None else words)],
                            "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")}},
                "mounts": [{"destination": "/data", "type": "bind", "source": str(self.volume), "options": ["rbind"]}],
                "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network", "cgroup")]}}
        (bundle / "config.json").write_text(json.dumps(spec))
        return ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--kill-signal=SIGTERM", f"--oci-bundle={bundle}", f"--machine=godwit{os.getpid()}x{time.monotonic_ns()}"]

    def run(self, words: list[str] | None, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(words, variables), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)

    def execute(self, running: subprocess.Popen, words: list[str], **variables: str) -> subprocess.CompletedProcess:
        """A program beside the one that runs, as `podman exec` does it."""
        settings = self.image.config["config"]
        user, group = settings["User"].split(":")
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        leaders = [pid for pid in children if Path(f"/proc/{pid}/comm").read_text().strip() == "godwitd"]
        if not leaders:
            return subprocess.CompletedProcess(words, 125, "", "the container has not started")
        return subprocess.run(["nsenter", f"--target={leaders[0]}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd=/", f"--setuid={user}", f"--setgid={group}", *words],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
                              env={**dict(one.split("=", 1) for one in settings["Env"]), **variables})

    def start(self, log: Path, **variables: str) -> subprocess.Popen:
        with open(log, "ab") as out:
            return subprocess.Popen(self.command(None, variables), stdin=subprocess.DEVNULL, stdout=out, stderr=out)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("files of several users are unpacked by root only")
    folder = tmp_path_factory.mktemp("image")
    out = folder / "godwitd.oci.tar"
    print(run(sys.executable, MAKE_IMAGE, "--packages", PACKAGES, "--work", folder / "work", "--out", out))
    return Image(out)


@pytest.fixture(scope="module")
def container(image, tmp_path_factory):
    folder = tmp_path_factory.mktemp("container")
    yield Container(image, folder)
    subprocess.run(["rm", "-rf", "--one-file-system", folder], check=False)


@pytest.fixture(scope="module")
def service(container, tmp_path_factory):
    log = tmp_path_factory.mktemp("service") / "log"
    process = container.start(log, **PORTS)
    try:
        wait_healthy(container, process, log)
        yield process, log
    finally:
        process.terminate()
        process.wait(30)


def wait_healthy(container, process, log) -> None:
    deadline = time.monotonic() + 60
    while (asked := container.execute(process, HEALTH, **PORTS)).returncode != 0:
        assert process.poll() is None and time.monotonic() < deadline, asked.stderr + log.read_text()
        time.sleep(0.3)


def test_the_image_says_how_it_is_run(image):
    settings = image.config["config"]
    assert settings["User"] == "10001:10001" and settings["Volumes"] == {"/data": {}}
    assert set(settings["ExposedPorts"]) == {"8443/tcp", "8883/tcp"}
    assert settings["Healthcheck"]["Test"] == ["CMD", "/usr/bin/godwitd", "health"]
    assert sum(len(blob) for blob in image.files.values()) < 40 * 2**20


def test_the_same_packages_give_the_same_bytes(image):
    stamp = int(make_image.run("date", "-u", "-d", image.config["created"], "+%s"))
    ours = make_image.Layer(stamp)
    for package in reversed(make_image.our_packages(PACKAGES, image.config["architecture"])):
        ours.add_package(package)
    assert ours.tar() == image.tars[1]


def test_it_holds_no_shell_and_nothing_that_gives_privileges(container):
    names = {path.name for folder in ("bin", "sbin", "usr/bin", "usr/sbin") if (container.root / folder).is_dir() for path in (container.root / folder).iterdir()}
    assert {"godwitd", "godwit"} <= names and not names & {"sh", "bash", "dash", "dpkg", "apt", "su", "mount"}, names
    risen = [path for path in container.root.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o6000]
    assert risen == []
    assert "Package: libssl3\n" in (container.root / "var/lib/dpkg/status.d/libssl3").read_text(), "scanners for vulnerabilities find what is in it"


@pytest.mark.parametrize("variables, words", [
    ({}, "set GODWITD_CONFIG_API_HOST to it"),
    ({**PORTS, "GODWITD_CONFIG_API_PORT": "eighty"}, "GODWITD_CONFIG_API_PORT: expected a whole number"),
    ({**PORTS, "GODWITD_CONFIG_API_PROT": "1"}, "did you mean GODWITD_CONFIG_API_PORT?"),
    ({**PORTS, "GODWITD_CONFIG_HUB_PORT": "18443"}, "hub.port and api.port are the same port")])
def test_what_it_cannot_run_with_is_refused_in_words_and_makes_nothing(container, variables, words):
    done = container.run(None, **variables)
    assert done.returncode == 1 and words in done.stderr + done.stdout, done.stdout + done.stderr
    assert not list(container.volume.iterdir())


def test_it_begins_from_an_empty_volume_and_says_that_it_is_healthy(container, service):
    process, log = service
    done = container.execute(process, HEALTH, **PORTS)
    assert (done.returncode, done.stdout.strip()) == (0, "ready"), done.stdout + done.stderr
    assert container.execute(process, [*HEALTH, "--alive"], **PORTS).stdout.strip() == "alive"
    assert process.poll() is None
    said = log.read_text()
    assert "off-line" in said and "api=https://updates.example:18443" in said and "console" in said, said
    assert not re.search(r"#[0-9a-f]{64}-", said), "a log is no place for the enrolment URL"
    assert {path.stat().st_uid for path in container.volume.rglob("*")} == {10001}
    kept = (container.volume / "godwitd" / "godwit.toml").read_text()
    assert "port = 18443" in kept


def test_the_command_line_in_it_reaches_the_service(container, service):
    process, _ = service
    login = container.execute(process, ["/usr/bin/godwit", "login", "https://localhost:18443", "--token-file", "/data/godwitd/admin.token", "--ca", "/data/godwitd/tls/ca.pem"])
    assert login.returncode == 0, login.stdout + login.stderr
    listed = container.execute(process, ["/usr/bin/godwit", "token", "list"])
    assert "admin" in listed.stdout, listed.stdout + listed.stderr


def test_a_second_start_takes_the_volume_as_it_is_and_a_stop_is_not_healthy(container, service, tmp_path):
    process, _ = service
    before = (container.volume / "godwitd" / "admin.token").read_text()
    process.terminate()
    process.wait(30)
    stopped = container.run(["health"], **PORTS)
    assert stopped.returncode == 1 and "no service runs in '/data/godwitd'" in stopped.stderr + stopped.stdout, stopped.stdout + stopped.stderr
    log = tmp_path / "again"
    again = container.start(log, **{**PORTS, "GODWITD_CONFIG_API_PORT": "18444"})
    try:
        wait_healthy(container, again, log)
        assert '"api":18444' in (container.volume / "godwitd" / "run" / "ports.json").read_text(), "the environment is stronger than the file"
        assert (container.volume / "godwitd" / "admin.token").read_text() == before
    finally:
        again.terminate()
        again.wait(30)
