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
        (work / "sw-description").write_text(f'software = {{ version = "1.0"; hardware-compatibility: [ "{hardware}" ]; files: ( {", ".join(entries)} );{scripts} }}\n')
        certificate = self.key(key)
        subprocess.run(["openssl", "cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig", "-signer", certificate,
                        "-inkey", self.folder / f"{key}.key.pem", "-outform", "DER", "-nosmimecap", "-binary"], cwd=work, check=True, capture_output=True)
        return subprocess.run(["cpio", "-o", "-H", "crc"], cwd=work, input="".join(f"{n}\n" for n in names).encode(), check=True, capture_output=True).stdout
