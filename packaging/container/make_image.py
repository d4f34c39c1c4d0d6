#!/usr/bin/python3
"""Makes an OCI image of godwitd out of its Debian packages: no daemon, no root, no registry, only apt, dpkg-deb and this file.

./dev package oci calls it. The image holds what the programs link with and nothing else: no shell, no package manager. Its two layers
(Debian's libraries; ours) are the same bytes for the same packages, so an upgrade fetches what changed. The archive is an OCI layout that
podman, skopeo and containerd read, with the index of `docker save` beside it for docker.
"""
from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

PROGRAMS = ("godwitd", "godwit")  # the service, and the command line to look after it by `exec`
FROM_DEBIAN = ("base-files", "ca-certificates", "netbase", "tzdata")  # beside the libraries: /etc, authorities, ports, time zones
# Dependencies that only maintainer scripts or an init system need. What is linked is checked at the end.
LEFT_OUT = {"debconf", "dpkg", "libsystemd0", "mawk", "openssl", "perl-base", "systemd", "tar"}
WITHOUT = re.compile(r"^/?(usr/share/(doc(?!/[^/]+/copyright$)|man|lintian|locale|bash-completion|info)/|usr/lib/systemd/|lib/systemd/|usr/lib/[^/]+/gconv/)")
USER, GROUP = 10001, 10001
DATA = "/data"  # the volume; the data folder is made in it, since a folder that is mounted cannot be renamed into place
PASSWD = f"root:x:0:0:root:/root:/sbin/nologin\ngodwitd:x:{USER}:{GROUP}:Godwit update service:{DATA}:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
GROUPS = f"root:x:0:\ngodwitd:x:{GROUP}:\nnogroup:x:65534:\n"
SECOND = 1_000_000_000  # in nanoseconds, as the image's configuration wants them


def run(*command, **more) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        sys.exit(f"make_image: {' '.join(map(str, command))} gave {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def our_packages(folder: pathlib.Path, arch: str) -> list[pathlib.Path]:
    found = []
    for name in PROGRAMS:
        made = sorted(folder.glob(f"{name}_*_{arch}.deb"), key=lambda path: path.stat().st_mtime)
        if not made:
            sys.exit(f"make_image: no package {name} for {arch} in {folder}; make it with: ./dev package {arch}")
        found.append(made[-1])
    return found


def depends(package: pathlib.Path) -> list[str]:
    """The first of each alternative."""
    text = run("dpkg-deb", "--field", package, "Depends").replace("\n", " ")
    names = [re.match(r"\s*([a-z0-9][a-z0-9.+-]*)", part) for part in text.split(",")]
    return [name.group(1) for name in names if name and name.group(1) not in LEFT_OUT and name.group(1) not in PROGRAMS]


def fetch(names: list[str], arch: str, folder: pathlib.Path) -> list[pathlib.Path]:
    """Debian's packages of these names and what they depend on, by an apt whose lists and downloads lie in `folder`: this system's stay as they are.
    apt checks Debian's signature as always."""
    for part in ("lists/partial", "archives/partial", "etc/preferences.d", "etc/apt.conf.d"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "status").write_text("")
    options = ["-qq", "-o", f"APT::Architecture={arch}", "-o", f"APT::Architectures={arch}", "-o", f"Dir::State={folder}", "-o", f"Dir::State::status={folder}/status",
               "-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}", "-o", f"Dir::Cache::archives={folder}/archives",
               "-o", "APT::Install-Recommends=false", "-o", "APT::Sandbox::User="]
    if not any((folder / "lists").glob("*Packages*")):
        run("apt-get", *options, "update")
    run("apt-get", *options, "--download-only", "--yes", "install", *names)
    wanted = re.findall(r"^Inst (\S+) \((\S+)", run("apt-get", *options[1:], "-s", "install", *names), re.M)  # not what an earlier run left there
    found = []
    for name, version in wanted:
        if name in LEFT_OUT:
            continue
        files = list((folder / "archives").glob(f"{name}_{version.replace(':', '%3a')}_*.deb"))
        if not files:
            sys.exit(f"make_image: apt fetched no {name} {version}")
        found.append(files[0])
    return sorted(found)


class Layer:
    """A tar of files from packages and of our own; sorted, with one time, so that the same content gives the same bytes."""

    def __init__(self, stamp: int):
        self.stamp, self.members = stamp, {}

    def add_package(self, package: pathlib.Path) -> None:
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as tree:
            for member in tree:
                name = member.name.lstrip("./")
                if name and not WITHOUT.match(name):
                    member.name = name
                    self.members[name] = (member, tree.extractfile(member).read() if member.isfile() else b"")
        control = run("dpkg-deb", "--field", package)
        self.add_file(f"var/lib/dpkg/status.d/{package.name.split('_')[0]}", control)  # scanners for vulnerabilities look here

    def add_file(self, name: str, content: str | bytes, mode: int = 0o644) -> None:
        member = tarfile.TarInfo(name)
        member.mode, data = mode, content.encode() if isinstance(content, str) else content
        member.size = len(data)
        self.members[name] = (member, data)

    def add_folder(self, name: str, mode: int, user: int = 0, group: int = 0) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.uid, member.gid = tarfile.DIRTYPE, mode, user, group
        self.members[name] = (member, b"")

    def content(self, name: str) -> bytes:
        return self.members[name][1]

    def tar(self) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tree:
            for name in sorted(self.members):
                member, data = self.members[name]
                member.mtime, member.uname, member.gname = self.stamp, "", ""
                tree.addfile(member, io.BytesIO(data) if member.isfile() else None)
        return out.getvalue()


def libraries_layer(packages: list[pathlib.Path], stamp: int) -> Layer:
    layer = Layer(stamp)
    for package in packages:
        layer.add_package(package)
    layer.add_file("etc/passwd", PASSWD)
    layer.add_file("etc/group", GROUPS)
    layer.add_file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    bundle = b"".join(layer.content(name) for name in sorted(layer.members) if name.startswith("usr/share/ca-certificates/mozilla/") and name.endswith(".crt"))
    layer.add_file("etc/ssl/certs/ca-certificates.crt", bundle)
    layer.add_folder("tmp", 0o1777)
    layer.add_folder(DATA.lstrip("/"), 0o700, USER, GROUP)
    return layer


def check_links(layers: list[Layer]) -> None:
    """Every library that a program or library of the image names is in it; else it would end with "cannot open shared object file"."""
    files = {}
    for layer in layers:
        files.update({name: data for name, (member, data) in layer.members.items() if data[:4] == b"\x7fELF"})
    have = {pathlib.PurePath(name).name for layer in layers for name in layer.members}
    with tempfile.NamedTemporaryFile() as place:
        for name, data in sorted(files.items()):
            pathlib.Path(place.name).write_bytes(data)
            needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "--dynamic", "--wide", place.name))
            lacking = [one for one in needed if one not in have]
            if lacking:
                sys.exit(f"make_image: {name} needs {', '.join(lacking)}, which no package of the image has")


