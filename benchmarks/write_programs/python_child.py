"""The process that runs a program of the Python root: {code, earlier, data, url} as JSON on stdin, a line of JSON at the end of stdout."""

import contextlib
import io
import json
import resource
import sys
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor


class Final(BaseException):
    """The answer."""


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    given = json.load(sys.stdin)

    def llm_query(prompt: str) -> str:
        body = json.dumps({"model": "oracle", "messages": [{"role": "user", "content": str(prompt)}]}).encode()
        request = urllib.request.Request(given["url"] + "/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:
            return str(json.load(response)["choices"][0]["message"]["content"])

    def llm_query_batched(prompts: list[str]) -> list[str]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(llm_query, prompts))

    def final(value: object) -> None:
        raise Final(value)

    names = {"__name__": "__main__", **given["data"], "llm_query": llm_query, "llm_query_batched": llm_query_batched, "FINAL": final}
    for code in given["earlier"]:  # what they bound stays bound
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(BaseException):
            exec(compile(code, "earlier.py", "exec"), names)
    printed, report = io.StringIO(), {"error": "", "printed": ""}
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(given["code"], "program.py", "exec"), names)
    except Final as done:
        report["answer"] = done.args[0]
    except BaseException as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == "program.py"]
        line = given["code"].split("\n")[frames[-1].lineno - 1].strip() if frames and frames[-1].lineno else ""
        report["error"] = f"{type(error).__name__}: {str(error)[:500]}" + (f"\nin line {frames[-1].lineno}: {line}" if frames else "")
    report["printed"] = printed.getvalue()[:2000]
    print("\n" + json.dumps(report, default=lambda v: list(v) if isinstance(v, (set, frozenset)) or hasattr(v, "__next__") else str(v)))


main()
