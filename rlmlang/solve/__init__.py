"""The recursive LM: a root model writes the program, which is checked, bounded and run here, turn by turn."""
