"""The values of the language, and what every room needs to do with them.

text = str, int, float, bool, none = None, list = list, record = dict with str keys, file = FileValue, dir = DirValue (rlmlang.files).
Lists and dicts are never changed once made. A lambda is only ever handed to a built-in, as a Python callable.
"""
