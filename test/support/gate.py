"""A gate between two sides of a TCP connection: counts what passes and cuts."""
from __future__ import annotations

import socket
import threading


class Gate:
    """Passes bytes on to a port, counts those of one direction, and cuts each connection after `limit` of them. Listens on `door`; 0: on any port."""

    def __init__(self, port: int, limit: int = 0, counts_answers: bool = False, door: int = 0):
        self.to, self.limit, self.counts_answers = port, limit, counts_answers
        self.sent = self.cuts = 0
        self._door = socket.create_server(("127.0.0.1", door))
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._pump, args=(client, server, not self.counts_answers), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, self.counts_answers), daemon=True).start()

    def _pump(self, source, sink, counts: bool) -> None:
        moved = 0
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                moved += len(data)
                if counts:
                    self.sent += len(data)
                if counts and self.limit and moved > self.limit:
                    self.cuts += 1
                    break
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()  # at once: one that is only shut down holds a sender up whose bytes nobody takes

    def close(self) -> None:
        try:
            self._door.shutdown(socket.SHUT_RDWR)  # ends the wait of its thread, which would let one more through
        except OSError:
            pass  # closed already
        self._door.close()
