"""The command line. Nothing outside this room prints."""
