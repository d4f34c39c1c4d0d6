"""The service's OpenAPI description, judged by a validator that others wrote."""
import json
import ssl
import subprocess
import urllib.request
from pathlib import Path

NODE = Path(__file__).parent / "node"


def judge(node, document: bytes):
    done = subprocess.run([node, NODE / "openapi.mjs"], input=document, capture_output=True, cwd=NODE, timeout=120)
    return done.returncode, json.loads(done.stdout)


def test_the_description_is_valid_openapi(scene, node):
    context = ssl.create_default_context(cafile=str(scene.service.ca))
    with urllib.request.urlopen(scene.service.url + "/openapi.json", context=context, timeout=30) as answer:
        document = answer.read()
    code, verdict = judge(node, document)
    assert code == 0, verdict
    assert verdict["version"] == "3.0.3" and verdict["operations"] > 120

    broken = json.loads(document)
    del broken["paths"]["/deviceUpdate/{instanceId}/updates"]["get"]["responses"]
    assert judge(node, json.dumps(broken).encode())[0] == 1, "the validator must be able to say no"
