"""Programs that die with whoever started them. As a script, this becomes one; arguments: the starter's process id, the program and its own.

The kernel's promise to do so (prctl, Linux only) has to be asked for by the child itself. Asking between fork and exec is not safe when the
starter has threads: whatever lock one of them holds, such as the loader's, stays locked in the child. So it is asked for here, in a process
without any.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h; holds across exec


def tethered(*program: str) -> list[str]:
    """Return the command that runs a program which dies with the thread that starts it."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *program]


def main() -> None:
    """Ask, and become the program."""
    starter, *program = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(starter):  # else it died before the kernel knew whom to look at
        os.execvp(program[0], program)


if __name__ == "__main__":
    main()
