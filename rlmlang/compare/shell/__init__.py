"""A read-only shell over data, interpreted here: a command line in, what a terminal would show out. No process is started.

It knows pipes, `;`, `&&`, `||`, `!`, quotes, globs, braces, `<`, and the redirections that drop output. Its commands take the options that
GNU's take and say what GNU's say. What it does not have: variables, substitutions, loops, functions, jobs, `awk`, and anything that writes.
The data are all there is: `/` is their folder, and `..` there is `/` again, as in a chroot. Links are what `rlmlang.files` makes of them.

Nothing a command line holds can make it raise, take much time (`limits.SHELL_WORK`, `SHELL_SECONDS`), or print more than
`limits.SHELL_OUTPUT_BYTES`.
"""

from rlmlang.compare.shell.shell import Shell

__all__ = ["Shell"]
