"""microsoft/apt:1 and godwit/deb:1 with real apt and dpkg, in a device whose package system is its own (support/apt_world.py), against a
repository made on the spot. What dpkg says in the device is the judge, not what the handler reports."""
import email.utils
import hashlib
import json
import shutil
import subprocess
import tempfile

import pytest

from apt_world import AptWorld, build_deb
from handlers import code, make_update, register_handler, run_update
from stack import wait_until

APT, DEB = "microsoft/apt:1", "godwit/deb:1"
TOOL, LIBRARY = "godwit-test-tool", "godwit-test-library"


@pytest.fixture
def world(scene):
    device = scene.device(start=False)
    register_handler(device, APT, "step-apt", network=True)
    register_handler(device, DEB, "step-apt")
    made = AptWorld(device)
    device.start()
    scene.wait_listed(device)
    yield made
    made.stop()


def tool(world, version, *, library="1.0", publish=True, **options):
    deb = build_deb(world.folder.parent, TOOL, version, depends=f"{LIBRARY} (= {library})" if library else "",
                    conffiles={"/etc/godwit-test-tool.conf": f"made for {version}\n"}, files={"/usr/share/godwit-test-tool/version": version}, **options)
    if publish:
        debs = [deb] + ([build_deb(world.folder.parent, LIBRARY, library)] if library else [])
        world.publish(*debs)
    return deb


def manifest(*packages, **members) -> dict:
    listed = [{"name": name, **({"version": version} if version else {})} for name, version in packages]
    return {"apt.json": json.dumps({"name": "tools", "version": "1.0", "packages": listed, **members}).encode()}


def update(scene, world, version, *packages, end="Succeeded", criteria=None, properties=None, **members):
    return run_update(scene, world.device, version, APT, manifest(*packages, **members), {"installedCriteria": criteria or version, **(properties or {})}, end=end)


def sign(world, name: str) -> str:
    """Signs the repository with a new key; gives its public half."""
    home = tempfile.mkdtemp(prefix="gpg", dir="/tmp")  # short: the agent's socket lies in it
    gpg = ["gpg", "--homedir", home, "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""]
    packages = (world.repository / "Packages").read_bytes()
    release = f"Origin: tests\nSuite: stable\nDate: {email.utils.formatdate(usegmt=True)}\nSHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    try:
        subprocess.run([*gpg, "--quick-generate-key", f"{name} <{name}@example.org>", "rsa2048", "sign", "never"], check=True, capture_output=True)
        subprocess.run([*gpg, "--clearsign", "-o", world.repository / "InRelease"], input=release.encode(), check=True, capture_output=True)
        return subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True, text=True).stdout
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def installer_log(world):
    return world.device.installer.log.read_text()


def test_packages_are_installed_upgraded_downgraded_and_removed(scene, world):
    tool(world, "1.0")
    tool(world, "2.0", library="2.0")
    assert code(update(scene, world, "1.0.0", (TOOL, "1.0"), (LIBRARY, "1.0")))[0] == 700
    assert (world.version(TOOL), world.version(LIBRARY)) == ("1.0", "1.0")
    world.write("/etc/godwit-test-tool.conf", "edited on the device\n")

    update(scene, world, "1.1.0", (TOOL, "2.0"), (LIBRARY, "2.0"))
    assert (world.version(TOOL), world.version(LIBRARY)) == ("2.0", "2.0")
    assert world.read("/etc/godwit-test-tool.conf") == "edited on the device\n"

    # The criteria of the first update were recorded once; dpkg knows better, so it is not skipped.
    update(scene, world, "1.2.0", (TOOL, "1.0"), (LIBRARY, "1.0"), criteria="1.0.0")
    assert (world.version(TOOL), world.version(LIBRARY)) == ("1.0", "1.0")

    update(scene, world, "1.3.0", (TOOL + "-", None))
    assert (world.version(TOOL), world.version(LIBRARY)) == ("", "1.0")
    assert world.is_whole()


def test_what_is_in_place_is_skipped(scene, world):
    tool(world, "1.0")
    update(scene, world, "1.0.0", (TOOL, "1.0"), criteria="tools-1")
    begun = installer_log(world).count("verb=install")
    update(scene, world, "1.1.0", (TOOL, "1.0"), criteria="tools-1")
    assert installer_log(world).count("verb=install") == begun


