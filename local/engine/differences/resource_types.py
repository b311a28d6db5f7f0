"""A stack can have saved queries of Logs Insights and sampling rules of X-Ray.

AWS ("AWS::Logs::QueryDefinition", "AWS::XRay::SamplingRule"): Ref of a saved query is its id, by which
DescribeQueryDefinitions lists it; Ref of a sampling rule is its ARN, as is its attribute RuleARN. Both are updated
without interruption.

The engine does not know the types and refuses a stack that has one. Closed by handlers of our own: saved queries are
kept and can be listed, but the engine runs only those parts of a query that it knows; sampling rules have no effect,
as the engine has no X-Ray.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region, json_response, new_uuid
from ministack.services import cloudwatch_logs
from ministack.services.cloudformation import provisioners

if TYPE_CHECKING:
    from local.engine.differences import Settings

_queries = AccountRegionScopedDict()


def _put_query(identifier: str, properties: dict[str, Any]) -> tuple[str, dict[str, str]]:
    _queries[identifier] = {
        "queryDefinitionId": identifier,
        "name": properties["Name"],
        "queryString": properties["QueryString"],
        "logGroupNames": properties.get("LogGroupNames", []),
    }
    return identifier, {"QueryDefinitionId": identifier}


def _create_query(_logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
    return _put_query(new_uuid(), properties)


def _update_query(identifier: str, _old: Any, new: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
    return _put_query(identifier, new)


def _delete_query(identifier: str, _properties: Any) -> None:
    _queries.pop(identifier, None)


def _create_rule(_logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
    name = properties["SamplingRule"]["RuleName"]
    arn = f"arn:aws:xray:{get_region()}:{get_account_id()}:sampling-rule/{name}"
    return arn, {"RuleARN": arn}


def _update_rule(arn: str, _old: Any, _new: Any, _stack: str) -> tuple[str, dict[str, str]]:
    return arn, {"RuleARN": arn}


def _delete_rule(_arn: str, _properties: Any) -> None:
    """Nothing is kept of a sampling rule."""


def close(_: Settings) -> None:
    """Add the types and the listing of saved queries, and forget them on a reset."""
    handle, reset = cloudwatch_logs.handle_request, cloudwatch_logs.reset

    async def handle_listing_too(method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        if not headers.get("x-amz-target", "").endswith(".DescribeQueryDefinitions"):
            return await handle(method, path, headers, body, *rest)
        prefix = json.loads(body).get("queryDefinitionNamePrefix", "")
        found = [query for query in _queries.values() if query["name"].startswith(prefix)]
        return json_response({"queryDefinitions": found})

    def reset_queries_too() -> None:
        _queries.clear()
        reset()

    cloudwatch_logs.handle_request, cloudwatch_logs.reset = handle_listing_too, reset_queries_too
    provisioners._RESOURCE_HANDLERS |= {
        "AWS::Logs::QueryDefinition": {"create": _create_query, "update": _update_query, "delete": _delete_query},
        "AWS::XRay::SamplingRule": {"create": _create_rule, "update": _update_rule, "delete": _delete_rule},
    }
