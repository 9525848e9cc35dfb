"""Closed-loop HTTP load: so many connections, each sending its next request when the last one is answered.

`python _http_load.py` reads one JSON order from standard input and prints what it measured: it runs beside the service
as a process of its own, and a request costs it so little (no HTTP library) that the two cores are left to the service.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Load:
    """What was measured. milliseconds: of the answers with status 200, at those percentiles; statuses: how many of
    each, "0" where the connection broke."""

    requests_per_second: float
    p50: float
    p95: float
    p99: float
    statuses: dict[str, int]

    @property
    def all_answered(self) -> bool:
        return set(self.statuses) == {"200"}

    def rounded(self) -> dict[str, Any]:
        return {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(self).items()}


def post(path: str, body: Any) -> bytes:
    """A POST request with a JSON body, as it goes over the wire."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def get(path: str) -> bytes:
    """A GET request, as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def measure(port: int, requests: Sequence[bytes], concurrency: int, seconds: float, warm: float = 1.0) -> Load:
    """The requests in turn, for so many seconds after `warm` seconds, from a process of its own."""
    order = {
        "port": port,
        "requests": [request.decode() for request in requests],
        "concurrency": concurrency,
        "seconds": seconds,
        "warm": warm,
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__))], input=json.dumps(order), capture_output=True, text=True, check=True
    )
    return Load(**json.loads(done.stdout))


async def _load(port: int, requests: Sequence[bytes], concurrency: int, seconds: float, warm: float) -> Load:
    began = time.perf_counter() + warm
    ends = began + seconds
    took: list[float] = []
    statuses: Counter[str] = Counter()
    turn = iter(range(sys.maxsize))

    async def caller(number: int) -> None:
        # Of connections that come all at once, one worker would accept every one.
        await asyncio.sleep(0.01 * number)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (sent := time.perf_counter()) < ends:
            writer.write(requests[next(turn) % len(requests)])
            try:
                status, _ = await answer_of(reader)
            except (ConnectionError, asyncio.IncompleteReadError):
                status = "0"
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            now = time.perf_counter()
            if sent >= began and now <= ends:
                statuses[status] += 1
                if status == "200":
                    took.append(now - sent)
        writer.close()

    await asyncio.gather(*(caller(number) for number in range(concurrency)))
    p50, p95, p99 = (1_000 * np.percentile(took, [50, 95, 99])).tolist() if took else (0.0, 0.0, 0.0)
    return Load(len(took) / seconds, p50, p95, p99, dict(statuses))


async def answer_of(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The status and the body of the next answer."""
    status, _, body = await whole_answer_of(reader)
    return status, body


async def whole_answer_of(reader: asyncio.StreamReader) -> tuple[str, dict[bytes, bytes], bytes]:
    """The status, the headers (names in small letters) and the body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    named = (line.split(b": ", 1) for line in lines[1:] if b": " in line)
    headers = {name.lower(): value for name, value in named}
    parts: list[bytes] = []
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
    else:
        parts.append(await reader.readexactly(int(headers.get(b"content-length", 0))))
    return lines[0].split(b" ")[1].decode(), headers, b"".join(parts)


def main() -> None:
    order = json.load(sys.stdin)
    order["requests"] = [request.encode() for request in order["requests"]]
    print(json.dumps(asdict(asyncio.run(_load(**order)))))


if __name__ == "__main__":
    main()
