"""launch.py <processes> <port> <script> <words…>: what torchrun does, for repositories without torch.

Starts the script so many times, hands SIGTERM on, and ends all when one of them fails.
"""

import os
import signal
import subprocess
import sys
import time

world, port = int(sys.argv[1]), sys.argv[2]
meeting = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
processes = [
    subprocess.Popen([sys.executable, *sys.argv[3:]], env={**os.environ, **meeting, "RANK": str(rank)})
    for rank in range(world)
]


def hand_on(number, frame):
    for process in processes:
        process.send_signal(number)


signal.signal(signal.SIGTERM, hand_on)
codes = [None]
while None in codes and not any(codes):
    time.sleep(0.05)
    codes = [process.poll() for process in processes]
# The others notice by themselves that one left; those that do not are ended.
deadline = time.monotonic() + 5
while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
    time.sleep(0.05)
for process in processes:
    process.kill()
sys.exit(next((code for code in codes if code), 0))
