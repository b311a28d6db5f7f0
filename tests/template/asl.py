"""Checks a Step Functions definition in JSONata, because no linter reads one that stands inside a template.

The rules are those of the AWS Step Functions Developer Guide: "State machine structure in Amazon States Language",
the page of each state type ("Task workflow state", "Choice workflow state", "Wait workflow state", ...), "Handling
errors in Step Functions workflows", "Passing data between states with variables" and "Transforming data with JSONata";
and of the Amazon States Language specification (states-language.net). The house adds: a Task has TimeoutSeconds and
Retry, a retrier MaxDelaySeconds and full jitter, a Choice a Default, the machine TimeoutSeconds.

Map and Parallel are not known here: a definition that begins to use them needs this checker to learn them first.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from jsonata.jexception import JException
from jsonata.jsonata import Jsonata
from jsonata.parser import Parser

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

Definition = dict[str, Any]

_COMMON = {"Type", "Comment", "QueryLanguage"}
_MOVES = {"Next", "End", "Assign", "Output"}
_MACHINE = {"Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"}
_FIELDS = {
    "Task": _COMMON
    | _MOVES
    | {"Resource", "Arguments", "Credentials", "TimeoutSeconds", "HeartbeatSeconds", "Retry", "Catch"},
    "Choice": _COMMON | {"Choices", "Default", "Assign", "Output"},
    "Wait": _COMMON | _MOVES | {"Seconds", "Timestamp"},
    "Pass": _COMMON | _MOVES,
    "Succeed": _COMMON | {"Output"},
    "Fail": _COMMON | {"Error", "Cause"},
}
_REQUIRED = {"Task": {"Resource", "TimeoutSeconds", "Retry"}, "Choice": {"Choices", "Default"}}
_ONE_OF = {
    "Task": [("Next", "End")],
    "Pass": [("Next", "End")],
    "Wait": [("Next", "End"), ("Seconds", "Timestamp")],
}
_RULE = {"Condition", "Next", "Assign", "Output", "Comment"}
_CATCHER = {"ErrorEquals", "Next", "Assign", "Output", "Comment"}
_RETRIER = {
    "ErrorEquals",
    "IntervalSeconds",
    "MaxAttempts",
    "BackoffRate",
    "MaxDelaySeconds",
    "JitterStrategy",
    "Comment",
}
_LEAST = {"IntervalSeconds": 1, "MaxAttempts": 0, "BackoffRate": 1, "MaxDelaySeconds": 1}
_JSONPATH = {"InputPath", "OutputPath", "Parameters", "ResultSelector", "ResultPath", "Result", "Variable"} | {
    f"{field}Path" for field in ("Seconds", "Timestamp", "TimeoutSeconds", "HeartbeatSeconds", "Error", "Cause")
}
# In these the text is taken as it stands.
_LITERAL = {"Type", "QueryLanguage", "Resource", "Next", "Default", "Retry", "ErrorEquals"}
_LISTS = {"Comment", "Choices", "Catch"}
_ALWAYS = {"input", "context"}
# "Transforming data with JSONata": all functions of JSONata but $eval, and these.
_FUNCTIONS = (set(Jsonata.static_frame.bindings) - {"eval"}) | {"partition", "range", "hash", "uuid", "parse"}


def problems(definition: Definition) -> list[str]:
    """Every fault as "State.field: what is wrong", in the order of the states; none means sound."""
    states: dict[str, Definition] = definition.get("States", {})
    found = [*_machine(definition)]
    for name, state in states.items():
        if state.get("Type") in _FIELDS:
            found += [f"{name}{where}: {what}" for where, what in _state(state)]
        else:
            found.append(f"{name}.Type: found {state.get('Type')}; allowed: {', '.join(_FIELDS)}")
    if not found:  # a graph of unsound states says nothing
        found += [*_graph(definition["StartAt"], states)]
    return found or [*_flow(definition["StartAt"], states)]


# ---- Shapes ----------------------------------------------------------------------------------------------------

_Fault = tuple[str, str]  # where in the state, what is wrong


def _machine(definition: Definition) -> Iterator[str]:
    for where, what in _shape("", definition, _MACHINE, {"StartAt", "States", "TimeoutSeconds"}):
        yield f"the machine{where}: {what}"
    if definition.get("QueryLanguage") != "JSONata":
        yield "the machine.QueryLanguage: must be JSONata"
    states = definition.get("States", {})
    if "StartAt" in definition and definition["StartAt"] not in states:
        yield f"the machine.StartAt: there is no state {definition['StartAt']}"
    for name, state in states.items():
        for edge in _edges(state):
            if edge.target not in states:
                yield f"{name}{edge.where}: there is no state {edge.target}"


def _shape(where: str, item: Definition, allowed: Collection[str], required: Iterable[str] = ()) -> Iterator[_Fault]:
    for field in item:
        if field in allowed:
            continue
        yield f"{where}.{field}", "is a field of JSONPath" if field in _JSONPATH else "is no field of this"
    for field in sorted(set(required) - set(item)):
        yield f"{where}.{field}", "is missing"


def _state(state: Definition) -> Iterator[_Fault]:
    kind = state["Type"]
    yield from _shape("", state, _FIELDS[kind], _REQUIRED.get(kind, ()))
    if state.get("QueryLanguage", "JSONata") != "JSONata":
        yield ".QueryLanguage", "must be JSONata"
    if state.get("End", True) is not True:
        yield ".End", "can only be true"
    for fields in _ONE_OF.get(kind, ()):
        if sum(field in state for field in fields) != 1:
            yield f".{fields[0]}", f"exactly one of {' and '.join(fields)} is needed"
    for field in ("Choices", "Retry"):
        if state.get(field) == []:
            yield f".{field}", "is empty"
    yield from _parts(state)
    yield from _texts(state)


def _parts(state: Definition) -> Iterator[_Fault]:
    for where, rule in _items(state, "Choices"):
        yield from _shape(where, rule, _RULE, {"Condition", "Next"})
    for where, catcher in _items(state, "Catch"):
        yield from _shape(where, catcher, _CATCHER, {"ErrorEquals", "Next"})
    for where, retrier in _items(state, "Retry"):
        yield from _retrier(where, retrier)
    for field in ("Retry", "Catch"):
        yield from _order(field, state.get(field, []))


def _items(state: Definition, field: str) -> Iterator[tuple[str, Definition]]:
    for index, item in enumerate(state.get(field, [])):
        yield f".{field}[{index}]", item


def _retrier(where: str, retrier: Definition) -> Iterator[_Fault]:
    delays = {"MaxDelaySeconds", "JitterStrategy"} if retrier.get("MaxAttempts") != 0 else set()
    yield from _shape(where, retrier, _RETRIER, {"ErrorEquals", *delays})
    if retrier.get("JitterStrategy", "FULL") != "FULL":
        yield f"{where}.JitterStrategy", f"found {retrier['JitterStrategy']}; must be FULL"
    for field, least in _LEAST.items():
        if retrier.get(field, least) < least:
            yield f"{where}.{field}", f"found {retrier[field]}; must be {least} or more"
    if retrier.get("IntervalSeconds", 1) > retrier.get("MaxDelaySeconds", retrier.get("IntervalSeconds", 1)):
        yield f"{where}.MaxDelaySeconds", "is shorter than IntervalSeconds"


def _order(field: str, items: list[Definition]) -> Iterator[_Fault]:
    for index, item in enumerate(items):
        names = item.get("ErrorEquals", ["?"])
        where = f".{field}[{index}].ErrorEquals"
        if not names:
            yield where, "names no error"
        if "States.ALL" in names and (len(names) > 1 or index < len(items) - 1):
            yield where, "States.ALL must stand alone and last"


# ---- Expressions -------------------------------------------------------------------------------------------------


class _Text(NamedTuple):
    """A string in a field, and what an expression there may read of $states."""

    where: str
    text: str
    members: Collection[str]
    literal: bool


def _texts(state: Definition) -> Iterator[_Fault]:
    for holder in _holders(state):
        yield from _assign(holder)
        for text in _strings(holder):
            yield from _text_faults(text)


class _Holder(NamedTuple):
    """A state, or a rule or catcher within it: what carries fields of its own. `members` are for Assign and Output."""

    where: str
    fields: Definition
    members: Collection[str]


def _holders(state: Definition) -> Iterator[_Holder]:
    yield _Holder("", state, _ALWAYS | {"result"} if state.get("Type") == "Task" else _ALWAYS)
    yield from (_Holder(where, rule, _ALWAYS) for where, rule in _items(state, "Choices"))
    yield from (_Holder(where, catcher, _ALWAYS | {"errorOutput"}) for where, catcher in _items(state, "Catch"))


def _strings(holder: _Holder) -> Iterator[_Text]:
    for field, value in holder.fields.items():
        members = holder.members if field in ("Assign", "Output") else _ALWAYS
        if field not in _LISTS:
            for where, text in _leaves(f"{holder.where}.{field}", value):
                yield _Text(where, text, members, field in _LITERAL)


def _leaves(where: str, value: Any) -> Iterator[tuple[str, str]]:
    """All strings of a JSON value; the keys that JSONPath would evaluate are among them."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(f"{where}[{index}]", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(f"{where}.{key}", item)


