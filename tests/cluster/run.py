"""`make test-cluster`: starts the engines, runs the parts one after the other, and says how long each took.

    python -m tests.cluster.run [part]... [-- pytest arguments]

The parts: contracts (every adapter on its real engine), journeys and browser (the embedded network's tests against one process a
service), faults. A part that fails does not hide the others; the exit status is 1 when any did.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.engines.processes import EngineError
from tests.cluster.engines.shared import HANDED_OVER, running

ROOT = Path(__file__).resolve().parents[2]
FAULTS = "tests/cluster/faults"
PARTS: dict[str, list[str]] = {
    "contracts": ["-n", "2", "--dist", "loadfile", "tests/cluster", f"--ignore={FAULTS}"],
    "journeys": ["tests/journeys"],
    "browser": ["tests/browser/test_network.py", "tests/security/test_scripts.py"],
    "faults": [FAULTS],
}
ON_CLUSTER = ("journeys", "browser")


def main(arguments: list[str]) -> int:
    """Run the named parts, all where none is named; answers the exit status."""
    words, _, rest = _parted(arguments)
    unknown = [word for word in words if word not in PARTS]
    if unknown:
        print(f"there is no part {', '.join(unknown)}: choose from {', '.join(PARTS)}", file=sys.stderr)
        return 2
    # A run that is asked to end passes through every `finally`, so that all engines end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    times: list[tuple[str, float, str]] = []
    began = time.monotonic()
    try:
        engines = running()
        engines.prepare("postgres", "kafka", "opensearch", "s3", "prometheus")
        given = engines.handover()
    except EngineError as error:
        print(f"the engines cannot be had: {error}", file=sys.stderr)
        return 1
    times.append(("engines", time.monotonic() - began, "started"))
    status = 0
    for name in words or list(PARTS):
        start = time.monotonic()
        print(f"== {name}", flush=True)
        environment = {**os.environ, HANDED_OVER: given}
        if name in ON_CLUSTER:
            environment["TEST_NETWORK"] = "cluster"
        command = [sys.executable, "-m", "pytest", "-o", f"cache_dir=.pytest_cache/cluster-{name}", "--durations=5", *PARTS[name], *rest]
        ended = _tests(command, environment)
        result = "passed" if ended == 0 else "FAILED"
        if ended == 5 and rest:
            result = "nothing chosen"  # the arguments chose tests of other parts
        elif ended == 1:
            # Several engines, a dozen processes and two cores: a moment of bad luck is told from a fault by a second try, and is told of.
            print(f"== {name}: what failed, once more", flush=True)
            if _tests([*command, "--last-failed", "--last-failed-no-failures=none"], environment) == 0:
                result = "passed, some tests at the second try only"
        times.append((name, time.monotonic() - start, result))
        status = max(status, int(result == "FAILED"))
    start = time.monotonic()
    engines.close()
    times.append(("stopping", time.monotonic() - start, ""))
    for name, seconds, result in [*times, ("together", time.monotonic() - began, "FAILED" if status else "passed")]:
        print(f"{name:12} {int(seconds) // 60:3}:{int(seconds) % 60:02}  {result}")
    return status


def _tests(command: list[str], environment: dict[str, str]) -> int:
    with subprocess.Popen(command, cwd=ROOT, env=environment) as tests:
        try:
            return tests.wait()
        except BaseException:
            tests.send_signal(signal.SIGINT)  # it ends what it started itself
            tests.wait(60)
            raise


def _parted(arguments: list[str]) -> tuple[list[str], str, list[str]]:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], "--", arguments[at + 1 :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
