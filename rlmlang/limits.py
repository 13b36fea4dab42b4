"""Every limit of the interpreter, with its reason. A limit is refused with a typed error; nothing here is a tuning knob."""

from typing import Final

# ---- source text ----
SOURCE_CHARS: Final = 100_000  # a program, not data: beyond this the parse alone takes seconds
BRACKET_DEPTH: Final = 100  # nested brackets; checked as tokens arrive, before any tree exists
TREE_DEPTH: Final = 150  # nested nodes; a walker uses at most four Python frames a level, of 1,000
NODES: Final = 50_000  # of one program: the bound visits each in microseconds
NAME_CHARS: Final = 200  # an identifier that nobody can read is an attack on messages
NUMBER_DIGITS: Final = 300  # a literal; Python itself refuses to convert more than 4,300
ERRORS: Final = 20  # diagnostics of severity error reported at once; the rest is counted
MESSAGE_CHARS: Final = 2_000  # any message shown to a user, whatever it quotes
TYPE_FIELDS: Final = 500  # fields of a record type, words of an enum: providers refuse larger schemas
TYPE_DEPTH: Final = 20  # nested types: providers refuse deeper schemas
RECURSION: Final = 50  # the N of `depth N`

# ---- values ----
TEXT_CHARS: Final = 64 * 1024 * 1024  # one text; a whole file or book fits, a doubling loop does not
LIST_ITEMS: Final = 20_000_000  # one list; a range is never built
INT_BITS: Final = 4_096  # an integer: `9**9**9` must not be attempted
VALUE_DEPTH: Final = 100  # nested lists and records: json, hash, == and repr recurse on them
PRINT_CHARS: Final = 16 * 1024 * 1024  # a value as JSON text: shared parts print once each time they occur
PURE_STEPS: Final = 1_000_000_000  # of one pure stage, by the bound; some minutes of one core
CALL_DEPTH: Final = 120  # nested calls of functions at run time, all functions together

# ---- files and inputs ----
FILE_BYTES: Final = 256 * 1024 * 1024  # one file read whole
DIR_FILES: Final = 2_000_000  # files of one directory tree
DIR_DEPTH: Final = 100  # nested directories
JSON_DEPTH: Final = VALUE_DEPTH  # nesting of JSON read from an input or a reply
JSON_ITEMS: Final = 5_000_000  # containers in one JSON document: 14 MiB of `{}` takes 386 MiB of memory
CSV_CELL_CHARS: Final = 1024 * 1024

# ---- sub-invocations ----
REPLY_BYTES: Final = 8 * 1024 * 1024  # one HTTP response; beyond, the connection is closed
REPLY_BYTES_PER_TOKEN: Final = 8  # a text reply is cut here when a server ignores max_tokens
TEXT_REPLY_TOKENS: Final = 1_024  # max_tokens of an untyped call
SCALAR_REPLY_TOKENS: Final = 32  # max_tokens of a typed scalar
REASKS: Final = 2  # a bad reply is sent back with what is wrong at most so often
RETRIES: Final = 10  # attempts for 408, 409, 429, 5xx and connection errors
RETRY_SECONDS: Final = 60.0  # all waiting for one call's retries together
RETRY_FIRST: Final = 0.1  # seconds, doubling
RETRY_LONGEST: Final = 4.0
CALL_SECONDS: Final = 600.0  # one attempt, whole
IDLE_SECONDS: Final = 120.0  # without a byte of the reply
LIVE_ITEMS: Final = 4_096  # item tasks of nested maps under way at once
