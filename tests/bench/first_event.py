"""Lambda's part in a cold start: loads a function's handler and calls it once. Imports nothing that Lambda does not."""

import importlib
import json
import sys
import time
from types import SimpleNamespace


def main() -> None:
    """The event stands in the standard input, and the module's folder on sys.path. Prints the CPU seconds since the
    process began, and the answer.
    """
    event = json.load(sys.stdin)
    context = SimpleNamespace(aws_request_id="bench", get_remaining_time_in_millis=lambda: 300_000)
    answer = importlib.import_module("app").handler(event, context)
    sys.stdout.write(f"\n{json.dumps({'cpu': time.process_time(), 'answer': answer})}\n")


main()