def configuration(arch: str, version: str, created: str, layers: list[Layer], tars: list[bytes]) -> dict:
    labels = {"title": "godwitd", "description": "Godwit: over-the-air update service", "version": version, "licenses": "Apache-2.0"}
    return {
        "created": created, "architecture": arch, "os": "linux",
        "config": {
            "User": f"{USER}:{GROUP}", "Entrypoint": ["/usr/bin/godwitd"], "Cmd": ["run", "--init"], "WorkingDir": "/",
            "Env": ["PATH=/usr/bin", f"HOME={DATA}", f"GODWITD_DATA={DATA}/godwitd"],
            "ExposedPorts": {"8443/tcp": {}, "8883/tcp": {}}, "Volumes": {DATA: {}}, "StopSignal": "SIGTERM",
            "Labels": {f"org.opencontainers.image.{key}": value for key, value in labels.items()},
            # Read by docker; podman takes a health check from an OCI image only by --health-cmd.
            "Healthcheck": {"Test": ["CMD", "/usr/bin/godwitd", "health"], "Interval": 30 * SECOND, "Timeout": 10 * SECOND, "StartPeriod": 30 * SECOND, "Retries": 3},
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]},
        "history": [{"created": created, "created_by": f"packaging/container/make_image.py: {what}"} for what in ("libraries of Debian", "godwitd, godwit")],
    }


def write_archive(out: pathlib.Path, name: str, config: dict, tars: list[bytes]) -> None:
    blobs: dict[str, bytes] = {}

    def keep(data: bytes, media: str) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    zipped = [keep(gzip.compress(tar, 6, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip") for tar in tars]
    described = keep(json.dumps(config, sort_keys=True).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = keep(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": described, "layers": zipped}).encode(),
                    "application/vnd.oci.image.manifest.v1+json")
    tag = name.rsplit(":", 1)[1]
    manifest["annotations"] = {"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": name}
    manifest["platform"] = {"architecture": config["architecture"], "os": "linux"}

    def place(one: dict) -> str:
        return "blobs/sha256/" + one["digest"].split(":")[1]

    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode(),
             "manifest.json": json.dumps([{"Config": place(described), "RepoTags": [name], "Layers": [place(one) for one in zipped]}]).encode(),
             **{f"blobs/sha256/{digest}": data for digest, data in blobs.items()}}
    partial = out.with_name(out.name + ".partial")
    with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as tree:
        for path in sorted(files):
            member = tarfile.TarInfo(path)
            member.size, member.mode, member.mtime = len(files[path]), 0o644, 0
            tree.addfile(member, io.BytesIO(files[path]))
    os.replace(partial, out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=pathlib.Path, required=True, help="folder with godwitd_*.deb and godwit_*.deb")
    parser.add_argument("--arch", default=run("dpkg", "--print-architecture").strip(), choices=["amd64", "arm64"])
    parser.add_argument("--name", help="name:tag of the image; default: localhost/godwitd:VERSION")
    parser.add_argument("--work", type=pathlib.Path, help="folder for apt's lists and downloads, kept for the next time")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the archive to write")
    args = parser.parse_args()
    ours = our_packages(args.packages.resolve(), args.arch)
    version = run("dpkg-deb", "--field", ours[0], "Version").strip()
    stamp = int(os.environ.get("SOURCE_DATE_EPOCH", ours[0].stat().st_mtime))
    work = args.work.resolve() if args.work else pathlib.Path(tempfile.mkdtemp(prefix="godwit-image-"))
    try:
        libraries = sorted({name for package in ours for name in depends(package)} | set(FROM_DEBIAN))
        debian = fetch(libraries, args.arch, work / args.arch)
        top = Layer(stamp)
        for package in ours:
            top.add_package(package)
        layers = [libraries_layer(debian, 0), top]
        check_links(layers)
        tars = [layer.tar() for layer in layers]
        created = run("date", "-u", "-d", f"@{stamp}", "+%Y-%m-%dT%H:%M:%SZ").strip()
        write_archive(args.out, args.name or f"localhost/godwitd:{version}", configuration(args.arch, version, created, layers, tars), tars)
    finally:
        if not args.work:
            shutil.rmtree(work, ignore_errors=True)
    print(f"{args.out}: godwitd {version} for {args.arch}, {args.out.stat().st_size / 2**20:.1f} MiB, {len(debian)} packages of Debian")
    return 0


if __name__ == "__main__":
    sys.exit(main())
