"""Runs a part of a record: ``faulty_part.py FOLDER hang|fail ARGUMENTS``; at first it hangs, or ends in the middle.

A part that hangs has a child that takes no hint. ``FOLDER/hanging`` tells that the time has come to look at the clock.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gpu_record
from recording.rows import Rows

STUBBORN = "import signal, time; signal.signal(signal.SIGABRT, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"


def hang(folder):
    signal.signal(signal.SIGABRT, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    child.stdout.readline()
    with open(folder / "children", "a") as file:
        file.write(f"{child.pid}\n")
    (folder / "hanging").touch()
    time.sleep(600)


def fail():
    write = Rows.write

    def once(self, key, kind, what):
        write(self, key, kind, what)
        if kind != "begun":
            print("it ends here", flush=True)
            os._exit(3)

    Rows.write = once


if __name__ == "__main__":
    folder, kind, *arguments = Path(sys.argv[1]), *sys.argv[2:]
    tried = folder / arguments[arguments.index("--part") + 1]
    if not tried.exists():
        tried.touch()
        hang(folder) if kind == "hang" else fail()
    sys.exit(gpu_record.main(arguments))
