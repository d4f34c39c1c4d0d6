"""godwit/container:1 with the real podman, in a device whose podman is its own (support/container_world.py), with images made on the spot.
What podman and the service on its port say is the judge, not what the handler reports."""
import gzip
import hashlib
import json
import os
import signal
import subprocess
import time

import pytest

from container_world import STORE, ContainerWorld, Image, build_program, oci, pack
from handlers import FAILS_IN_INSTALL, code, make_update, register_handler, run_update
from stack import wait_until

HANDLER = "godwit/container:1"
CHECK = {"healthCommand": ["/app", "check"], "steadySeconds": 0}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_program(tmp_path_factory.mktemp("program"))


# Waits with what the file `hold` names until somebody ends it.
HELD_PODMAN = """#!/bin/sh
[ "$2" = "$(cat {root}/hold 2>/dev/null)" ] && touch {root}/held && exec sleep 1000
exec /usr/bin/podman "$@"
"""


@pytest.fixture
def world(scene):
    device = scene.device(start=False)
    podman = device.root / "podman"
    podman.write_text(HELD_PODMAN.format(root=device.root))
    podman.chmod(0o755)
    register_handler(device, HANDLER, "step-container", network=True, options={"podman": str(podman)})
    made = ContainerWorld(device)
    device.start()
    scene.wait_listed(device)
    yield made
    made.stop()


def properties(version, **more):
    return {"name": "web", "installedCriteria": version, "ports": [{"host": 8099, "container": 8080, "address": "127.0.0.1"}], **CHECK, **more}


def update(scene, world, version, archive, end="Succeeded", **more):
    return run_update(scene, world.device, version, HANDLER, {"image.tar": archive}, properties(version, **more), end=end)


def send(scene, world, version, image, **more):
    scene.import_update(make_update(scene, world.device, version, HANDLER, {"image.tar": oci(image)}, properties(version, **more)))
    return scene.deploy(world.device, version)


def container_id(world, name="web"):
    return world.podman("container", "inspect", "--format", "{{.Id}}", name)


def test_a_service_is_installed_upgraded_and_skipped_once_in_place(scene, world, program):
    one, two = Image(program, "one"), Image(program, "two")
    (world.device.root / "data").mkdir()
    described = {"arguments": ["serve", "a b;c", "$HOME"], "environment": {"MODE": "loud & clear"},
                 "volumes": [{"source": str(world.device.root / "data"), "target": "/data", "readOnly": True}]}
    assert code(update(scene, world, "1.0.0", oci(one), **described))[0] == 700
    assert world.ask(8099) == "one|a b;c|$HOME|loud & clear"
    assert world.podman("container", "inspect", "--format", "{{.HostConfig.RestartPolicy.Name}} {{range .Mounts}}{{.Destination}} {{.RW}}{{end}}", "web") == "always /data false"

    update(scene, world, "1.1.0", gzip.compress(oci(two)))
    assert world.ask(8099) == "two|"
    assert world.containers() == ["web"], "nothing of the former container is left"
    assert world.images() == {one.id, two.id}, "its image is kept until the next update"

    before = container_id(world)
    update(scene, world, "1.2.0", oci(Image(program, "three")), installedCriteria="1.1.0")
    assert container_id(world) == before, "what is in place is not installed again"

    three = Image(program, "four")
    update(scene, world, "1.3.0", three.docker("example.org/web:4"))
    assert world.ask(8099) == "four|"
    assert world.images() == {two.id, three.id}, "the image before the former one is gone"


def test_an_unhealthy_service_is_taken_back_and_the_former_container_runs_again(scene, world, program):
    one, two = Image(program, "one"), Image(program, "two")
    update(scene, world, "1.0.0", oci(one))
    former = container_id(world)
    state = update(scene, world, "1.1.0", oci(two), end="Failed", healthCommand=["/app", "check", "/ready"], healthTimeoutSeconds=2)
    assert code(state) == (0, "35000008"), state
    assert "/ready is missing" in state["godwit"]["resultDetails"]
    assert (container_id(world), world.ask(8099)) == (former, "one|")
    assert (world.containers(running=True), world.images()) == (["web"], {one.id}), "the refused image takes no room"
    update(scene, world, "1.2.0", oci(two), installedCriteria="1.0.0")
    assert container_id(world) == former, "what was taken back counts as in place, as before"


