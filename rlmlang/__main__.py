"""`python -m rlmlang` is `rlm`."""

from rlmlang.cli.main import main

raise SystemExit(main())
