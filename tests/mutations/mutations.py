"""What must not be broken unnoticed: one mutation for each mechanism behind docs/promises.md (others: ``threats``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMISES = (ROOT / "docs" / "promises.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text()
_TEST = re.compile(r"`(tests/[\w/]+\.py::\w+)`")
_PACKAGE = "layers/bucketbrush/bucketbrush"


@dataclass(frozen=True)
class Mutation:
    """``old`` stands exactly once in ``file``; with ``new`` in its place a test must fail."""

    name: str
    file: str
    old: str
    new: str

    @property
    def test(self) -> str:
        """The test that stands beside the mutation: in docs/promises.md and docs/security.md the same."""
        rows = [row for row in f"{PROMISES}\n{SECURITY}".splitlines() if f"*{self.name}*" in row]
        (test,) = {_TEST.findall(row)[0] for row in rows}
        return test

    def applied_to(self, text: str) -> str:
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} stands {text.count(self.old)} times in {self.file}")
        return text.replace(self.old, self.new)


MUTATIONS = (
    Mutation(
        "create a row that is there already",
        f"{_PACKAGE}/adapters/ledger.py",
        'ConditionExpression="attribute_not_exists(job_id)"',
        'ConditionExpression="attribute_not_exists(nothing)"',
    ),
    Mutation(
        "change a row that another has changed",
        f"{_PACKAGE}/adapters/ledger.py",
        "{name: before[name] for name in seen if name in before}",
        '{"job_id": job.job_id}',
    ),
    Mutation(
        "write a second task id",
        f"{_PACKAGE}/adapters/ledger.py",
        "absent=sorted({*names.intersection(WRITE_ONCE), *(",
        "absent=sorted({*(",
    ),
    Mutation(
        "take one id for two documents",
        f"{_PACKAGE}/submit.py",
        "if digest and found.request != digest:",
        "if digest and not found.request:",
    ),
    Mutation(
        "take results for drops",
        f"{_PACKAGE}/domain/layout.py",
        "or (self.results and key.startswith(self.results)):",
        "or not key:",
    ),
    Mutation(
        "give a mask to the next upload too",
        f"{_PACKAGE}/domain/companions.py",
        "                yield _State()\n",
        "                yield _State(ready)\n",
    ),
    Mutation(
        "pass over a late sidecar",
        f"{_PACKAGE}/domain/companions.py",
        "if is_first and is_newest and",
        "if not is_first and is_newest and",
    ),
    Mutation(
        "pass over a mask that nothing asks for",
        f"{_PACKAGE}/documents.py",
        "if masks and masks[-1].version:",
        "if len(masks) > 99:",
    ),
    Mutation(
        "leave out what a variable cannot fill",
        f"{_PACKAGE}/domain/variables.py",
        "if name not in values]",
        "if name in values]",
    ),
    Mutation(
        "let two sweeps work on one job",
        f"{_PACKAGE}/adapters/ledger.py",
        'seen if absent else {**seen, "next_check": job.next_check},',
        "seen,",
    ),
    Mutation(
        "pass a live lease",
        f"{_PACKAGE}/domain/jobs.py",
        "if self.lease_until > now:",
        "if self.lease_until > now + 3600:",
    ),
    Mutation(
        "let finalize send a job back to be submitted",
        f"{_PACKAGE}/domain/life.py",
        "Step(State.SUBMITTING, State.ACCEPTED, _SUBMIT,",
        "Step(State.SUBMITTING, State.ACCEPTED, (*_SUBMIT, *_FINALIZE),",
    ),
    Mutation(
        "repeat the POST",
        f"{_PACKAGE}/adapters/toapis.py",
        "verify=trusted)",
        "transport=_Again(verify=trusted))\n\n\n"
        "class _Again(httpx.HTTPTransport):\n"
        "    def handle_request(self, request: httpx.Request) -> httpx.Response:\n"
        "        try:\n"
        "            return super().handle_request(request)\n"
        "        except httpx.TransportError:\n"
        "            return super().handle_request(request)\n",
    ),
    Mutation(
        "send before the row says so",
        f"{_PACKAGE}/submit.py",
        "        body = request_body(recipe, model, links, mask_link, job.job_id)\n",
        "        body = request_body(recipe, model, links, mask_link, job.job_id)\n        provider.submit(body)\n",
    ),
    Mutation(
        "send again what may have been sent",
        f"{_PACKAGE}/submit.py",
        "            elif job.state is State.SUBMITTING:\n                job = self._look_up(job, invocation)",
        "            elif job.state is State.SUBMITTING:\n                job = self._send(job, order)",
    ),
    Mutation(
        "take a lost answer for a refusal",
        f"{_PACKAGE}/submit.py",
        "return self._hold(job, State.SUBMITTING, problem, departure=None)",
        "return self._hold(job, State.ACCEPTED, problem, departure=None)",
    ),
    Mutation(
        "give up the look-up at once",
        f"{_PACKAGE}/submit.py",
        "if looked_for < self.settings.lookup_seconds:",
        "if looked_for < 0:",
    ),
    Mutation(
        "resend without end",
        f"{_PACKAGE}/submit.py",
        "if may_resend and not job.resends:",
        "if may_resend:",
    ),
    Mutation(
        "run a paid job again unasked",
        f"{_PACKAGE}/intake.py",
        "job.verdict.money is not Money.NOT_MOVED",
        "job.verdict.money is Money.UNKNOWN",
    ),
    Mutation(
        "announce before storing",
        f"{_PACKAGE}/finalize.py",
        "        if self.results.write_once(",
        "        self.announcements.tell(announcement_of(made, self.settings.results_bucket, key))\n"
        "        if self.results.write_once(",
    ),
    Mutation(
        "overwrite result.json",
        f"{_PACKAGE}/adapters/objects.py",
        '            ContentType="application/json",\n            IfNoneMatch="*",\n',
        '            ContentType="application/json",\n',
    ),
    Mutation(
        "repeat the POST with another key",
        f"{_PACKAGE}/adapters/toapis.py",
        'with self._minding_the_key("submit", answer):\n',
        """if self._has_new_key(answer):
            answer = self._ask("POST", self._generations, json=body)
        with self._minding_the_key("submit", answer):
