"""`python -m local.serve`: the system on this machine until Ctrl-C, for the AWS CLI and whatever else speaks AWS."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from local import samples, terminal
from local.demo import MODEL, PRESETS, PROMPT
from local.engine.controller import ROOT, Engine
from local.simulator.process import Simulator
from local.stack import running_stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

FOLDER = ROOT / "build" / "local"
_LINES = """
# In another shell, in this folder: point the AWS CLI (or any SDK) at the engine
{exports}
export AWS_PAGER=""  # AWS CLI 2 would open one for each answer
# Behind a proxy also: export NO_PROXY=127.0.0.1

# Drop a picture; preset "default" is there already
aws s3 cp {folder}/sample.jpg s3://{inbox}/inbox/
# Upload a preset of your own and drop a picture for it
aws s3 cp {folder}/preset.json s3://{inbox}/presets/poster.json
aws s3 cp {folder}/sample.jpg "s3://{inbox}/inbox/poster/My harbour.jpg"
# Or start a job with a document; the name becomes the job's id
aws stepfunctions start-execution --state-machine-arn {machine} --name my-job-1 --input '{document}'

# Where are the jobs: id, state, the API's word, outcome
aws dynamodb scan --table-name {table} --output text --query '{columns}'
# Where is one job
aws dynamodb get-item --table-name {table} --key '{{"job_id": {{"S": "my-job-1"}}}}'
# The results, and copies of them
aws s3 ls s3://{results}/results/ --recursive
aws s3 sync s3://{results}/results {folder}/results
"""
_COLUMNS = "Items[].[job_id.S, state.S, provider_status.S, verdict.M.outcome.S]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the stack up and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.serve", description="Keep the local stack up until Ctrl-C.")
    terminal.add_simulator_options(parser)
    options = parser.parse_args(arguments)
    console = terminal.make_console()
    return terminal.run(console, lambda: _serve(options, console))


def _serve(options: argparse.Namespace, console: Console) -> int:
    _lay_out_files()
    engine = Engine(log_path=FOLDER / "engine.log")
    simulator = Simulator(
        queue_seconds=options.queue_seconds, task_seconds=options.task_seconds, log=FOLDER / "simulator.log"
    )
    with running_stack(engine, simulator, say=terminal.stopwatch(console)) as stack:
        stack.put_preset("default", PRESETS["default"])
        console.print(command_lines(engine.environ(), stack.outputs), soft_wrap=True)
        console.print(f"The engine is at {engine.endpoint}, the simulator at {simulator.base_url};", soft_wrap=True)
        console.print(f"their logs are in {FOLDER.relative_to(ROOT)}. Ctrl-C ends both and forgets everything.")
        with suppress(KeyboardInterrupt):
            while engine.healthy():
                time.sleep(2)
            raise terminal.CommandError(f"The engine has ended by itself; see {FOLDER.relative_to(ROOT)}/engine.log")
    console.print("\nStopped; everything that was started has ended.")
    return 0


def command_lines(environ: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    """Lines for the AWS CLI that work as they stand."""
    document = {"model": MODEL, "prompt": PROMPT, "references": ["inbox/sample.jpg"]}
    return _LINES.format(
        exports="\n".join(f"export {name}={value}" for name, value in environ.items()),
        folder=FOLDER.relative_to(ROOT),
        inbox=outputs["InboxBucket"],
        results=outputs["ResultsBucket"],
        table=outputs["JobsTable"],
        machine=outputs["JobsMachineArn"],
        document=json.dumps(document),
        columns=_COLUMNS,
    )


def _lay_out_files() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "sample.jpg").write_bytes(samples.harbour())
    (FOLDER / "preset.json").write_text(json.dumps(PRESETS["poster"], indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
