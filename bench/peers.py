"""The servers that the hub is measured beside: mosquitto with our plugin, and the bare TLS accept loop."""
from __future__ import annotations

import subprocess
from pathlib import Path

from measure import BINARIES, Peer, Process, free_port, listens, wait_until

MOSQUITTO = "/usr/sbin/mosquitto"


def start_mosquitto(folder: Path, like: Peer, tls: Path, *, persistence: str = "", twin_bytes: int = 300) -> Peer:
    """mosquitto over TLS with the certificate and the devices of `like`; `persistence` is configuration text."""
    port = free_port()
    home = folder / f"mosquitto-{port}"
    home.mkdir()
    config = home / "mosquitto.conf"
    config.write_text(f"""user root
listener {port} 127.0.0.1
certfile {tls}/server.pem
keyfile {tls}/server-key.pem
set_tcp_nodelay true
allow_anonymous false
log_type error
log_type warning
persistence_location {home}/
plugin {BINARIES.parent}/lib/bench_mosquitto_hub.so
plugin_opt_keys_file {like.keys}
plugin_opt_twin_bytes {twin_bytes}
{persistence}
""")
    process = Process("mosquitto", [MOSQUITTO, "-c", config], home / "mosquitto.log")
    process.start()

    def ready():
        process.check_alive()
        return listens(port)

    wait_until("mosquitto listens", ready, 15)
    return Peer("mosquitto", process, port, like.ca, like.keys, like.hub_name)


def start_bare_tls(folder: Path, like: Peer, tls: Path) -> Peer:
    """Accepts TLS, answers CONNACK, does nothing else: the handshake limit."""
    port = free_port()
    process = Process("bench_tls_accept", [BINARIES / "bench_tls_accept", tls / "server.pem", tls / "server-key.pem", port], folder / "tls_accept.log")
    process.start()
    wait_until("the accept loop listens", lambda: listens(port), 10)
    return Peer("bare TLS", process, port, like.ca, like.keys, like.hub_name)


def openssl_speed() -> str:
    """Signatures and key agreements a second on one core: what a handshake is made of."""
    done = subprocess.run(["openssl", "speed", "-seconds", "1", "ecdsap256", "ecdhx25519"], capture_output=True, text=True)
    rates = [line.split()[-2 if "ecdsa" in line else -1] for line in done.stdout.splitlines() if "nistp256" in line or "X25519" in line]
    return f"{rates[0]} ECDSA P-256 signatures/s, {rates[1]} X25519/s" if len(rates) == 2 else "openssl speed gave no figures"
