"""A device with a podman of its own: its installer runs in a mount and network namespace where podman's folders are empty, so that what
it keeps and the ports it publishes stay there. And images made on the spot, as OCI and docker archives, without a network or a tool."""
from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
from pathlib import Path

from namespace_world import NamespaceWorld

# $1: file that says it is ready. Where a machine does not let crun count processes and bytes (no cgroups v2 alone, no CAP_SYS_RESOURCE) the
# containers run without cgroups: the rest of podman is as on any device.
SETUP = r"""
set -eu
ip link set lo up
umount -l /sys/fs/cgroup; mount -t tmpfs world /sys/fs/cgroup
for folder in /var/lib/containers /run/containers /run/libpod /run/netns /run/crun /var/lib/cni /var/lib/godwit-container /dev/shm /etc/containers; do
  mkdir -p "$folder"; mount -t tmpfs world "$folder"
done
cat > /etc/containers/containers.conf <<'CONF'
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:4096", "nproc=1000:1000"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[network]
network_backend = "netavark"
CONF
echo '{"default":[{"type":"insecureAcceptAnything"}]}' > /etc/containers/policy.json
touch "$1"
exec sleep 100000
"""

# The program in the images. "serve": answers on port 8080 with the text of /version, its other arguments and $MODE; "check [PATH]": asks it, and for the path, of a device a byte; "crash",
# "job CODE": end at once. "eat MIB": takes so much memory, then serves.
PROGRAM = r"""
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void end(int s) { (void)s; _exit(0); }
int main(int count, char** words) {
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(8080)};
  char text[4096] = "", version[200] = "?";
  const char* what = count > 1 ? words[1] : "serve";
  const char* mode = getenv("MODE");
  setvbuf(stdout, 0, _IONBF, 0);
  signal(SIGTERM, end);
  if (strcmp(what, "crash") == 0) { puts("cannot open the database"); return 3; }
  if (strcmp(what, "job") == 0) return atoi(words[2]);
  if (strcmp(what, "eat") == 0) {
    size_t size = (size_t)atoi(words[2]) << 20;
    volatile char* eaten = malloc(size);
    if (!eaten) return 7;
    for (size_t i = 0; i < size; i += 4096) eaten[i] = 1;
  }
  int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (strcmp(what, "check") == 0) {
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(s, (struct sockaddr*)&where, sizeof where) != 0) { puts("nobody answers on port 8080"); return 1; }
    if (count > 2 && access(words[2], F_OK) != 0) { printf("%s is missing\n", words[2]); return 4; }
    if (count > 2 && strncmp(words[2], "/dev/", 5) == 0 && fread(text, 1, 1, fopen(words[2], "r")) != 1) { printf("%s gives nothing\n", words[2]); return 8; }
    return 0;
  }
  FILE* f = fopen("/version", "r");
  if (f && !fgets(version, sizeof version, f)) return 5;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(s, (struct sockaddr*)&where, sizeof where) != 0 || listen(s, 8) != 0) return 6;
  for (;;) {
    int c = accept(s, 0, 0);
    int size = snprintf(text, sizeof text, "%s|", version);
    for (int i = 2; i < count; ++i) size += snprintf(text + size, sizeof text - (size_t)size, "%s|", words[i]);
    size += snprintf(text + size, sizeof text - (size_t)size, "%s", mode ? mode : "");
    if (write(c, text, (size_t)size) < 0) perror("write");
    close(c);
  }
}
"""
STORE = "/var/lib/containers/storage"
ASK = "import socket,sys; s=socket.create_connection((sys.argv[1], int(sys.argv[2])), 5); print(s.makefile().read())"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class ContainerWorld(NamespaceWorld):
    def __init__(self, device):
        ready = device.folder / "world-ready"
        super().__init__(device, "-m -n", SETUP, ready, ready=ready)
        self.copies_before = self.copies()

    def run(self, *words, check: bool = True) -> str:
        return super().run(*words, check=check).strip()

    def podman(self, *words, check: bool = True) -> str:
        return self.run("podman", "--log-level=error", *words, check=check)

    def ask(self, port: int, host: str = "127.0.0.1") -> str:
        """What the service on the device answers; "" when nobody does."""
        return self.run("python3", "-c", ASK, host, port, check=False)

    def runs(self, *words) -> int:
        """The process in this world that runs exactly these words, or begins with them; 0: there is none."""
        wanted, here = "\0".join(map(str, words)), os.readlink(f"/proc/{self.holder.pid}/ns/net")
        for one in Path("/proc").iterdir():
            try:
                if one.name.isdigit() and (one / "cmdline").read_text(errors="replace").startswith(wanted) and os.readlink(one / "ns/net") == here:
                    return int(one.name)
            except OSError:
                continue  # it has ended
        return 0

    def containers(self, *, running: bool = False) -> list[str]:
        return sorted(self.podman("ps", *([] if running else ["--all"]), "--format", "{{.Names}}").split())

    def running(self) -> dict[str, str]:
        """The ids of the running containers by their names, of one moment."""
        return dict(line.split() for line in self.podman("ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}").splitlines())

    def copies(self) -> set[str]:
        """What podman copies an archive to on the way: whole images, which nobody else would remove."""
        return {line for line in self.run("find", "/var/tmp", "/var/lib/godwit-container", "-maxdepth", "1").splitlines() if Path(line).name.startswith(("oci", "storage", ".scratch"))}

    def copies_left(self) -> set[str]:
        return self.copies() - self.copies_before

    def images(self) -> set[str]:
        return {one.removeprefix("sha256:") for one in self.podman("images", "--all", "--quiet", "--no-trunc").split()}

    def images_listed(self) -> list[dict]:
        """What podman's store itself writes down of its images."""
        return json.loads(self.run("cat", f"{STORE}/overlay-images/images.json"))

    def forget_images(self, *ids: str) -> None:
        """The store knows them no more, but has their layers: as after a load that something ended."""
        text = json.dumps([image for image in self.images_listed() if image["id"] not in ids])
        self.run("sh", "-c", f'printf %s "$1" >{STORE}/overlay-images/images.json', "sh", text)

    def layers(self) -> set[str]:
        """The layers of images that the store has, shown by podman or not."""
        return {layer["diff-digest"].removeprefix("sha256:") for layer in json.loads(self.run("cat", f"{STORE}/overlay-layers/layers.json")) if layer.get("diff-digest")}

    def name_in_store(self, old: str, new: str) -> None:
        """The store has another name for a container than podman itself: as after a rename that was cut."""
        self.run("sed", "-i", f's/"{old}"/"{new}"/', f"{STORE}/overlay-containers/containers.json")
        assert new in self.run("cat", f"{STORE}/overlay-containers/containers.json")

    def boots(self) -> None:
        """From now on the kernel says that it is another boot."""
        self.boot = getattr(self, "boot", 0) + 1
        file = self.device.folder / f"boot-{self.boot}"
        file.write_text(f"00000000-0000-4000-8000-{self.boot:012}\n")
        self.run("mount", "--bind", file, "/proc/sys/kernel/random/boot_id")

    def stop(self) -> None:
        self.device.stop()
        self.podman("rm", "--all", "--force", "--time", "0", check=False)
        super().stop()


