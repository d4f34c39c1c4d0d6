"""godwit/container:1 under systemd, with the restrictions of the installer's own unit, in a machine that systemd-nspawn boots: a container is
started outside of them, and comes back by itself at the machine's next start. Needs root."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from container_world import Image, build_program, oci
from handlers import register_handler, run_update
from machine import Machine
from stack import wait_until

HANDLER = "godwit/container:1"
UNIT = Path(__file__).resolve().parents[2] / "packaging" / "systemd" / "godwit-installer.service"
PODMAN = ("podman", "crun", "netavark", "iptables", "ca-certificates", "python3-minimal")
# What nspawn and a machine without CAP_SYS_RESOURCE do not allow; see container_world.py.
CONF = '[containers]\ncgroups = "disabled"\ndefault_ulimits = ["nofile=1024:4096", "nproc=1000:1000"]\n'


def libraries(folder: Path) -> tuple:
    """The packages that the build's own programs need: it is no package itself here."""
    said = "".join(subprocess.run(["ldd", one], capture_output=True, text=True, check=True).stdout
                   for one in (folder / "bin" / "godwit-installer", *folder.glob("lib/godwit-step-*.so"), *folder.glob("lib/godwit-manifest-*.so")))
    paths = sorted({os.path.realpath(path) for path in re.findall(r"=> (/\S+)", said)})
    owners = subprocess.run(["dpkg", "-S", *paths], capture_output=True, text=True).stdout
    return tuple(sorted({line.split(":")[0] for line in owners.splitlines()}))


@pytest.fixture
def machine(scene, tmp_path):
    build = scene.service.binaries.parent
    made = Machine(tmp_path, [], more=(*PODMAN, *libraries(build)), env={"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                   options=("--system-call-filter=@keyring bpf", "--capability=all", f"--bind-ro={build}", f"--bind={scene.folder}"))
    (made.root / "etc/containers/containers.conf").write_text(CONF)
    made.start()
    yield made
    made.end()


def restrictions() -> list[str]:
    """The lines of the packaged unit that take something away from the installer."""
    lines = re.findall(r"^((?:Protect|Restrict|SystemCall|Lock|Private|NoNew|MemoryDeny)\w+=\S+)$", UNIT.read_text(), re.M)
    assert "ProtectHostname=yes" in lines
    return [f"--property={line}" for line in lines]


def test_a_container_starts_outside_of_the_installers_restrictions_and_again_with_the_machine(scene, machine, tmp_path):
    device = scene.device(start=False)
    register_handler(device, HANDLER, "step-container", network=True)
    inside = ["nsenter", f"--target={machine.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root"]
    device.installer.command = [*inside, "/usr/bin/systemd-run", "--quiet", "--collect", "--wait", "--pipe", "--unit=godwit-installer", "--property=KillMode=mixed",
                                *restrictions(), *(f"--setenv={name}={value}" for name, value in (device.env or {}).items()), *device.installer.command]
    device.start()
    scene.wait_listed(device)
    program = build_program(tmp_path)
    described = {"name": "web", "ports": [{"host": 8099, "container": 8080, "address": "127.0.0.1"}], "healthCommand": ["/app", "check"], "steadySeconds": 0}
    ask = "python3 -c \"import socket; print(socket.create_connection(('127.0.0.1', 8099), 5).makefile().read())\""

    run_update(scene, device, "1.0.0", HANDLER, {"image.tar": oci(Image(program, "one"))}, {**described, "installedCriteria": "1"})
    assert machine.out(ask) == "one|"
    assert "sethostname" in machine.sh(f"podman rm -f probe; podman create --name probe --network none {Image(program, 'one').id} && "
                                       f"systemd-run --quiet --collect --wait --pipe {' '.join(restrictions())} podman start probe", check=False).stderr, "the restrictions do no harm any more: start it plainly"
    machine.sh("podman rm -f probe; systemctl stop godwit-installer")
    assert machine.out(ask) == "one|", "the end of the installer's unit is not the end of its containers"
    device.installer.stop()

    device.start_installer()
    run_update(scene, device, "1.1.0", HANDLER, {"image.tar": oci(Image(program, "two"))}, {**described, "installedCriteria": "2"})
    device.stop()
    machine.end()
    machine.start()
    wait_until("the container runs again", lambda: machine.sh(ask, check=False).stdout.strip() == "two|", 60)
    assert machine.out("podman ps --all --format '{{.Names}}'") == "web"
