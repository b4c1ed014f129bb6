"""What keeping audio costs a microphone frame of 40 ms: on the event loop, and in all with the thread that writes.

    python bench/kept_audio.py [--minutes 1] [--rounds 5]

Prints microseconds of CPU time per frame, with the transcript kept and with the audio kept too. Writes to a folder of
its own, which it deletes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
FRAME = bytes(1_920)
FRAME_MS = 40


async def measure(keep: str, frames: int) -> tuple[float, float]:
    """CPU microseconds per frame: on the loop's thread, and of the whole process."""
    from realtime.conf import RelayConfig
    from realtime.effects import KeepAudio
    from realtime.recorder import RecordingThread
    from realtime.session import Session

    config = RelayConfig("ws://127.0.0.1:1/", "m", "v", "i", keep=keep, may_record=True)
    session = Session(config, random.Random(1))
    session.attach({"uplink_samples": 0, "client": {}}, 0)
    session.upstream_opened(0)
    session.upstream_event({"type": "session.updated"}, 0)
    thread = RecordingThread()
    recorder = thread.recorder(uuid4(), lambda: sys.exit("nothing could be written"))
    thread_s, process_s = time.thread_time(), time.process_time()
    for number in range(frames):
        for effect in session.browser_audio(FRAME, number * FRAME_MS):
            if isinstance(effect, KeepAudio):
                recorder.put(effect)
        if number % 100 == 0:
            await asyncio.sleep(0)
    loop_us = (time.thread_time() - thread_s) / frames * 1e6
    recorder.close()
    await thread.close(30)
    return loop_us, (time.process_time() - process_s) / frames * 1e6


def main() -> None:
    """Interleave the two, so that what else the machine does falls on both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="of audio a round")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DATA_DIR": folder, "DEBUG": "true", "PYTHON_DOTENV_DISABLED": "1"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "voiceproject.settings"
        import django

        django.setup()
        for _ in range(arguments.rounds):
            for keep in ("transcript", "audio"):
                loop_us, all_us = asyncio.run(measure(keep, int(arguments.minutes * 60_000 / FRAME_MS)))
                print(f"{keep:10}  {loop_us:6.2f} us on the loop  {all_us:6.2f} us in all")


if __name__ == "__main__":
    main()
