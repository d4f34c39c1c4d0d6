"""A namespace in which the installer of a device sees a machine of its own. What is changed there is gone with it."""
from __future__ import annotations

import subprocess

from stack import wait_until


class NamespaceWorld:
    """Wraps a device of a scene that was not started yet; end it with stop()."""

    def __init__(self, device, flags: str, setup: str, *arguments, ready, inside: tuple = ()):
        """`flags`: of unshare and nsenter, such as "-m -n". `setup`: a shell script that gets `arguments`, makes the file `ready` (as it is seen in
        the namespace) and then sleeps. `inside`: words before each command there."""
        self.device = device
        self.holder = subprocess.Popen(["unshare", *flags.split(), "--propagation", "private", "sh", "-c", setup, "sh", *arguments])
        enter = ["nsenter", "-t", str(self.holder.pid), *flags.split(), "--"]
        wait_until("the world is made", lambda: subprocess.run([*enter, "test", "-e", ready], capture_output=True).returncode == 0 or self._ended(), 60)
        self._inside = [*enter, *map(str, inside)]
        device.installer.command = self._inside + device.installer.command

    def _ended(self) -> bool:
        assert self.holder.poll() is None, "the world could not be made"
        return False

    def run(self, *words, check: bool = True) -> str:
        done = subprocess.run([*self._inside, *map(str, words)], capture_output=True, text=True)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def stop(self) -> None:
        self.device.stop()
        self.holder.kill()
        self.holder.wait()
