"""Has clients that others wrote trade on the local exchange, and tells what each could do.

A client is a script of this folder that begins so:

    # venue: binance_spot
    # requires: binance-sdk-spot==13.2.0
    # options: --balance USDT=1000000
    # key: ed25519

It is run in an environment of its own, with `EXCHANGE_URL`, `EXCHANGE_KEY` and `EXCHANGE_SECRET`
set, against an exchange of its own; with a key of another kind than `hmac` the secret is a private
key in PEM. It prints a line of JSON for each thing that it tried, as
`told.run` does: `{"what": ..., "ok": true | false | null, "why": ...}`, null for what the client
has no way of doing.

    python tests/clients/run.py [--envs DIR] [NAME ...]

Exit code 1: something failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

HERE = Path(__file__).resolve().parent
HELPERS = ("run.py", "told.py")
KEY, SECRET = "client-key", "client-secret"
KRAKEN_SECRET = "Y2xpZW50LXNlY3JldC1jbGllbnQtc2VjcmV0"
PATIENCE_SECS = 300


def scripts() -> dict[str, Path]:
    """Every client's script, by name."""
    return {path.stem: path for path in sorted(HERE.glob("*.py")) if path.name not in HELPERS}


def heading(script: Path, name: str) -> str:
    """What the first lines of a script say of a name."""
    found = re.search(rf"^# {name}: (.*)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].strip() if found else ""


def environment(script: Path, envs: Path) -> Path:
    """Make an environment with what a script requires, unless it is there; return its Python."""
    folder = envs / script.stem
    python = folder / "bin" / "python"
    requires = heading(script, "requires").split()
    stamp = folder / "requires.txt"
    if not stamp.is_file() or stamp.read_text() != " ".join(requires):
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *requires], check=True)
        stamp.write_text(" ".join(requires))
    return python


def secrets_of(script: Path, folder: Path) -> tuple[str, str]:
    """What the client signs with, and what the exchange is given to verify it by."""
    kind = heading(script, "key") or "hmac"
    if kind == "hmac":
        secret = KRAKEN_SECRET if heading(script, "venue").startswith("kraken") else SECRET
        return secret, secret
    made = rsa.generate_private_key(65_537, 2_048) if kind == "rsa" else None
    private = made or ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = folder / f"{script.stem}.pem"
    public.write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return pem.decode(), f"@{public}"


def trade(script: Path, python: Path, record: Path) -> list[dict[str, object]]:
    """Serve an exchange, have the client trade on it, and return what it told."""
    venue = heading(script, "venue")
    secret, verifier = secrets_of(script, record.parent)
    serve = [
        *(sys.executable, "-m", "trade_runtime", "exchange", "--venue", venue, "--port", "0"),
        *("--api-key", KEY, "--api-secret", verifier, "--record-to", str(record)),
        *heading(script, "options").split(),
    ]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as exchange:
        try:
            assert exchange.stdout is not None
            found = re.search(r"http://[\d.:]+", exchange.stdout.readline())
            if found is None:
                return [{"what": "the exchange starts", "ok": False, "why": "it did not"}]
            env = {**os.environ, "EXCHANGE_URL": found[0], "EXCHANGE_KEY": KEY}
            env.pop("PYTHONPATH", None)  # the client's environment has nothing of ours
            done = subprocess.run(
                [python, script],
                env={**env, "EXCHANGE_SECRET": secret},
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECS,
                check=False,
            )
        finally:
            exchange.terminate()
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    told: list[dict[str, object]] = [json.loads(line) for line in lines]
    if done.returncode:
        told.append({"what": "the script ends", "ok": False, "why": done.stderr[-2000:]})
    return told


def main() -> int:
    """Run the clients that are asked for, or all; print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", help="of scripts; all without any")
    parser.add_argument("--envs", type=Path, help="where their environments are kept")
    asked = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        envs = asked.envs or Path(folder) / "envs"
        for name, script in scripts().items():
            if asked.names and name not in asked.names:
                continue
            record = Path(folder) / f"{name}.jsonl"
            told = trade(script, environment(script, envs), record)
            print(f"\n{name} ({heading(script, 'requires')}) on {heading(script, 'venue')}")
            for one in told:
                word = {True: "ok    ", False: "FAILED", None: "no way"}[one["ok"]]  # type: ignore[index]
                print(f"  {word} {one['what']}" + (f": {one['why']}" if one["why"] else ""))
            failed += sum(1 for one in told if one["ok"] is False)
            events = [json.loads(line)["event"] for line in record.read_text().splitlines()]
            counts = {event: events.count(event) for event in ("request", "message", "fill")}
            print(
                "  the exchange's own record: " + ", ".join(f"{v} {k}" for k, v in counts.items())
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
