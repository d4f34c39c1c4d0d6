"""A device that takes deltas, and updates of one image for it."""
import json
from pathlib import Path

from scene import SCRIPT

HANDLER = "microsoft/delta:1"


def make_device(scene):
    made = scene.device(start=False)
    made.register_extension("agent", "download-handler", HANDLER, made.binaries.parent / "lib" / "godwit-download-delta.so")
    made.start()
    scene.wait_listed(made)
    return made


def write_update(device, version: str, image: bytes, folder: Path) -> list:
    """Puts script and image into a new `folder`; gives the words of the command that makes the manifest there. What follows them is of the image."""
    folder.mkdir(parents=True)
    (folder / "run.sh").write_text(SCRIPT)
    (folder / "image.bin").write_bytes(image)
    properties = {"scriptFileName": "run.sh", "apiVersion": "1.1", "installedCriteria": version, "arguments": f"--root {device.root}"}
    return ["update", "init", "v5", "--update-provider", "Tests", "--update-name", device.model, "--update-version", version, "--folder", folder,
            "--compat", "manufacturer=Contoso", f"model={device.model}", "--step", "handler=microsoft/script:1", "properties=" + json.dumps(properties),
            "--file", f"path={folder / 'run.sh'}", "--file", f"path={folder / 'image.bin'}", f"downloadHandler={HANDLER}"]
