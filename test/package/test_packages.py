"""The Debian packages in a fresh Debian that has booted: installed, upgraded, used, removed, purged. One story in order."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from machine import Machine, repacked

HERE = Path(__file__).resolve().parent
PACKAGES = HERE.parents[1] / "build" / "packages"
NAMES = ("godwitd", "godwit-agent", "godwit", "godwit-fleet", "godwit-extension-dev")
HANDLERS = ("microsoft/update-manifest:4", "microsoft/update-manifest:5", "microsoft/steps:1", "microsoft/script:1", "microsoft/apt:1", "godwit/deb:1",
            "microsoft/swupdate:1", "microsoft/swupdate:2", "microsoft/simulator:1", "godwit/files:1", "godwit/container:1",
            "godwit/image:1")
INSTALLER_LIST = "godwit-installer extension list --config /usr/share/godwit/registration/installer.toml"
AGENT_LIST = "runuser -u godwit-agent -- godwit-agent extension list --config /usr/share/godwit/registration/agent.toml"


@pytest.fixture(scope="module")
def packages():
    if os.geteuid() != 0:
        pytest.skip("a machine is booted as root only")
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    found = []
    for name in NAMES:
        made = sorted([*PACKAGES.glob(f"{name}_*_{arch}.deb"), *PACKAGES.glob(f"{name}_*_all.deb")])
        assert made, f"no package {name} in {PACKAGES}: run ./dev package {arch}"
        found.append(made[-1])
    return found


def grow_a_library(tree: Path) -> None:
    """The version before had other libraries: their digests are in its registrations."""
    for library in (tree / "usr" / "lib" / "godwit").glob("*.so") if (tree / "usr" / "lib" / "godwit").exists() else ():
        with open(library, "ab") as file:
            file.write(b"before")


@pytest.fixture(scope="module")
def machine(packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    made = Machine(folder, packages)
    try:
        made.start()
        before = [repacked(package, "0.0.1", folder, grow_a_library) for package in packages]
        made.install(before)
        yield made
    finally:
        made.end()
        subprocess.run(["rm", "-rf", "--one-file-system", folder / "root", folder / "tree"], check=False)


def test_a_fresh_installation_has_its_users_folders_and_units_and_opens_no_port(machine):
    assert machine.out("dpkg-query -W -f='${Version}\n' godwitd godwit-agent godwit godwit-fleet godwit-extension-dev").split() == ["0.0.1"] * 5
    assert machine.out("stat -c '%U %a' /var/lib/godwitd /var/lib/godwit/agent /var/lib/godwit/installer").splitlines() == [
        "godwitd 700", "godwit-agent 750", "root 700"]
    assert machine.out("systemctl is-enabled godwitd godwit-agent godwit-installer.socket").split() == ["enabled"] * 3
    assert machine.out("systemctl is-active godwit-installer.socket") == "active"
    assert machine.sh("systemctl is-active godwitd godwit-agent", check=False).stdout.split() == ["inactive"] * 2
    assert machine.out("systemctl --failed --no-legend --plain | grep godwit || true") == ""
    assert machine.out("ss -Hltn") == ""
    assert machine.out("ls /usr/share/man/man1/godwit.1* /usr/share/man/man8/godwitd.8* 2>/dev/null; "
                       "bash -c '. /usr/share/bash-completion/completions/godwit && complete -p godwit'").endswith("godwit")


def test_every_handler_is_registered_and_loads(machine):
    listed = machine.out(INSTALLER_LIST)
    assert all(f" {name} " in listed for name in HANDLERS), listed
    listed = machine.out(AGENT_LIST)
    assert "godwit/curl:1" in listed and "microsoft/delta:1" in listed, listed


def test_four_commands_and_a_minute_lead_to_the_first_updated_device(machine):
    shutil.copy(HERE / "first_update.sh", machine.root / "usr" / "local" / "bin")
    told = machine.out("first_update.sh")
    print(told)
    took, commands = re.search(r"after ([0-9.]+) s, with ([0-9]+) commands", told).groups()
    assert float(took) < 60 and int(commands) <= 4, told
    assert "off-line" in told
    assert machine.out("find /var/lib/godwitd ! -user godwitd") == ""
    assert machine.out("stat -c '%U %a' /etc/godwit/device.key /etc/godwit/trust-anchors.json").splitlines() == ["godwit-agent 600", "root 644"]
    assert "admin" in machine.out("godwit token list")
    assert "off" not in machine.out("systemctl is-active godwitd godwit-agent")


def test_a_device_believes_no_other_authority_than_that_of_the_url(machine):
    url = machine.out("cat /var/lib/godwitd/enrolment.url")
    place, words = url.split("#")
    wrong = f"{place}#{'0' * 64}-{words.split('-')[1]}"
    done = machine.sh(f"godwit-agent enrol '{wrong}' --manufacturer Contoso --model Toaster --folder /srv/other --no-start", check=False)
    assert done.returncode == 1 and "certificate" in done.stderr, done.stdout + done.stderr
    assert machine.sh("ls /srv/other/agent.toml", check=False).returncode != 0
    again = machine.sh(f"godwit-agent enrol '{url}' --manufacturer Contoso --model Toaster", check=False)
    assert again.returncode == 1 and "--again" in again.stderr, again.stderr


def test_the_doctor_says_what_to_fix(machine):
    well = machine.sh("godwit doctor", check=False)
    assert well.returncode == 0, well.stdout + well.stderr
    assert "keys/root-1.pem is still on this machine" in well.stdout and "This device can take updates" in well.stdout, well.stdout
    machine.sh("chown root /var/lib/godwitd/godwit.toml && chmod 644 /var/lib/godwitd/admin.token && systemctl stop godwitd")
    ill = machine.sh("godwit doctor", check=False)
    assert ill.returncode == 1, ill.stdout
    assert "chown -R --reference" in ill.stdout and "chmod 600 /var/lib/godwitd/admin.token" in ill.stdout and "does godwitd run" in ill.stdout, ill.stdout
    machine.sh("chown godwitd /var/lib/godwitd/godwit.toml && chmod 600 /var/lib/godwitd/admin.token && systemctl start godwitd")
    machine.until("godwit doctor", 60)


def test_an_upgrade_keeps_configuration_data_and_what_the_operator_decided(machine, packages):
    machine.sh("printf '# by hand\\n' >>/var/lib/godwitd/godwit.toml")
    machine.sh("godwit-installer extension remove --type step-handler --id microsoft/simulator:1 --config /usr/share/godwit/registration/installer.toml")
    before = machine.out("sha256sum /var/lib/godwitd/keys/* /var/lib/godwitd/godwit.toml /var/lib/godwitd/admin.token")
    old = machine.out("systemctl show -P MainPID godwitd")
    said = machine.install(packages)
    assert "Upgrad" in said or "over (0.0.1)" in said, said
    assert machine.out("dpkg-query -W -f='${Version}\n' godwitd") != "0.0.1"
    assert machine.out("sha256sum /var/lib/godwitd/keys/* /var/lib/godwitd/godwit.toml /var/lib/godwitd/admin.token") == before
    machine.until("systemctl is-active godwitd", 30)
    assert machine.out("systemctl show -P MainPID godwitd") != old, "the new program runs"
    listed = machine.out(INSTALLER_LIST)
    assert "microsoft/simulator:1" not in listed, "what was removed stays removed"
    assert "microsoft/script:1" in listed
    for half, kind in (("installer", "step-handler microsoft/script:1"), ("agent", "content-downloader godwit/curl:1")):
        library = "godwit-step-script.so" if half == "installer" else "godwit-downloader-curl.so"
        digest = machine.out(f"sha256sum /usr/lib/godwit/{library}").split()[0]
        assert digest in machine.out(f"cat /var/lib/godwit/{half}/extensions.json"), f"{kind} is registered as it is now"


def test_removal_ends_the_services_and_keeps_the_data(machine):
    machine.sh("apt-get remove -y godwitd godwit-agent 2>&1")
    assert machine.sh("systemctl is-active godwitd godwit-installer.socket", check=False).stdout.split() == ["inactive"] * 2
    assert machine.out("ls /var/lib/godwitd/godwit.toml /var/lib/godwit/installer/extensions.json").count("\n") == 1
    assert machine.sh("ls /usr/bin/godwitd", check=False).returncode != 0
    assert machine.out("ss -Hltn") == ""


def test_a_purge_leaves_nothing(machine):
    machine.sh("apt-get purge -y godwitd godwit-agent godwit godwit-fleet godwit-extension-dev 2>&1")
    left = machine.out("find / -xdev -iname '*godwit*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/cache/godwit*' "
                       "-not -path \"$HOME/*\" -not -path '/run/*' -not -path '/tmp/*' -not -path '/var/log/*' -not -path '/var/tmp/*'")
    assert left == "", left
    assert machine.out("dpkg -l | grep godwit || true") == ""


def test_an_image_that_is_built_without_proc_registers_at_its_first_start(machine):
    """After the purge: unpacked and configured from outside, as a tool does that builds images."""
    done = subprocess.run(["chroot", machine.root, "/bin/sh", "-c", "DEBIAN_FRONTEND=noninteractive dpkg --install /var/cache/godwit/godwit-agent_*.deb"],
                          capture_output=True, text=True)
    assert done.returncode == 0 and "registered when the device starts" in done.stderr, done.stdout + done.stderr
    assert not list(machine.root.glob("var/lib/godwit/*/extensions.json"))
    machine.end()
    machine.start()
    machine.until("test ! -e /var/lib/godwit/registration-due")
    assert machine.out("systemctl is-active godwit-installer.socket") == "active"
    assert "ordering cycle" not in machine.out("journalctl -b --no-pager")
    assert all(f" {name} " in machine.out(INSTALLER_LIST) for name in HANDLERS)
    assert "godwit/curl:1" in machine.out(AGENT_LIST)
    assert machine.out("systemctl --failed --no-legend --plain | grep godwit || true") == ""