def _text_faults(found: _Text) -> Iterator[_Fault]:
    where, text, members, literal = found
    if where.endswith(".$"):
        yield where, "a key that ends in .$ is JSONPath"
    if "{%" not in text and "%}" not in text:
        return
    if literal:
        yield where, "takes no expression"
    elif not _is_whole(text):
        yield where, f"an expression must be the whole text, found {text}"
    else:
        yield from _expression_faults(where, text, members)


def _is_whole(text: str) -> bool:
    return text.startswith("{%") and text.endswith("%}") and text.count("{%") == text.count("%}") == 1


def _expression_faults(where: str, text: str, members: Collection[str]) -> Iterator[_Fault]:
    try:
        names = _names(text)
    except JException as error:
        yield where, f"is no JSONata: {error}"
        return
    for name in sorted(names):
        if name.startswith("states.") and name[7:] not in members:
            yield where, f"${name} is not known here; known: {', '.join(f'$states.{m}' for m in sorted(members))}"
        if name.startswith("?"):
            yield where, f"{name[1:]} is read of no document; start with $states or a variable"


def _names(text: str) -> set[str]:
    """What an expression reads: "name" for a variable, "states.member", "?field" for a path that starts nowhere."""
    return set(_walk(Jsonata(text[2:-2].strip()).ast, _FUNCTIONS)) if _is_whole(text) else set()


