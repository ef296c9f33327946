"""What the wires of Binance's venues share: errors, parameters, signatures, limits, both ways in.

errors, params      what is refused with which code; what a request says
auth                signatures and timestamps
calls               what can be asked for, by HTTP and by the WebSocket API alike
rest, wsapi         the two ways in
streams             market streams
"""

from __future__ import annotations