def test_the_agent_is_restarted_when_the_manifest_asks_for_it(scene, world):
    tool(world, "1.0")
    update(scene, world, "1.0.0", (TOOL, "1.0"), agentRestartRequired=True)
    assert world.device.agent.log.read_text().count("agent.started") == 2


def test_a_version_that_is_nowhere_fails_with_its_code_and_apts_words(scene, world):
    tool(world, "1.0")
    state = update(scene, world, "1.0.0", (TOOL, "9.9"), end="Failed")
    assert code(state) == (0, "30200005"), state
    assert "9.9" in state["godwit"]["resultDetails"]
    assert world.version(TOOL) == ""


def test_a_bad_manifest_is_refused_before_anything_runs(scene, world):
    state = update(scene, world, "1.0.0", ("--purge", None), end="Failed")
    assert code(state) == (0, "30200001"), state
    assert "packages[0].name" in state["godwit"]["resultDetails"]


LOCK = "import fcntl,sys,time; f=open('/var/lib/dpkg/lock-frontend','w'); fcntl.lockf(f,fcntl.LOCK_EX); print('held',flush=True); time.sleep(float(sys.argv[1]))"


@pytest.mark.parametrize("lock", ["dpkg/lock-frontend", "dpkg/lock", "apt/lists/lock"])  # unattended-upgrades holds these, one after the other
def test_a_lock_of_somebody_else_is_waited_for(scene, world, lock):
    tool(world, "1.0")
    other = world.start("/usr/bin/python3", "-c", LOCK.replace("dpkg/lock-frontend", lock), "600")
    assert other.stdout.readline() == "held\n"
    scene.import_update(make_update(scene, world.device, "1.0.0", APT, manifest((TOOL, "1.0")), {"installedCriteria": "1"}))
    deployment = scene.deploy(world.device, "1.0.0")
    wait_until("the handler waits for the lock", lambda: "waiting: process" in installer_log(world), 60)
    assert world.version(TOOL) == ""
    other.kill()
    other.wait()
    scene.wait_state(world.device, deployment, "Succeeded")
    assert world.version(TOOL) == "1.0"


def test_the_systems_own_unattended_upgrades_is_waited_for_and_both_get_their_way(scene, world):
    """The real program, in the middle of an upgrade of its own, when the step comes; and again, when it starts while the step is at work."""
    tool(world, "1.0")
    update(scene, world, "1.0.0", (LIBRARY, "1.0"))
    slow = "touch /begun; while [ ! -e /go ]; do sleep 0.1; done"
    world.publish(build_deb(world.folder.parent, LIBRARY, "1.1", postinst=slow), build_deb(world.folder.parent, TOOL, "1.1", depends=LIBRARY))
    sign(world, "repository")
    world.write("/etc/apt/apt.conf.d/60world", 'Unattended-Upgrade::Origins-Pattern { "origin=tests"; };\nUnattended-Upgrade::Skip-Updates-On-Metered-Connections "false";\n')
    world.run("apt-get", "update")
    other = world.start("/usr/bin/unattended-upgrade", "--debug")
    wait_until("it configures the library", lambda: world.run("ls", "/", check=False).find("begun") >= 0 or other.poll() is not None, 60)
    assert other.poll() is None, other.stdout.read()
    scene.import_update(make_update(scene, world.device, "1.1.0", APT, manifest((TOOL, "1.1")), {"installedCriteria": "1.1.0"}))
    deployment = scene.deploy(world.device, "1.1.0")
    wait_until("the handler waits for it", lambda: "(unattended-upgr) holds" in installer_log(world), 60)
    assert world.version(TOOL) == ""
    world.write("/go", "")
    scene.wait_state(world.device, deployment, "Succeeded")
    said = other.communicate(timeout=60)[0]
    assert other.returncode == 0, said
    assert (world.version(TOOL), world.version(LIBRARY)) == ("1.1", "1.1") and world.is_whole(), said

    world.run("rm", "/go", "/begun")
    world.publish(build_deb(world.folder.parent, LIBRARY, "1.2"), build_deb(world.folder.parent, TOOL, "1.2", postinst=slow))
    sign(world, "repository")
    scene.import_update(make_update(scene, world.device, "1.2.0", APT, manifest((TOOL, "1.2")), {"installedCriteria": "1.2.0"}))
    deployment = scene.deploy(world.device, "1.2.0")
    wait_until("the step configures the tool", lambda: world.run("ls", "/", check=False).find("begun") >= 0, 60)
    done = world.start("/usr/bin/unattended-upgrade", "--debug")
    done.communicate(timeout=120)  # it finds the lock held, and leaves it to its next run
    world.write("/go", "")
    scene.wait_state(world.device, deployment, "Succeeded")
    assert world.version(TOOL) == "1.2" and world.is_whole()