def _variables(text: str) -> set[str]:
    return {name for name in _names(text) if not name.startswith(("?", "states."))}


def _walk(node: Any, bound: set[str]) -> Iterator[str]:
    """`bound` holds functions, lambda parameters and local variables, and "" where a context (a plain $) exists."""
    if isinstance(node, list | tuple):
        for item in node:
            yield from _walk(item, bound)
    elif isinstance(node, Parser.Symbol):
        special = {"variable": _variable, "path": _path, "lambda": _lambda, "block": _block, "bind": _bind}
        yield from special.get(node.type, _children)(node, bound)


def _children(node: Any, bound: set[str]) -> Iterator[str]:
    for name, child in vars(node).items():
        inner = bound | {""} if name in ("predicate", "stages", "group") else bound
        if name not in ("outer_instance", "_outer_instance"):
            yield from _walk(child, inner)


def _variable(node: Any, bound: set[str]) -> Iterator[str]:
    if node.value == "$" or (node.value == "" and "" not in bound):
        yield f"?{'$' * (len(node.value) + 1)}"
    elif node.value == "states":
        yield "states.?"
    elif node.value not in bound:
        yield node.value
    yield from _children(node, bound)


def _path(node: Any, bound: set[str]) -> Iterator[str]:
    first, *rest = node.steps
    if first.type == "name" and "" not in bound:
        yield f"?{first.value}"
    elif first.type == "variable" and first.value == "states" and rest and rest[0].type == "name":
        yield f"states.{rest[0].value}"
        yield from _children(first, bound)
    else:
        yield from _walk(first, bound)
    yield from _walk(rest, bound | {""})
    if getattr(node, "group", None):
        yield from _walk(node.group, bound | {""})


