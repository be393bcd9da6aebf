"""A private nginx that answers every POST as the Graph API answers an accepted message."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONFIG = """
daemon off;
worker_processes 1;
pid {place}/nginx.pid;
error_log {place}/nginx.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            default_type application/json;
            return 200 '{answer}';
        }}
    }}
}}
"""

#: As the Graph API answers, each with an id of its own.
_ANSWER = (
    '{"messaging_product":"whatsapp","contacts":[{"input":"+79160000000","wa_id":"79160000000"}],'
    '"messages":[{"id":"wamid.$request_id"}]}'
)


@contextmanager
def nginx(place: Path) -> Iterator[str]:
    """Run it while the block runs; gives its URL. RuntimeError when nginx is not installed."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        raise RuntimeError("nginx is not installed: `apt-get install nginx-light`, or give --target")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = place / "nginx.conf"
    config.write_text(_CONFIG.format(place=place, port=port, answer=_ANSWER))
    place.chmod(0o755)
    process = subprocess.Popen([program, "-p", str(place), "-c", str(config)])
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                continue
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
