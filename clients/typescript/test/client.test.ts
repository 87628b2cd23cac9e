import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import { Code } from "@connectrpc/connect";

import {
  type Decision,
  type Keepwell,
  type TokenStore,
  InterventionStage,
  Verdict,
  connect,
  explain,
  watch,
} from "../src/index.js";
import { Server } from "./server.js";

const EARLIEST = { position: { case: "earliest" as const, value: {} } };
let server: Server;

before(async () => {
  server = await Server.start();
});
after(() => server.close());

function client(): Keepwell {
  return connect(server.baseUrl, `t${randomUUID().slice(0, 8)}`);
}

function memory(): TokenStore {
  let kept: string | undefined;
  return {
    load: () => kept,
    save: (token) => {
      kept = token;
    },
  };
}

async function decide(keepwell: Keepwell, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let number = 0; number < count; number += 1) {
    const { decision } = await keepwell.decisions.decide({ leadId: "lead", churnProbability: 0.5 });
    ids.push(decision!.decisionId);
  }
  return ids;
}

async function take(decisions: AsyncGenerator<Decision>, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const { value } = await decisions.next();
    ids.push(value!.decisionId);
  }
  return ids;
}

test("a lead in early warning gets an e-mail, and the same id the same decision", async () => {
  const { decisions } = client();
  const request = {
    requestId: "once",
    leadId: "lead-1",
    churnProbability: 0.5,
    profile: { timeZone: "Europe/Paris" },
  };
  const first = await decisions.decide(request);
  assert.equal(first.decision?.assessment?.stage, InterventionStage.EARLY_WARNING);
  assert.ok(first.decision.verdict === Verdict.CONTACT || first.decision.verdict === Verdict.HELD_OUT);
  const again = await decisions.decide(request);
  assert.deepEqual(again.decision, first.decision);
  assert.deepEqual([first.replayed, again.replayed], [false, true]);
});

test("a bad field is an error that names it with what is allowed", async () => {
  await assert.rejects(client().decisions.decide({ leadId: "a b" }), (error) => {
    const { code, reason, fieldViolations } = explain(error);
    assert.deepEqual([code, reason], [Code.InvalidArgument, "INVALID_FIELD"]);
    assert.deepEqual(Object.keys(fieldViolations), ["lead_id"]);
    return true;
  });
});

test("a deadline that passes while a call waits to be tried again is said to have passed", async () => {
  const { decisions } = connect("http://127.0.0.1:1", "nobody");
  const request = { leadId: "lead", churnProbability: 0.5 };
  await assert.rejects(decisions.decide(request, { timeoutMs: 50 }), (error) => explain(error).code === Code.DeadlineExceeded);
  const signal = AbortSignal.timeout(50);
  await assert.rejects(decisions.decide(request, { signal }), (error) => explain(error).code === Code.Canceled);
});

test("a portfolio is answered item by item, and a bad one harms no other", async () => {
  async function* messages() {
    for (let first = 0; first < 600; first += 200) {
      const numbers = Array.from({ length: 200 }, (_, place) => first + place);
      yield { requests: numbers.map((n) => ({ requestId: `r${n}`, leadId: n ? `lead-${n}` : "a b", churnProbability: 0.5 })) };
    }
  }
  const decided = new Set<string>();
  const refused: string[] = [];
  for await (const { results } of client().decisions.decideStream(messages(), { timeoutMs: 60_000 })) {
    for (const { requestId, outcome } of results) {
      if (outcome.case === "decision") {
        decided.add(requestId);
      } else {
        refused.push(requestId);
      }
    }
  }
  assert.equal(decided.size, 599);
  assert.deepEqual(refused, ["r0"]);
});

test("a watcher goes on after its saved token", async () => {
  const keepwell = client();
  const tokens = memory();
  const made = await decide(keepwell, 3);
  const first = watch(keepwell.feed, tokens, { start: EARLIEST });
  assert.deepEqual(await take(first, 3), made);
  const more = await decide(keepwell, 1);
  assert.deepEqual(await take(first, 1), more); // asking for it said that the three are handled
  await first.return();
  const second = watch(keepwell.feed, tokens);
  assert.deepEqual(await take(second, 1), more);
  await second.return();
});

test("a filter lets through what it names", async () => {
  const keepwell = client();
  await decide(keepwell, 1);
  const { decision } = await keepwell.decisions.decide({ leadId: "lead", churnProbability: 0.7 });
  const filter = { stages: [InterventionStage.ACTIVE_RISK] };
  const atRisk = watch(keepwell.feed, memory(), { start: EARLIEST, filter });
  assert.deepEqual(await take(atRisk, 1), [decision?.decisionId]);
  await atRisk.return();
});

test("an aborted watcher ends with an error", async () => {
  const abort = new AbortController();
  const waiting = watch(client().feed, memory(), { signal: abort.signal }).next();
  abort.abort();
  await assert.rejects(waiting);
});

test("a token of another filter is refused with a reason", async () => {
  const keepwell = client();
  const tokens = memory();
  await decide(keepwell, 1);
  const all = watch(keepwell.feed, tokens, { start: EARLIEST });
  await take(all, 1);
  await decide(keepwell, 1);
  await take(all, 1);
  await all.return();
  await assert.rejects(watch(keepwell.feed, tokens, { filter: { escalationsOnly: true } }).next(), (error) => {
    assert.equal(explain(error).reason, "RESUME_TOKEN_INVALID");
    return true;
  });
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test(`a watcher lives through a ${signal} of the server and gets every decision once`, async () => {
    const keepwell = client();
    const decisions = watch(keepwell.feed, memory(), { start: EARLIEST });
    const made = await decide(keepwell, 3);
    assert.deepEqual(await take(decisions, 3), made);
    await server.end(signal);
    await server.run();
    const more = await decide(keepwell, 3);
    assert.deepEqual(await take(decisions, 3), more);
    await decisions.return();
  });
}