def _lambda(node: Any, bound: set[str]) -> Iterator[str]:
    yield from _walk(node.body, bound | {argument.value for argument in node.arguments})


def _block(node: Any, bound: set[str]) -> Iterator[str]:
    inner = set(bound)
    for expression in node.expressions:
        yield from _walk(expression, inner)
        if expression.type == "bind":
            inner.add(expression.lhs.value)


def _bind(node: Any, bound: set[str]) -> Iterator[str]:
    """A function may call itself."""
    yield from _walk(node.rhs, bound | {node.lhs.value} if node.rhs.type == "lambda" else bound)


def _assign(holder: _Holder) -> Iterator[_Fault]:
    """AWS evaluates one Assign and the Output beside it at once, with the variables as they were before."""
    assigned = holder.fields.get("Assign", {})
    if not isinstance(assigned, dict):
        yield f"{holder.where}.Assign", "must name variables"
        return
    for name in assigned:
        if not name.isidentifier() or name == "states":
            yield f"{holder.where}.Assign.{name}", "is no name for a variable"
    for key, value in [*assigned.items(), (None, holder.fields.get("Output"))]:
        where = f"{holder.where}.Output" if key is None else f"{holder.where}.Assign.{key}"
        for name in sorted(_read_by(value) & (set(assigned) - {key})):
            yield where, f"reads ${name}, which is assigned in the same step"


def _read_by(value: Any) -> set[str]:
    found: set[str] = set()
    for _, text in _leaves("", value):
        try:
            found |= _variables(text)
        except JException:  # told where the expression stands
            continue
    return found


# ---- Graph and flow of data --------------------------------------------------------------------------------------


class _Edge(NamedTuple):
    where: str
    target: str
    assigned: set[str]


def _edges(state: Definition) -> Iterator[_Edge]:
    """A rule's or catcher's own Assign is done instead of the state's."""
    own = set(state.get("Assign") or ())
    for field in ("Next", "Default"):
        if field in state:
            yield _Edge(f".{field}", state[field], own)
    for field in ("Choices", "Catch"):
        for where, item in _items(state, field):
            if "Next" in item:
                yield _Edge(f"{where}.Next", item["Next"], set(item.get("Assign") or ()))


def _graph(start: str, states: dict[str, Definition]) -> Iterator[str]:
    forward = {name: {edge.target for edge in _edges(state)} for name, state in states.items()}
    backward = {name: {other for other in states if name in forward[other]} for name in states}
    ends = {name for name, state in states.items() if state["Type"] in ("Succeed", "Fail") or "End" in state}
    reached, ending = _closure({start}, forward), _closure(ends, backward)
    for name in states:
        if name not in reached:
            yield f"{name}: no way from {start} leads here"
        if name not in ending:
            yield f"{name}: no way from here ends the execution"


def _closure(seeds: set[str], neighbours: dict[str, set[str]]) -> set[str]:
    reached, waiting = set(seeds), deque(seeds)
    while waiting:
        new = neighbours[waiting.popleft()] - reached
        reached |= new
        waiting.extend(new)
    return reached


def _flow(start: str, states: dict[str, Definition]) -> Iterator[str]:
    known = _assigned_before(start, states)
    for name, state in states.items():
        for holder in _holders(state):
            for text in _strings(holder):
                for variable in sorted(_variables(text.text) - known[name]):
                    yield f"{name}{text.where}: ${variable} is not assigned on every way to here"


def _assigned_before(start: str, states: dict[str, Definition]) -> dict[str, set[str]]:
    """The variables that every way from the start to a state has assigned."""
    known: dict[str, set[str]] = {start: set()}
    waiting = deque([start])
    while waiting:
        name = waiting.popleft()
        for edge in _edges(states[name]):
            before = known.get(edge.target)
            after = known[name] | edge.assigned
            merged = after if before is None else before & after
            if merged != before:
                known[edge.target] = merged
                waiting.append(edge.target)
    return known
