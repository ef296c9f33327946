"""Sends the bytes of a file to whoever connects, and nothing else. Prints its port."""

import socket
import sys
from pathlib import Path

data = Path(sys.argv[1]).read_bytes()
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        with listener.accept()[0] as client:
            client.sendall(data)
