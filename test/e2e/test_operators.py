"""What operators are given besides deployments: tokens, logs of devices, figures. Real programs, real command line."""
import json
import ssl
import subprocess
import urllib.error
import urllib.request

from stack import wait_until


def ask(service, path, token=None, method="GET", body=None, headers=None):
    """Status, body and headers of one request."""
    context = ssl.create_default_context(cafile=str(service.ca))
    request = urllib.request.Request(service.url + path, method=method, data=body, headers=headers or {})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read(), answer.headers


# ---- tokens ------------------------------------------------------------------------------------------------------------


def test_a_token_is_made_used_and_revoked_at_once(scene, tmp_path):
    service = scene.service
    file = tmp_path / "reader.token"
    service.cli("token", "create", "--name", "ci", "--role", "reader", "--expires-in", "1h", "--only-this-instance", "--out-file", file)
    assert file.stat().st_mode & 0o777 == 0o600
    secret = file.read_text().strip()
    assert ask(service, "/godwit/v1/default/status", secret)[0] == 200
    status, body, _ = ask(service, "/godwit/v1/default/tokens", secret)
    assert status == 403 and "access/write" in json.loads(body)["error"]["message"]

    shown = service.json("token", "show", "--name", "ci")
    assert shown["role"] == "reader" and shown["instanceId"] == "default" and shown["createdBy"] == "admin"
    assert wait_until("the use is noted", lambda: service.json("token", "show", "--name", "ci").get("lastUsedDateTime"), 10)
    assert secret not in service.cli("token", "list", "-o", "json").stdout
    for path in service.data.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), f"{path} holds a token"

    refused = service.cli("token", "revoke", "--name", "ci", check=False)
    assert refused.returncode != 0 and "-y" in refused.stderr
    service.cli("token", "revoke", "--name", "ci", "-y")
    assert ask(service, "/godwit/v1/default/status", secret)[0] == 401


def test_a_token_survives_a_restart_and_ends_when_it_expires(scene):
    service = scene.service
    lasting = service.cli("token", "create", "--name", "lasting", "--role", "content-reader").stdout.strip()
    brief = service.cli("token", "create", "--name", "brief", "--role", "content-reader", "--expires-in", "2s").stdout.strip()
    service.kill()
    service.start()
    assert ask(service, "/godwit/v1/default/status", lasting)[0] == 200
    wait_until("the brief token ends", lambda: ask(service, "/godwit/v1/default/status", brief)[0] == 401, 10)
    assert "brief" in service.cli("token", "list").stdout and "expired" in service.cli("token", "list").stdout
    done = service.cli("token", "create", "--name", "lasting", "--role", "reader", check=False)
    assert done.returncode == 1 and "exists already" in done.stderr


def test_the_last_administrator_cannot_lock_himself_out(scene):
    done = scene.service.cli("token", "revoke", "--name", "admin", "-y", check=False)
    assert done.returncode == 1 and "last administrator" in done.stderr


# ---- logs ----------------------------------------------------------------------------------------------------------------


def collection(service, name):
    return service.json("device", "log", "show", "--log-collection-id", name, "--detailed")


def wait_ended(service, name, timeout=60):
    return wait_until(f"{name} ends", lambda: (lambda d: d if d["status"] in ("Succeeded", "Failed") else None)(collection(service, name)), timeout)


