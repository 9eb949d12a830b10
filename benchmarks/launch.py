"""Run a command and print what it took as one line of JSON. Standard library only, and small.

The kernel counts a process's peak memory from before its `exec`, so whoever starts it must be smaller than it is.
"""

import json
import os
import sys
import time


def main() -> None:
    """`launch.py OUTPUT COMMAND …`: standard output and error of the command go to the file OUTPUT."""
    output, command = sys.argv[1], sys.argv[2:]
    actions = [
        (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    begun = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - begun
    taken = {
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
        "code": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
