"""Signed SWUpdate images and the keys for them, made with openssl and cpio."""
from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path


class SwuMaker:
    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def key(self, name: str) -> Path:
        """A certificate; its key lies beside it."""
        certificate = self.folder / f"{name}.cert.pem"
        if not certificate.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.folder / f"{name}.key.pem", "-out", certificate,
                            "-days", "30", "-subj", f"/CN={name}", "-addext", "extendedKeyUsage=emailProtection"], check=True, capture_output=True)
        return certificate

    def image(self, files: dict[str, bytes], *, key: str = "operator", hardware: str = "1.0", script: str = "") -> bytes:
        """`files`: path on the device: content. `script`: what swupdate runs before (with `preinst`) and after (`postinst`)."""
        work = self.folder / "image"
        work.mkdir(exist_ok=True)
        entries, names = [], ["sw-description", "sw-description.sig"]
        for number, (path, content) in enumerate(files.items()):
            (work / f"file{number}").write_bytes(content)
            names.append(f"file{number}")
            entries.append(f'{{ filename = "file{number}"; path = "{path}"; sha256 = "{hashlib.sha256(content).hexdigest()}"; }}')
        scripts = ""
        if script:
            (work / "run.sh").write_text(script)
            names.append("run.sh")
            scripts = f' scripts: ( {{ filename = "run.sh"; type = "shellscript"; sha256 = "{hashlib.sha256(script.encode()).hexdigest()}"; }} );'
        return self._pack(work, f'software = {{ version = "1.0"; hardware-compatibility: [ "{hardware}" ]; files: ( {", ".join(entries)} );{scripts} }}\n', names, key)

    def sides(self, image: Path, version: str, partitions: dict[str, str], *, key: str = "operator") -> Path:
        """An image for whichever side does not run: `partitions` names the mode of each side and where it lies. Gives the .swu file."""
        work = self.folder / "sides"
        work.mkdir(exist_ok=True)
        with open(image, "rb") as raw, open(work / "side.gz", "wb") as packed:
            subprocess.run(["gzip", "-1", "-n", "-c"], stdin=raw, stdout=packed, check=True)
        with open(work / "side.gz", "rb") as packed:
            digest = hashlib.file_digest(packed, "sha256").hexdigest()
        modes = " ".join(f'{mode}: {{ images: ( {{ filename = "side.gz"; type = "raw"; compressed = "zlib"; installed-directly = true; '
                         f'device = "{partition}"; sha256 = "{digest}"; }} ); }};' for mode, partition in partitions.items())
        description = f'software = {{ version = "{version}"; hardware-compatibility: [ "1.0" ]; stable: {{ {modes} }}; }}\n'
        out = self.folder / f"side-{version}-{key}.swu"
        out.write_bytes(self._pack(work, description, ["sw-description", "sw-description.sig", "side.gz"], key))
        return out

    def _pack(self, work: Path, description: str, names: list[str], key: str) -> bytes:
        (work / "sw-description").write_text(description)
        certificate = self.key(key)
        subprocess.run(["openssl", "cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig", "-signer", certificate,
                        "-inkey", self.folder / f"{key}.key.pem", "-outform", "DER", "-nosmimecap", "-binary"], cwd=work, check=True, capture_output=True)
        return subprocess.run(["cpio", "-o", "-H", "crc"], cwd=work, input="".join(f"{n}\n" for n in names).encode(), check=True, capture_output=True).stdout
