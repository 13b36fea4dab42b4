"""Every limit of the interpreter, with its reason. A limit is refused with a typed error; nothing here is a tuning knob."""

from typing import Final

# ---- source text ----
SOURCE_CHARS: Final = 100_000  # a program, not data: beyond this the parse alone takes seconds
BRACKET_DEPTH: Final = 100  # nested brackets; checked as tokens arrive, before any tree exists
TREE_DEPTH: Final = 150  # nested nodes; a walker uses at most four Python frames a level, of 1,000
NODES: Final = 10_000  # of one program, some 1,200 lines: checking and bounding take some microseconds for each
NAME_CHARS: Final = 200  # an identifier that nobody can read is an attack on messages
NUMBER_DIGITS: Final = 300  # a literal; Python itself refuses to convert more than 4,300
ERRORS: Final = 20  # diagnostics of severity error reported at once; the rest is counted
MESSAGE_CHARS: Final = 2_000  # any message shown to a user, whatever it quotes
TYPE_FIELDS: Final = 500  # fields of a record type, words of an enum: providers refuse larger schemas
TYPE_DEPTH: Final = 20  # nested types: providers refuse deeper schemas
RECURSION: Final = 50  # the N of `depth N`
TYPE_NESTING: Final = 50  # of an inferred type: comparing and printing types recurse on it
TYPE_PARTS: Final = 2_000  # of an inferred type, shared parts counted each time: bindings could double it line by line
FORMAT_WIDTH: Final = 10_000  # the width or precision in `{x:>10}`

# ---- values ----
TEXT_CHARS: Final = 64 * 1024 * 1024  # one text; a whole file or book fits, a doubling loop does not
LIST_ITEMS: Final = 20_000_000  # one list; a range is never built
INT_BITS: Final = 4_096  # an integer: `9**9**9` must not be attempted
VALUE_DEPTH: Final = 100  # nested lists and records: json, hash, == and repr recurse on them
PRINT_CHARS: Final = 16 * 1024 * 1024  # a value as JSON text: shared parts print once each time they occur
PURE_STEPS: Final = 1_000_000_000  # of one pure stage, by the bound; some minutes of one core
PREFIX_STEPS: Final = 300_000  # of what a bound computes for real, and as many as its inputs are large: some 20 ms
RUN_STEPS: Final = 20 * PURE_STEPS  # of all pure stages of a run together
CALL_DEPTH: Final = 120  # nested calls of functions at run time, all functions together

# ---- files and inputs ----
FILE_BYTES: Final = 256 * 1024 * 1024  # one file read whole
HELD_BYTES: Final = 8 * 1024 * 1024  # a file of rows that is held in memory, some 60 MB there; a larger one is read again when it is needed
SPOOL_BYTES: Final = 64 * 1024**3  # of standard input that is put into a temporary file, to be read as such
LINE_BYTES: Final = TEXT_CHARS  # one line of a file that is read line by line
HELD_ROWS: Final = 20_000  # what a bound finds out of a larger file and keeps for the run
DIR_FILES: Final = 2_000_000  # files of one directory tree
DIR_DEPTH: Final = 100  # nested directories
PATH_BYTES: Final = 4_096  # a file's path as a program sees it: Linux takes no longer one, and the bound counts it where it is in a prompt
LISTINGS_KEPT: Final = 16  # patterns of one directory whose files are remembered
GLOB_CHARS: Final = 1_000  # a file pattern
GLOB_ALTERNATIVES: Final = 256  # what its braces stand for: each is matched against every name
JSON_DEPTH: Final = VALUE_DEPTH  # nesting of JSON read from an input or a reply
JSON_ITEMS: Final = 5_000_000  # containers in one JSON document: 14 MiB of `{}` takes 386 MiB of memory
CSV_CELL_CHARS: Final = 1024 * 1024
CONTEXTS: Final = 16  # of one question: a root model reads a preview of each in every turn

# ---- sub-invocations ----
REPLY_BYTES: Final = 8 * 1024 * 1024  # one HTTP response; beyond, the connection is closed
REPLY_BYTES_PER_TOKEN: Final = 8  # a text reply is cut here when a server ignores max_tokens
TEXT_REPLY_TOKENS: Final = 1_024  # max_tokens of an untyped call
SCALAR_REPLY_TOKENS: Final = 32  # max_tokens of a typed scalar
TYPED_REPLY_TOKENS: Final = 2_048  # max_tokens of any other typed call: about half of JSON is names, quotes and brackets
MESSAGE_TOKENS: Final = 32  # what a chat template puts around one message: role, start and end, at most
TOOLS_TOKENS: Final = 1_024  # what a chat template says about calling tools, beside the tools themselves: some 500 at most of those seen
CORRECTION_BYTES: Final = 1_024  # what a re-ask says of the bad reply
REASKS: Final = 2  # a bad reply is sent back with what is wrong at most so often
RETRIES: Final = 10  # attempts for 408, 409, 429, 5xx and connection errors
RETRY_SECONDS: Final = 60.0  # all waiting for one call's retries together
RETRY_FIRST: Final = 0.1  # seconds, doubling
RETRY_LONGEST: Final = 4.0
CONNECT_SECONDS: Final = 20.0  # until a connection stands
CALL_SECONDS: Final = 600.0  # one attempt, whole
IDLE_SECONDS: Final = 120.0  # without a byte of the reply
BATCH_ITEMS: Final = 100  # of one request, by `with {batch: …}`: beyond, models lose count, and one bad reply wastes too much
PROCESSES: Final = 64  # of one run, whatever was asked for: each takes some 40 MB, and three workers keep the evaluator busy
WORKER_REPLACEMENTS: Final = 3  # of worker processes that ended, in one run: what ends them again and again will end the next
WORKER_START_SECONDS: Final = 60.0  # until a worker process takes requests; half a second on an idle machine
LIVE_ITEMS: Final = 4_096  # item tasks of nested maps under way at once