""",
    ),
    Mutation(
        "read a refused key from the cache",
        f"{_PACKAGE}/adapters/secrets.py",
        "force_fetch=anew",
        "force_fetch=False",
    ),
    Mutation(
        "keep to a key that was replaced",
        f"{_PACKAGE}/adapters/toapis.py",
        "self._keys.append(key)",
        "self._keys.insert(0, key)",
    ),
    Mutation(
        "end a job for a key that was replaced",
        f"{_PACKAGE}/adapters/toapis.py",
        "raise KeyReplaced(",
        "raise KeyRefused(",
    ),
    Mutation(
        "take half a picture for a whole one",
        f"{_PACKAGE}/adapters/objects.py",
        "if not is_whole(kind, self._tail):",
        "if self._announced is None and not is_whole(kind, self._tail):",
    ),
    Mutation(
        "throw an upload away before its last part has come",
        f"{_PACKAGE}/adapters/objects.py",
        "        wait(self._sending)\n",
        "",
    ),
    Mutation(
        "leave the others going when one has a fault",
        f"{_PACKAGE}/store.py",
        "            self.is_over = True\n",
        "",
    ),
    Mutation(
        "call what could not be copied an outcome",
        f"{_PACKAGE}/finalize.py",
        "if stored.later and len(stored.pictures) < job.asked and",
        "if stored.later and not stored.pictures and",
    ),
    Mutation(
        "expire without a last look",
        f"{_PACKAGE}/finalize.py",
        "        kept = self.store.kept(job, there)\n",
        "        kept = self.store.kept(job, there)\n"
        "        if deadlines.is_overdue(job, int(self.now()), self.settings.deadline_seconds):\n"
        '            return self._result(job, verdicts.expired(job, TaskUnfinished("nothing."), 1))\n',
    ),
    Mutation(
        "end a job whose execution runs",
        f"{_PACKAGE}/sweep.py",
        "if status == RUNNING and",
        "if status is None and",
    ),
    Mutation(
        "tell the provider's words as they come",
        f"{_PACKAGE}/domain/redact.py",
        'plain = _KEY.sub("[key removed]", _URL.sub("[link removed]", plain))',
        "plain = plain.strip()",
    ),
    Mutation(
        "fetch results from any host",
        f"{_PACKAGE}/adapters/toapis.py",
        "if not (is_below(host, self._result_hosts) or",
        "if not (is_below(host, [*self._result_hosts, host]) or",
    ),
    Mutation(
        "pay for what was not looked into",
        f"{_PACKAGE}/prepare.py",
        '                problems.append(f"{name}{problem.message}")\n',
        "                problems = []\n",
    ),
    Mutation(
        "look into pictures anew after the first intent",
        f"{_PACKAGE}/submit.py",
        "{} if job.recipe else self.prepare(job, order.document)",
        "self.prepare(job, order.document)",
    ),
    Mutation(
        "call a failed second sending unpaid",
        f"{_PACKAGE}/submit.py",
        "            except (RecipeInvalid, ApiKeyMissing, PriceUnknown, BudgetExceeded, ProviderRefused) as problem:\n"
        '                reason = f"{reason} It could not be sent again: {problem.message}"\n',
        "            except (RecipeInvalid, ApiKeyMissing) as problem:\n"
        '                reason = f"{reason} It could not be sent again: {problem.message}"\n'
        "            except ProviderRefused as problem:\n"
        "                return self._refused(job, problem)\n",
    ),
    Mutation(
        "send before the departure",
        f"{_PACKAGE}/depart.py",
        "if wait > (0 if _is_new(job) else _SHORT):",
        "if wait > 3_600_000:",
    ),
    Mutation(
        "leave without another look",
        f"{_PACKAGE}/depart.py",
        "            schedule = self.departures.read()\n",
        "            schedule = Schedule()\n",
    ),
    Mutation(
        "let everybody run into a 429",
        f"{_PACKAGE}/depart.py",
        "            self.departures.stop(now, now + min(seconds, _LONGEST_STOP) * _MS)",
        "            self.departures.read()",
    ),
    Mutation(
        "send the refused one behind all others",
        f"{_PACKAGE}/depart.py",
        "return self.departures.make_in_front(now)",
        "return self.departures.take(now, now + 86_400_000)",
    ),
    Mutation(
        "give one departure to two jobs",
        f"{_PACKAGE}/adapters/departures.py",
        'condition = "attribute_not_exists(next_departure) OR next_departure <= :now"',
        'condition = "attribute_not_exists(next_departure) OR :now > :zero"\n'
        '        return self._update("SET next_departure = :next", condition, now=now, next=now + self._step, zero=0)',
    ),
    Mutation(
        "reserve without a limit",
        f"{_PACKAGE}/submit.py",
        "limit=self.settings.budget, **intent",
        "limit=None, **intent",
    ),
    Mutation(
        "write the month's budget by itself",
        f"{_PACKAGE}/adapters/ledger.py",
        "self._client.transact_write_items(TransactItems=statements)  # type: ignore[arg-type]",
        "self._client.update_item(**statements[1]['Update'])\n                self._client.update_item(**statement)",
    ),
    Mutation(
        "count a bill twice",
        f"{_PACKAGE}/adapters/ledger.py",
        "seen = [*_SEEN, _SHARE] if budget else _SEEN",
        "seen = _SEEN",
    ),
    Mutation(
        "release what may have been paid",
        f"{_PACKAGE}/domain/money.py",
        "    if money is Money.NOT_MOVED:\n        return None\n",
        "    if money is not Money.MOVED:\n        return None\n",
    ),
    Mutation(
        "forget the sweep's alarm",
        "template.yaml",
        "      TreatMissingData: breaching\n",
        "      TreatMissingData: notBreaching\n",
    ),
    Mutation(
        "let a failing look end the task",
        "template.yaml",
        "Assign: {least: 0, most: 900}, Next: Wait}\n",
        "Assign: {least: 0, most: 900}, Next: Finalize}\n",
    ),
    Mutation(
        "plan without what was measured",
        f"{_PACKAGE}/submit.py",
        "self.knowledge.shape(ordered)",
        "self.knowledge.shape(job.model_copy(update={'recipe': {}}))",
    ),
    Mutation(
        "weigh a job by a landmark that has moved",
        f"{_PACKAGE}/adapters/durations.py",
        "attribute_not_exists(landmark) OR landmark = :landmark",
        "attribute_not_exists(landmark) OR landmark <> :one",
    ),
    Mutation(
        "believe any row",
        f"{_PACKAGE}/domain/durations.py",
        "if not sum(self.aged.values()) <= _MOST_JOBS:",
        "if not self.aged.values():",
    ),
    Mutation(
        "believe any clock",
        f"{_PACKAGE}/domain/durations.py",
        "if max(0, least - _CLOCK_SECONDS) <= said <= seen_at - job.submitted_at + _CLOCK_SECONDS:",
        "if said:",
    ),
    Mutation(
        "learn from tasks that failed",
        f"{_PACKAGE}/domain/durations.py",
        "if not result.outcome.succeeded or job.submitted_at is None:",
        "if job.submitted_at is None:",
    ),
    Mutation(
        "fail without the table",
        f"{_PACKAGE}/knowledge.py",
        "            _note(str(problem))\n            return {}\n",
        "            raise problem\n",
    ),
    Mutation(
        "use the plan up by looks that fail",
        "template.yaml",
        "Assign: {step: '{% $step - 1 %}'}",
        "Assign: {step: '{% $step %}'}",
    ),
    Mutation(
        "wait beyond the deadline",
        "template.yaml",
        "$max([$least, $min([$most, $planned])])",
        "$max([$least, $planned])",
    ),
)
