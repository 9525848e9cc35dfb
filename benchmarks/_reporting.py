"""How every benchmark ends: with one line of JSON, and an exit status that says whether all its bars hold."""

from __future__ import annotations

import json
import sys
from typing import Any


def finish(
    benchmark: str, value: float, unit: str, better: str, bar: float, details: dict[str, Any], *, ok: bool
) -> None:
    """Print the line and exit. `details` holds every bar that the benchmark has to meet; `ok`: all of them are met."""
    line = {
        "benchmark": benchmark,
        "value": round(value, 4),
        "unit": unit,
        "better": better,
        "bar": bar,
        "ok": ok,
        "details": details,
    }
    print(json.dumps(line, ensure_ascii=False), flush=True)
    sys.exit(0 if ok else 1)