def test_a_lock_that_stays_is_a_failure_that_names_its_holder(scene, world):
    tool(world, "1.0")
    other = world.start("/usr/bin/python3", "-c", LOCK, "600")
    assert other.stdout.readline() == "held\n"
    state = update(scene, world, "1.0.0", (TOOL, "1.0"), end="Failed", properties={"lockTimeoutSeconds": 2})
    other.kill()
    other.wait()
    assert code(state) == (0, "30200003"), state
    assert "python3" in state["godwit"]["resultDetails"] and "lock-frontend" in state["godwit"]["resultDetails"]


def test_an_interrupted_dpkg_is_finished_first(scene, world):
    deb = tool(world, "1.0", library="")
    world.publish(build_deb(world.folder.parent, LIBRARY, "1.0"))
    (world.device.root / "tool.deb").write_bytes(deb.read_bytes())
    world.run("dpkg", "--unpack", world.device.root / "tool.deb")
    assert not world.is_whole()
    update(scene, world, "1.0.0", (LIBRARY, "1.0"))
    assert world.version(TOOL) == "1.0" and world.version(LIBRARY) == "1.0" and world.is_whole()


def test_a_package_that_cannot_be_configured_is_taken_back(scene, world):
    tool(world, "1.0")
    update(scene, world, "1.0.0", (TOOL, "1.0"))
    tool(world, "2.0", library="2.0", postinst="echo the port is taken >&2; exit 7")
    for old in world.repository.glob("*_1.0_*.deb"):
        old.unlink()  # the repository has moved on: only what the device still has can bring 1.0 back
    world.publish()
    state = update(scene, world, "1.1.0", (TOOL, "2.0"), (LIBRARY, "2.0"), end="Failed")
    assert code(state) == (0, "30201064"), state
    assert TOOL in state["godwit"]["resultDetails"]
    assert "the port is taken" in installer_log(world)
    assert "the step was restored" in state["godwit"]["resultDetails"], state
    assert (world.version(TOOL), world.version(LIBRARY)) == ("1.0", "1.0") and world.is_whole()


def test_the_installer_is_killed_in_the_middle_of_dpkg(scene, world):
    marker = world.device.root
    tool(world, "1.0", postinst=f"touch {marker}/running; while [ ! -e {marker}/go ]; do sleep 0.1; done; echo configured >> {marker}/history")
    scene.import_update(make_update(scene, world.device, "1.0.0", APT, manifest((TOOL, "1.0")), {"installedCriteria": "1"}))
    deployment = scene.deploy(world.device, "1.0.0")
    wait_until("dpkg runs the package's script", (marker / "running").exists, 60)
    world.device.installer.kill()
    world.device.start_installer()
    wait_until("install is begun again", lambda: sum("act.begins" in line and "verb=install" in line for line in installer_log(world).splitlines()) == 2, 60)
    (marker / "go").touch()
    scene.wait_state(world.device, deployment, "Succeeded")
    assert world.version(TOOL) == "1.0" and world.is_whole()
    assert "dpkg was interrupted earlier" in installer_log(world)
    assert "configured" in (marker / "history").read_text()


def kill_the_installer_while_dpkg_unpacks(scene, world, earlier):
    """The deployment of 2.0 over `earlier` ("1.0 nowhere": the repository has that no more); dpkg's script waits for the file `go`."""
    marker = world.device.root
    if earlier:
        tool(world, "1.0")
        update(scene, world, "1.0.0", (TOOL, "1.0"), (LIBRARY, "1.0"))
    tool(world, "2.0", preinst=f"touch {marker}/running; while [ ! -e {marker}/go ]; do sleep 0.1; done")
    if "nowhere" in earlier:
        (world.repository / f"{TOOL}_1.0_all.deb").unlink()
        world.publish()
    scene.import_update(make_update(scene, world.device, "2.0.0", APT, manifest((TOOL, "2.0")), {"installedCriteria": "2"}))
    deployment = scene.deploy(world.device, "2.0.0")
    wait_until("dpkg runs the package's script", (marker / "running").exists, 60)
    world.device.installer.kill()
    return deployment