def test_a_container_that_ends_again_and_again_is_never_healthy_and_its_last_words_are_told(scene, world, program):
    update(scene, world, "1.0.0", oci(Image(program, "one")))
    state = update(scene, world, "1.1.0", oci(Image(program, "two")), end="Failed", arguments=["crash"], healthCommand=[], healthTimeoutSeconds=3, steadySeconds=2)
    assert code(state) == (0, "35000008"), state
    assert "cannot open the database" in state["godwit"]["resultDetails"]
    assert world.ask(8099) == "one|"


def test_the_first_version_that_fails_leaves_nothing(scene, world, program):
    state = update(scene, world, "1.0.0", oci(Image(program, "one")), end="Failed", deviceHealthCommand=["/bin/sh", "-c", "echo no route; exit 7"], healthTimeoutSeconds=1)
    assert code(state) == (0, "35000008") and "no route" in state["godwit"]["resultDetails"], state
    assert (world.containers(), world.images()) == ([], set())


@pytest.mark.parametrize("what, expected", [("text", "35000003"), ("cut", "35000003"), ("two", "35000003"), ("damaged", "35000003"), ("platform", "35000004"),
                                            ("layer", "35000005"), ("port", "35000002")])
def test_what_is_no_image_for_this_device_is_refused_and_the_service_runs_on(scene, world, program, what, expected):
    one, two = Image(program, "one"), Image(program, "two")
    update(scene, world, "1.0.0", oci(one))
    former, good = container_id(world), oci(two)
    archive = {
        "text": lambda: b"no archive" * 100,
        "cut": lambda: good[:len(good) // 2],
        "two": lambda: oci(one, two),
        "damaged": lambda: good.replace(two.config, two.config.replace(b"linux", b"Linux")),
        "platform": lambda: oci(Image(program, "two", architecture="s390x")),
        "layer": lambda: good.replace(b"nobody answers on port 8080", b"NOBODY ANSWERS ON PORT 8080"),  # of another hash than its name
        "port": lambda: good,
    }[what]()
    state = update(scene, world, "1.1.0", archive, end="Failed", **({"ports": [{"host": 0}]} if what == "port" else {}))
    assert code(state) == (0, expected), state
    assert (container_id(world), world.ask(8099), world.images()) == (former, "one|", {one.id})


def test_a_container_that_nobody_brought_by_an_update_is_left_alone(scene, world, program):
    image = Image(program, "own")
    (world.device.root / "own.tar").write_bytes(oci(image))
    world.podman("load", "--quiet", "--input", world.device.root / "own.tar")
    world.podman("run", "--detach", "--name", "web", "--network", "none", image.id)
    state = update(scene, world, "1.0.0", oci(Image(program, "one")), end="Failed")
    assert code(state) == (0, "35000006"), state
    assert world.containers(running=True) == ["web"]


def test_a_job_is_judged_by_its_exit_code(scene, world, program):
    archive = oci(Image(program, "one"))
    # A job that still runs after the steady time counts as a service; this one has all the time that a busy machine may need.
    job = {"restart": "no", "ports": [], "network": "none", "healthCommand": [], "steadySeconds": 30}
    update(scene, world, "1.0.0", archive, arguments=["job", "0"], **job)
    state = update(scene, world, "1.1.0", archive, end="Failed", arguments=["job", "9"], **job)
    assert code(state) == (0, "35000008") and "exit code 9" in state["godwit"]["resultDetails"], state


def test_a_port_that_is_taken_brings_the_former_container_back(scene, world, program):
    update(scene, world, "1.0.0", oci(Image(program, "one")))
    holder = subprocess.Popen(["nsenter", "-t", str(world.holder.pid), "-n", "--", "python3", "-c",
                               "import socket,time; s=socket.socket(); s.bind(('127.0.0.1', 8100)); s.listen(); time.sleep(1000)"])
    try:
        wait_until("the port is taken", lambda: ":8100" in world.run("ss", "-ltn"), 20)
        state = update(scene, world, "1.1.0", oci(Image(program, "two")), end="Failed", ports=[{"host": 8100, "container": 8080, "address": "127.0.0.1"}])
    finally:
        holder.kill()
        holder.wait()
    assert code(state) == (0, "35000007"), state
    assert world.ask(8099) == "one|"


def test_a_device_without_podman_says_so(scene, program):
    device = scene.device(start=False)
    register_handler(device, HANDLER, "step-container", options={"podman": "/opt/none/podman"})
    device.start()
    scene.wait_listed(device)
    state = run_update(scene, device, "1.0.0", HANDLER, {"image.tar": oci(Image(program, "one"))}, properties("1.0.0"), end="Failed")
    assert code(state) == (0, "35000001"), state
    assert "/opt/none/podman" in state["godwit"]["resultDetails"]


def kill_installer(world):
    """As the power does, but for the containers: the installer, its worker and podman end at once."""
    world.device.installer.kill()
    world.device.start_installer()


def test_the_installer_is_killed_while_podman_takes_the_image(scene, world, program):
    update(scene, world, "1.0.0", oci(Image(program, "one")))
    two = Image(program, "two", extra={"large": os.urandom(96 << 20)})
    deployment = send(scene, world, "1.1.0", two)
    wait_until("podman takes the image", lambda: world.runs("/usr/bin/podman", "--log-level=error", "load"), 60, 0.01)
    kill_installer(world)
    scene.wait_state(world.device, deployment, "Succeeded", timeout=180)
    assert (world.ask(8099), world.containers()) == ("two|", ["web"])
    assert two.id in world.images() and not world.copies_left()


def layers_of(*images):
    return {hashlib.sha256(layer).hexdigest() for image in images for layer in image.layers}


@pytest.mark.parametrize("known", [True, False], ids=["image-known", "image-unknown"])
@pytest.mark.parametrize("comes", ["the-same-update", "another-update", "a-cancel"])
def test_layers_that_a_power_cut_emptied_are_not_taken_for_whole(scene, world, program, comes, known):
    """podman has written down the layers, and perhaps their image; the files of the layers were not on the disk yet."""
    large = os.urandom(1 << 20)
    base = pack({"large": large})
    one, two, three = Image(program, "one"), Image(program, "two", below=(base,)), Image(program, "three", below=(base,))
    update(scene, world, "1.0.0", oci(one))
    (world.device.root / "hold").write_text("create")
    deployment = send(scene, world, "1.1.0", two)
    wait_until("podman has the image", (world.device.root / "held").exists, 60)
    world.device.installer.kill()
    if not known:
        world.forget_images(two.id)
    world.run("sh", "-c", f"for file in {STORE}/overlay/*/diff/large; do : >$file; done")
    world.boots()
    (world.device.root / "hold").unlink()
    if comes == "a-cancel":
        scene.service.cli("device", "deployment", "cancel", "--group-id", world.device.group, "--deployment-id", deployment)
    elif comes == "another-update":
        deployment = send(scene, world, "1.2.0", three)
    world.device.start_installer()
    scene.wait_state(world.device, deployment, "Canceled" if comes == "a-cancel" else "Succeeded", timeout=120)
    now = {"a-cancel": one, "the-same-update": two, "another-update": three}[comes]
    wait_until("it answers", lambda: world.ask(8099) == now.version + "|", 20)
    wait_until("no other layers are left", lambda: world.layers() == layers_of(one, now), 30)
    if now is not one:
        assert world.run("sh", "-c", 'sha256sum <"$(podman mount web)/large"; podman unmount web >/dev/null').split()[0] == hashlib.sha256(large).hexdigest()


def test_a_load_that_is_cancelled_leaves_no_layers(scene, world, program):
    one = Image(program, "one")
    update(scene, world, "1.0.0", oci(one))
    deployment = send(scene, world, "1.1.0", Image(program, "two", below=(pack({"base": b"small"}), pack({"more": b"small"})), extra={"large": os.urandom(192 << 20)}))
    wait_until("podman has two layers", lambda: len(world.layers()) == 3, 60, 0.01)
    scene.service.cli("device", "deployment", "cancel", "--group-id", world.device.group, "--deployment-id", deployment)
    scene.wait_state(world.device, deployment, "Canceled", timeout=120)
    wait_until("no layers of it are left", lambda: (world.layers(), world.images()) == (layers_of(one), {one.id}), 30)
    assert not world.copies_left()


@pytest.mark.parametrize("end", ["Succeeded", "Canceled"])
def test_a_container_that_a_power_cut_emptied_while_it_was_made_hinders_nobody(scene, world, program, end):
    """podman has written down that there is one, and can say nothing of it: a file of its layer was not on the disk yet."""
    one, two = Image(program, "one"), Image(program, "two")
    update(scene, world, "1.0.0", oci(one))
    (world.device.root / "hold").write_text("stop")
    deployment = send(scene, world, "1.1.0", two)
    wait_until("the former one steps back", (world.device.root / "held").exists, 60)
    world.device.installer.kill()
    made = world.podman("container", "inspect", "--format", "{{.GraphDriver.Data.UpperDir}}", "web.godwit-new")
    world.run("sh", "-c", f": >{made}/../lower")
    assert "getting graph driver info" in world.run("sh", "-c", "podman container inspect web.godwit-new 2>&1; true")
    (world.device.root / "hold").unlink()
    if end == "Canceled":
        scene.service.cli("device", "deployment", "cancel", "--group-id", world.device.group, "--deployment-id", deployment)
    world.device.start_installer()
    scene.wait_state(world.device, deployment, end)
    now = two if end == "Succeeded" else one
    wait_until("it answers", lambda: world.ask(8099) == now.version + "|", 20)
    wait_until("nothing else is left", lambda: world.containers() == ["web"] and world.images() == {one.id, now.id}, 20)


@pytest.mark.parametrize("where", ["idle", "in-the-switch", "in-the-restore"])
def test_a_rename_that_was_cut_hinders_nobody(scene, world, program, where):
    """podman writes a name down twice. What its store alone has cannot be given again, and no command shows it."""
    one, two = Image(program, "one"), Image(program, "two")
    update(scene, world, "1.0.0", oci(one))
    more = {"deviceHealthCommand": ["/bin/false"], "healthTimeoutSeconds": 1} if where == "in-the-restore" else {}
    if where == "idle":
        world.name_in_store("web", "web.godwit-new")
        update(scene, world, "1.1.0", oci(two))
    else:
        (world.device.root / "hold").write_text("rename")
        deployment = send(scene, world, "1.1.0", two, **more)
        wait_until("the former one steps back", (world.device.root / "held").exists, 60)
        world.device.installer.kill()
        world.podman("rename", "web", "web.godwit-old")
        world.name_in_store("web.godwit-old", "web")
        (world.device.root / "hold").unlink()
        kill_installer(world)
        scene.wait_state(world.device, deployment, "Failed" if more else "Succeeded")
    wait_until("it answers", lambda: world.ask(8099) == ("one|" if more else "two|"), 20)
    assert world.containers() == ["web"]
    update(scene, world, "1.2.0", oci(Image(program, "three")))
    assert (world.ask(8099), world.containers()) == ("three|", ["web"])


def test_a_start_that_is_killed_leaves_nothing_that_hinders_the_next(scene, world, program):
    """What podman and the runtime know of a container differs then: "already exists". Or its port is forwarded to nowhere."""
    for number in range(8):
        version = f"1.{number}.0"
        deployment = send(scene, world, version, Image(program, version))
        starting = wait_until("podman starts the container", lambda: world.runs("/usr/bin/podman", "--log-level=error", "start"), 60, 0.01)
        time.sleep(0.012 * number)
        if world.runs("/usr/bin/podman", "--log-level=error", "start") == starting:
            os.kill(starting, signal.SIGKILL)
        scene.wait_state(world.device, deployment, "Succeeded")
        wait_until("it answers", lambda version=version: world.ask(8099) == f"{version}|", 20)
        assert world.containers() == ["web"]


def test_forwarding_that_leads_nowhere_is_taken_away_and_that_of_others_stays(scene, world, program):
    update(scene, world, "1.0.0", oci(Image(program, "one")))
    one = Image(program, "one")
    world.podman("run", "--detach", "--name", "other", "--publish", "8098:8080", one.id, "serve")
    chain = next(line for line in world.run("iptables", "-t", "nat", "-S").splitlines() if line.startswith("-N NETAVARK-DN-")).split()[1]
    for rule in (["NETAVARK-HOSTPORT-DNAT", "-m", "comment", "--comment", f"dnat name: podman id: {'ab' * 32}", "-j", chain],
                 [chain, "-j", "DNAT", "--to-destination", "10.88.0.200:8080"]):  # as a killed start leaves them
        world.run("iptables", "-t", "nat", "-I", rule[0], "1", "-p", "tcp", "-m", "tcp", "--dport", "8099", *rule[1:])
    assert world.ask(8099) == ""
    update(scene, world, "1.1.0", oci(Image(program, "two")))
    wait_until("it answers", lambda: world.ask(8099) == "two|", 20)
    assert world.ask(8098) == "one|"
    assert "10.88.0.200" not in world.run("iptables", "-t", "nat", "-S")


def test_a_former_container_whose_watcher_was_killed_is_made_anew(scene, world, program):
    """podman can neither end nor start it then: it is "stopping" for good."""
    update(scene, world, "1.0.0", oci(Image(program, "one")), environment={"MODE": "kept"})
    os.kill(world.runs("/usr/bin/conmon"), signal.SIGKILL)
    deployment = send(scene, world, "1.1.0", Image(program, "two"), deviceHealthCommand=["/bin/false"], healthTimeoutSeconds=1)
    state = scene.wait_state(world.device, deployment, "Failed")
    assert code(state)[1] == "35000008", state
    wait_until("it answers", lambda: world.ask(8099) == "one|kept", 20)
    assert world.containers() == ["web"]


@pytest.mark.parametrize("also", ["", "boot"])
@pytest.mark.parametrize("end", ["Succeeded", "Failed"])
def test_the_installer_is_killed_while_the_health_is_watched(scene, world, program, end, also):
    """`boot`: and podman starts every container, as with the device. The second to start spoils the port of the first."""
    update(scene, world, "1.0.0", oci(Image(program, "one")))
    ready = world.device.root / "ready"
    health = ["/bin/sh", "-c", f"touch {world.device.root}/asked; test -e {ready}"]
    more = {"deviceHealthCommand": health, "healthTimeoutSeconds": 60 if end == "Succeeded" else 3}
    deployment = send(scene, world, "1.1.0", Image(program, "two"), **more)
    wait_until("the health is asked", (world.device.root / "asked").exists, 60)
    if also == "boot":
        world.device.installer.kill()
        assert world.ask(8099) == "two|"
        world.podman("start", "web.godwit-old", check=False)
        assert world.ask(8099) != "two|", "podman has become better: what is done for this is needless"
    kill_installer(world)
    if end == "Succeeded":
        ready.touch()
    scene.wait_state(world.device, deployment, end)
    assert (world.ask(8099), world.containers()) == ("two|" if end == "Succeeded" else "one|", ["web"])


def test_a_cancel_while_the_health_is_watched_brings_the_former_container_back(scene, world, program):
    update(scene, world, "1.0.0", oci(Image(program, "one")))
    former = container_id(world)
    health = ["/bin/sh", "-c", f"touch {world.device.root}/asked; false"]
    deployment = send(scene, world, "1.1.0", Image(program, "two"), deviceHealthCommand=health, healthTimeoutSeconds=600)
    wait_until("the health is asked", (world.device.root / "asked").exists, 60)
    scene.service.cli("device", "deployment", "cancel", "--group-id", world.device.group, "--deployment-id", deployment)
    scene.wait_state(world.device, deployment, "Canceled")
    wait_until("the former container is back", lambda: world.running() == {"web": former}, 60)
    wait_until("it answers", lambda: world.ask(8099) == "one|", 20)


def test_a_later_step_that_fails_brings_back_a_former_container_that_was_removed_already(scene, world, program):
    one, two = Image(program, "one"), Image(program, "two")
    update(scene, world, "1.0.0", oci(one), environment={"MODE": "kept"})
    folder, device = scene.folder / "updates" / "two-steps", world.device
    folder.mkdir(parents=True)
    (folder / "image.tar").write_bytes(oci(two))
    (folder / "fail.sh").write_bytes(FAILS_IN_INSTALL)
    scene.service.cli("update", "init", "v5", "--update-provider", "Tests", "--update-name", device.model, "--update-version", "1.1.0", "--folder", folder,
                      "--compat", "manufacturer=Contoso", f"model={device.model}",
                      "--step", f"handler={HANDLER}", "properties=" + json.dumps(properties("1.1.0", restoreScope="update")), "--file", f"path={folder / 'image.tar'}",
                      "--step", "handler=microsoft/script:1", "properties=" + json.dumps({"scriptFileName": "fail.sh", "apiVersion": "1.1", "installedCriteria": "x", "restoreScope": "update"}),
                      "--file", f"path={folder / 'fail.sh'}")
    scene.import_update(next(folder.glob("*.importmanifest.json")))
    state = scene.wait_state(device, scene.deploy(device, "1.1.0"), "Failed")
    assert "step 2 (microsoft/script:1) install" in state["godwit"]["resultDetails"], state
    assert world.ask(8099) == "one|kept"
    assert (world.containers(running=True), world.images()) == (["web"], {one.id})
