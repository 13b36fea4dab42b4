"""What must hold of the process that the tests run in."""

import signal

# a shell starts what runs in the background so, and the commands that tests interrupt would inherit it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
