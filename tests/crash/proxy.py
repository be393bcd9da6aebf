"""The way to a server, which can be cut and lead elsewhere."""

import contextlib
import socket
import threading


class Proxy:
    """Forwards connections to a port on this machine. While it is `cut` nothing comes through and nothing is refused:
    what was sent waits, as in a network that lost its way, and arrives late, if its connection is still there."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._way = threading.Event()
        self._way.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._way.clear()

    def mend(self) -> None:
        self._way.set()

    def lead_to(self, port: int) -> None:
        """New connections go there, and the old ones end."""
        self._target = port
        for pair in self._pairs:
            _end(*pair)

    def close(self) -> None:
        self.mend()
        self._listener.close()
        for pair in self._pairs:
            _end(*pair)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._way.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        self._pairs.append((near, far))
        threading.Thread(target=self._pump, args=(far, near), daemon=True).start()
        self._pump(near, far)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._way.wait()
                target.sendall(data)
        _end(source, target)


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
