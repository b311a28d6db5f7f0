"""A local ToAPIs: the image API as a real HTTP server, for people who integrate it and want to spend nothing.

    with Simulator(queue_seconds=0.2, task_seconds=1.0) as simulator:
        httpx.post(f"{simulator.base_url}/v1/images/generations", ...)

or, from a shell, `python -m local.simulator --port 8123`. Its rules are written from two pages of the API's
documentation, "ToAPIs image editing page (gpt-image-1.5-official)" and "ToAPIs GPT-Image-2-VIP page"; what those leave
open (status, uploads, errors) follows the general ToAPIs pages on task status, uploads, rate limits and errors.
"""

from local.simulator.process import Simulator, SimulatorError

__all__ = ["Simulator", "SimulatorError"]