# ---- jobs of a Batch API ----
JOB_LINES: Final = 50_000  # requests of one job, as OpenAI documents
JOB_BYTES: Final = 200_000_000  # of its file, likewise
JOB_WAITING: Final = JOB_LINES  # calls that wait for jobs at once: each takes some 9 kB here, and its prompt
JOB_SECONDS: Final = 24 * 3_600.0  # the completion window that is asked for
JOB_LATE: Final = 2 * 3_600.0  # a job that has not ended so long after its window is no longer waited for
JOB_TRIES: Final = 3  # of one request whose job gave no reply, or an error that may pass
JOB_POLL_FIRST: Final = 0.5  # seconds until a job is first asked about, growing by half each time
JOB_POLL_LONGEST: Final = 60.0
JOB_OUTPUT_BYTES: Final = 2 * 1024**3  # of the file of replies, which is kept on disk while it is read
JOB_TRANSFER_SECONDS: Final = 1_800.0  # to send or fetch one file
JOB_KEPT_SECONDS: Final = 30 * JOB_SECONDS  # servers keep files for so long; older jobs are forgotten

# ---- solve ----
ROOT_REPLY_TOKENS: Final = 2_048  # of the root model's reply: a long program has some 600
ROOT_PROMPT_BYTES: Final = 32_000  # of what a root model is sent: card, question, previews, and as many earlier turns as fit
ROOT_GRAMMAR_BYTES: Final = 48_000  # of the grammar, where it is sent as a tool and paid as part of the prompt
SOLVE_INPUT_TOKENS: Final = 150_000  # a sub-invocation inside a solve, on average, by the bound: three attempts at 32,000 bytes and a reply
SOLVE_OUTPUT_TOKENS: Final = 8_192  # likewise
SOLVE_ANSWER_BYTES: Final = 64 * 1024  # of the answer of a solve in a program, as JSON: what comes after it has a bound
SOLVE_TURNS: Final = 100  # turns of one solve at most: each is a reply of the root model
SOLVE_REPEATS: Final = 3  # the same program in a row, and the root model is stuck
SOLVES_REPORTED: Final = 100  # solves inside one turn that a report describes, with their turns

# ---- what a root model is shown ----
CONTEXT_CHARS: Final = 1_200  # of a context: name, type, size and preview, about 400 tokens
SHOWN_CHARS: Final = 2_000  # of a value that a turn shows

# ---- the memo store ----
MEMO_BYTES: Final = 2 * 1024**3  # beyond, the oldest rows go
SEEN_ROWS: Final = 20_000  # figures of what runs have seen, some 2 MB; beyond, those that no run touched longest go
SEEN_COUNT: Final = 2_000  # times that one figure was seen: beyond, the older ones weigh less, so that a change is noticed

# ---- built-ins ----
PATTERN_CHARS: Final = 5_000  # a regular expression
PATTERN_BYTES: Final = 4 * 1024 * 1024  # its compiled form: time is linear in the text, and in this

# ---- strategies that are compared ----
TOOL_CALLS: Final = 128  # in one reply: as many as OpenAI's API takes tools
TOOL_RESULT_CHARS: Final = 30_000  # of what a tool gives to a model, as Claude Code cuts the output of a command by default
FILES_SHOWN: Final = 40  # whose paths a model with file tools is told beforehand; it can list the others
COMPARE_WINDOW: Final = 128_000  # tokens of a model whose window nobody knows: as many as most have, so that `direct` is cut somewhere
SHELL_OUTPUT_BYTES: Final = 10_000  # of a command that a model is shown, its beginning and its end: as much as Terminus 2 shows
SHELL_LINE_CHARS: Final = 10_000  # a command line: longer ones carry data, and braces in it are read again and again
SHELL_WORDS: Final = 30_000  # arguments of one command, after globs and braces
SHELL_NESTED: Final = 50  # parentheses of `find`, brace groups of a word, commands that run commands
SHELL_WORK: Final = 4_000_000_000  # bytes read and lines handled (100 each) by one command line: some 20 s, on any machine the same
SHELL_SECONDS: Final = 30.0  # of one command line, where the work is slower than that
SHELL_HELD_BYTES: Final = 512 * 1024 * 1024  # of what `sort` and `tail` hold
SHELL_PATTERN_BYTES: Final = 1024 * 1024  # the compiled form of an expression
SHELL_PATTERN_WORK: Final = 300_000_000  # a line's bytes times the expression's instructions: 10 to 30 ns each where RE2 is slowest
PYTHON_BYTES: Final = 2 * 1024**3  # of memory of the interpreter: the data, and some copies of them
PYTHON_SECONDS: Final = 60.0  # of one program, without the time that it waits for replies
PYTHON_CPU_SECONDS: Final = 3_600  # of the interpreter in all, should nobody be there to stop it
PYTHON_OUTPUT_CHARS: Final = 20_000  # of what a program prints: as much as the published RLM shows
PYTHON_FRAME_BYTES: Final = 128 * 1024 * 1024  # of what it sends at once: prompts, an answer
PAGE_TEXT_CHARS: Final = 20_000  # of one text in the page of a comparison
PAGE_STEPS: Final = 1_000  # of one strategy in it
PAGE_CHARS: Final = 10_000_000  # of all that strategies did: browsers take no more with ease