def test_the_agent_sends_its_logs_when_it_is_asked(scene, tmp_path):
    service = scene.service
    logs = tmp_path / "app-logs"
    logs.mkdir()
    (logs / "app.log").write_text("old\n" * 100_000 + "newest\n")
    device = scene.device(agent_config=f'\n[logs]\npaths = ["app={logs}", "gone=/nonexistent"]\nunits = []\nbytes = "64KiB"\n')
    away = scene.device(start=False)
    service.cli("device", "log", "collect", "--log-collection-id", "first", "--agent-id", f"deviceId={device.id}", "--agent-id", away.id)
    wait_until("the agent has answered", lambda: collection(service, "first")["deviceStatus"][0]["status"] == "Succeeded", 60)
    assert collection(service, "first")["status"] == "Running", "one of them is away"
    assert "Running" in service.cli("device", "log", "list").stdout

    # What was acknowledged survives the service, and what waits goes on.
    service.kill()
    service.start()
    assert collection(service, "first")["deviceStatus"][0]["status"] == "Succeeded"
    away.start()
    detail = wait_ended(service, "first")
    assert detail["status"] == "Succeeded", json.dumps(detail)

    target = tmp_path / "fetched"
    service.cli("device", "log", "download", "--log-collection-id", "first", "--folder", target)
    sent = (target / device.id / "first" / "app" / "app.log").read_bytes()
    assert len(sent) == 64 * 1024 and sent.endswith(b"newest\n"), "the end of a log that is too long"
    assert "logs.asked" in (target / device.id / "first" / "agent" / "agent.log").read_text()
    assert list((device.folder / "agent").glob("logs/*")) == [], "copies are removed"

    service.cli("device", "log", "delete", "--log-collection-id", "first", "-y")
    assert service.cli("device", "log", "show", "--log-collection-id", "first", check=False).returncode == 1
    assert [p for p in (service.data / "device-logs").rglob("*") if p.is_file()] == []


def test_an_answered_request_is_not_worked_on_again_after_a_restart_of_the_agent(scene):
    service = scene.service
    device = scene.device()
    service.cli("device", "log", "collect", "--log-collection-id", "once", "--agent-id", device.id)
    wait_ended(service, "once")
    device.agent.kill()
    device.agent.start()
    scene.wait_listed(device)
    service.cli("device", "log", "collect", "--log-collection-id", "twice", "--agent-id", device.id)
    assert wait_ended(service, "twice")["status"] == "Succeeded"
    log = device.agent.log.read_text()
    assert log.count("operation=once") == 3, "asked, sent and ended, once each"


# ---- figures, health, description ------------------------------------------------------------------------------------------


def test_figures_are_read_by_prometheus_own_parser(scene):
    from prometheus_client.parser import text_string_to_metric_families

    service = scene.service
    token = service.cli("token", "create", "--name", "scraper", "--role", "deployments-reader").stdout.strip()
    assert ask(service, "/metrics")[0] == 401
    status, body, headers = ask(service, "/metrics", token)
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    names = set(families)
    documented = set(line.split("`")[1] for line in open(__file__.replace("test/e2e/test_operators.py", "docs/reference/metrics.md")) if line.startswith("| `"))
    served = {name + "_total" if family.type == "counter" else name for name, family in families.items()}
    assert served == documented, f"documented only: {documented - served}; served only: {served - documented}"
    for family in families.values():
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family.name
        assert family.samples, f"{family.name} has no sample"
    commits = families["godwit_store_commit_duration_seconds"].samples
    count = next(s.value for s in commits if s.name.endswith("_count"))
    assert count > 0 and next(s.value for s in commits if s.labels.get("le") == "+Inf") == count
    requests = families["godwit_http_requests"].samples
    assert any(s.labels == {"route": "/metrics", "method": "GET", "status": "401"} and s.value >= 1 for s in requests)
    assert families["process_resident_memory_bytes"].samples[0].value > 1_000_000
    assert "godwit_hub_devices_connected" in names


def test_a_disk_that_is_nearly_full_is_not_ready(binaries, tmp_path):
    from stack import Service
    from scene import SANITIZER_ENV

    service = Service(tmp_path, binaries, extra_config="", env=SANITIZER_ENV)
    service.init()
    config = service.data / "godwit.toml"
    config.write_text(config.read_text().replace('least_free_disk = "64MiB"', 'least_free_disk = "1000000GiB"'))
    service.start()
    try:
        assert ask(service, "/healthz")[0] == 200
        status, body, headers = ask(service, "/readyz")
        assert status == 503 and headers["Retry-After"]
        assert "nearly full" in json.loads(body)["error"]["message"] and "least_free_disk" in body.decode()
    finally:
        service.stop()
