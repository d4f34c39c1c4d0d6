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