def build_program(folder: Path) -> bytes:
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-static", "-O1", "-o", folder / "program", folder / "program.c"], check=True)
    return (folder / "program").read_bytes()


def pack(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Image:
    """An image whose upper layer has /app, which is `program`, /version, which is `version`, and `extra`; `below`: the layers under it, as tars."""

    def __init__(self, program: bytes, version: str, *, architecture: str = ARCHITECTURE, extra: dict[str, bytes] | None = None, below: tuple[bytes, ...] = ()):
        self.version = version
        self.layers = [*below, pack({"app": program, "version": version.encode(), **(extra or {})})]
        self.config = json.dumps({"architecture": architecture, "os": "linux", "config": {"Entrypoint": ["/app"], "Cmd": ["serve"]},
                                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in self.layers]},
                                  "history": [{"created_by": "a test"} for _ in self.layers]}).encode()
        self.id = hashlib.sha256(self.config).hexdigest()

    def blobs(self) -> tuple[dict[str, bytes], dict]:
        """The blobs by their place in an OCI archive, and the descriptor of the manifest."""
        def describe(content: bytes, kind: str) -> dict:
            return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": "sha256:" + hashlib.sha256(content).hexdigest(), "size": len(content)}

        manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                               "config": describe(self.config, "config.v1+json"), "layers": [describe(layer, "layer.v1.tar") for layer in self.layers]}).encode()
        blobs = {"blobs/sha256/" + hashlib.sha256(content).hexdigest(): content for content in (*self.layers, self.config, manifest)}
        return blobs, describe(manifest, "manifest.v1+json")

    def docker(self, name: str) -> bytes:
        names = [f"layer-{number}.tar" for number in range(len(self.layers))]
        manifest = [{"Config": f"{self.id}.json", "RepoTags": [name], "Layers": names}]
        return pack({f"{self.id}.json": self.config, **dict(zip(names, self.layers)), "manifest.json": json.dumps(manifest).encode()})


def oci(*images: Image) -> bytes:
    files, listed = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}, []
    for image in images:
        blobs, manifest = image.blobs()
        files |= blobs
        listed.append(manifest)
    return pack({**files, "index.json": json.dumps({"schemaVersion": 2, "manifests": listed}).encode()})