@pytest.mark.parametrize("earlier", ["1.0", "", "1.0 nowhere"])
def test_the_installer_is_killed_while_dpkg_unpacks(scene, world, earlier):
    """dpkg then wants the package once more and configures it no more: from the repository, or from the step itself where it has that version no more."""
    deployment = kill_the_installer_while_dpkg_unpacks(scene, world, earlier)
    world.device.start_installer()  # which ends what the one before left
    wait_until("what was cut is mended", lambda: "dpkg was interrupted earlier" in installer_log(world), 60)
    (world.device.root / "go").touch()
    scene.wait_state(world.device, deployment, "Succeeded")
    assert world.version(TOOL) == "2.0" and world.is_whole()


@pytest.mark.parametrize("earlier", ["1.0", ""])
def test_a_cancel_after_the_installer_was_killed_in_the_middle_of_dpkg_brings_the_earlier_version_back(scene, world, earlier):
    deployment = kill_the_installer_while_dpkg_unpacks(scene, world, earlier)
    scene.service.cli("device", "deployment", "cancel", "--group-id", world.device.group, "--deployment-id", deployment)
    (world.device.root / "go").touch()
    world.device.start_installer()
    scene.wait_state(world.device, deployment, "Canceled")
    wait_until("what was begun is taken back", lambda: world.version(TOOL) == earlier and world.is_whole(), 60)


def test_a_cancel_in_the_middle_of_dpkg_leaves_no_half_of_a_package(scene, world):
    marker = world.device.root
    tool(world, "1.0", postinst=f"touch {marker}/running; while [ ! -e {marker}/go ]; do sleep 0.1; done")
    scene.import_update(make_update(scene, world.device, "1.0.0", APT, manifest((TOOL, "1.0")), {"installedCriteria": "1"}))
    deployment = scene.deploy(world.device, "1.0.0")
    wait_until("dpkg runs the package's script", (marker / "running").exists, 60)
    scene.service.cli("device", "deployment", "cancel", "--group-id", world.device.group, "--deployment-id", deployment)
    (marker / "go").touch()
    scene.wait_state(world.device, deployment, "Canceled")
    wait_until("what was begun is taken back", lambda: (world.version(TOOL), world.version(LIBRARY)) == ("", "") and world.is_whole(), 60)
    update(scene, world, "1.1.0", (TOOL, "1.0"))
    assert world.version(TOOL) == "1.0"


@pytest.mark.parametrize("signer", ["operator", "stranger", "nobody"])
def test_a_repository_is_believed_only_with_the_operators_signature(scene, world, signer):
    tool(world, "1.0")
    key = sign(world, "operator")
    if signer == "stranger":
        sign(world, "stranger")
    elif signer == "nobody":
        (world.repository / "InRelease").unlink()
    world.write("/etc/apt/trusted.gpg.d/operator.asc", key)
    world.write("/etc/apt/sources.list", world.read("/etc/apt/sources.list").replace("[trusted=yes] ", "[signed-by=/etc/apt/trusted.gpg.d/operator.asc] "))
    update(scene, world, "1.0.0", (TOOL, "1.0"), end="Succeeded" if signer == "operator" else "Failed")
    assert world.version(TOOL) == ("1.0" if signer == "operator" else "")


def test_deb_files_are_installed_without_a_repository(scene, world):
    debs = {"tool.deb": tool(world, "1.0", publish=False), "library.deb": build_deb(world.folder.parent, LIBRARY, "1.0")}
    run_update(scene, world.device, "1.0.0", DEB, debs, {})
    assert (world.version(TOOL), world.version(LIBRARY)) == ("1.0", "1.0")
    debs = {"tool.deb": tool(world, "0.9", publish=False)}
    run_update(scene, world.device, "1.1.0", DEB, debs, {"installedCriteria": "0.9"})
    assert world.version(TOOL) == "0.9"


def test_a_file_that_is_no_package_is_refused(scene, world):
    state = run_update(scene, world.device, "1.0.0", DEB, {"tool.deb": b"no package"}, {}, end="Failed")
    assert code(state) == (0, "30200008"), state
