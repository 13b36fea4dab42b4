"""What must hold of the process that the tests run in."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in the background; commands started here would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
