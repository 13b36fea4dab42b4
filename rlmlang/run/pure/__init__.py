"""Pure expressions as Python closures: one call of a closure for each node, no coroutine anywhere, no look-up of names.

`PureCode` (code.py) compiles the expressions of one frame; what each kind of expression becomes stands in values.py, operators.py,
bindings.py, calls.py and loops.py.
"""
