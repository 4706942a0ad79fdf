"""Ctrl-C while the program is still loading: it ends at once, without Python's account of where in an import it was."""

import signal
import threading


def die_quietly() -> bool:
    """Let Ctrl-C end the process as the system does; return whether that is new, and `raise_again` has to follow."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return True


def raise_again() -> None:
    """Let Ctrl-C be Python's `KeyboardInterrupt` again."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


loading = die_quietly()
