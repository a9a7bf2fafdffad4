"""Numbers to text: quantiles, tables, conditions."""
import math
import os
import platform
import statistics
from datetime import datetime, timezone
from pathlib import Path


def quantile(values, q):
    """Nearest rank: a value that was really measured."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def median(values):
    return statistics.median(values)


def bucket_quantile(buckets, q):
    """The upper bound of the bucket that holds the quantile; None without observations."""
    total = buckets[-1][1] if buckets else 0
    if not total:
        return None
    return next(bound for bound, count in buckets if count >= math.ceil(q * total))


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    lines = ["| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |"
             for row in [head, *rows]]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def machine(command):
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return [f"Date: {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
            f"Command: `{command}`",
            f"Machine: {os.cpu_count()} cores ({model}), kernel {platform.release()}",
            f"Load average at the start: {os.getloadavg()[0]:.2f}"]


def conditions(engine, command):
    versions = engine.versions()
    lines = machine(command)
    lines.insert(3, f"Engine: {versions['Version']} (API {versions['ApiVersion']}), storage {engine_storage(engine)}")
    return lines


def engine_storage(engine):
    import json
    return json.loads(engine.call("GET", "/info"))["Driver"]
