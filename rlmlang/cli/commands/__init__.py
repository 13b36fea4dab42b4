"""One module a command, found by its name: a new one is a new file here. Each has

    HELP                 one line of help
    arguments(parser)    adds its arguments
    main(args) -> int    does it, and gives the exit code; raises RlmError

Modules are imported for `rlm --help`, so what they need to work is imported in `main`.
"""
