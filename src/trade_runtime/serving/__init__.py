"""The server's end of HTTP/1.1 and WebSocket on one port: what `replay` and `exchange` share.

Sans-I/O underneath (h11, wsproto), a trio stream above. It knows no venue and no market; it
imports nothing of this project.
"""

from __future__ import annotations

from trade_runtime.serving.http import Answer, Cut, Request, Served, serve_connection
from trade_runtime.serving.wire import Gone, Wire, text_frame

__all__ = ["Answer", "Cut", "Gone", "Request", "Served", "Wire", "serve_connection", "text_frame"]
