"""Certificate authorities and device certificates for tests, made with the openssl command: another hand than the code under test."""
from __future__ import annotations

import itertools
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CONFIG = """[ca]
default_ca = own
[own]
database = {folder}/index.txt
crlnumber = {folder}/crlnumber
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
unique_subject = no
[any]
commonName = supplied
[device]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
"""

_numbers = itertools.count(1)


def openssl(*words) -> str:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"openssl {' '.join(map(str, words))}\n{done.stderr}"
    return done.stdout


@dataclass
class Leaf:
    certificate: Path
    key: Path
    chain: Path  # its own certificate, then those of authorities below the root

    @property
    def sha256(self) -> str:
        return openssl("x509", "-in", self.certificate, "-noout", "-fingerprint", "-sha256").split("=", 1)[1].strip().replace(":", "").lower()


class Authority:
    """A self-signed root, or an intermediate made by intermediate()."""

    def __init__(self, folder: Path, name: str, parent: Authority | None = None):
        self.folder = Path(folder) / f"authority-{next(_numbers)}"
        self.folder.mkdir(parents=True)
        (self.folder / "index.txt").touch()
        (self.folder / "crlnumber").write_text("01\n")
        self.config = self.folder / "ca.cnf"
        self.config.write_text(CONFIG.format(folder=self.folder))
        self.key = self.folder / "ca-key.pem"
        self.certificate = self.folder / "ca.pem"
        self.chain: list[Path] = []
        if parent is None:
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate,
                    "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        else:
            made = parent.sign(name, "authority", self.key)
            self.certificate.write_bytes(made.read_bytes())
            self.chain = [self.certificate, *parent.chain]

    @classmethod
    def of(cls, folder: Path, certificate: Path, key: Path) -> Authority:
        """One that exists already, to keep its list of revocations."""
        made = cls(folder, "unused")
        made.certificate, made.key = certificate, key
        return made

    def sign(self, name: str, section: str, key: Path, seconds: int | None = None) -> Path:
        number = next(_numbers)
        end = ["-enddate", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))] if seconds else []
        request, certificate = self.folder / f"{number}.csr", self.folder / f"{number}.pem"
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("ca", "-batch", "-config", self.config, "-extensions", section, "-keyfile", self.key, "-cert", self.certificate, "-in", request, "-out", certificate, "-notext", *end)
        return certificate

    def issue(self, name: str, seconds: int | None = None) -> Leaf:
        """`seconds`: how long it counts from now; a month without."""
        key = self.folder / f"{name}-{next(_numbers)}-key.pem"
        certificate = self.sign(name, "device", key, seconds)
        chain = certificate.with_suffix(".chain.pem")
        chain.write_text("".join(part.read_text() for part in [certificate, *self.chain]))
        return Leaf(certificate, key, chain)

    def intermediate(self, name: str) -> Authority:
        return Authority(self.folder, name, self)

    def revoke(self, leaf: Leaf) -> None:
        self.revoke_certificate(leaf.certificate)

    def revoke_certificate(self, certificate: Path) -> None:
        openssl("ca", "-config", self.config, "-keyfile", self.key, "-cert", self.certificate, "-revoke", certificate)

    def revocation_list(self, seconds: int | None = None) -> Path:
        """`seconds`: it is old after these, and they are waited for; a month without."""
        path = self.folder / "list.pem"
        end = ["-crlsec", str(seconds)] if seconds else []
        openssl("ca", "-config", self.config, "-keyfile", self.key, "-cert", self.certificate, "-gencrl", *end, "-out", path)
        time.sleep(seconds + 1 if seconds else 0)
        return path
