/** The feed as one endless sequence, over as many streams as it takes. */
import { setTimeout } from "node:timers/promises";

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code } from "@connectrpc/connect";

import { explain } from "./errors.js";
import type { Decision } from "./gen/keepwell/v1/decision_pb.js";
import type { FeedFilterSchema, FeedService, FeedStartSchema } from "./gen/keepwell/v1/feed_service_pb.js";

/** Keeps one resume token. `save` is called when every decision up to it has been handled. */
export interface TokenStore {
  load(): Promise<string | undefined> | string | undefined;
  save(token: string): Promise<void> | void;
}

export interface WatchOptions {
  filter?: MessageInitShape<typeof FeedFilterSchema>;
  /** Where to start when there is no token yet; absent means what is decided from now on. */
  start?: MessageInitShape<typeof FeedStartSchema>;
  /** For how long streams may break one after the other without anything arriving; absent means 300,000. */
  patienceMs?: number;
  signal?: AbortSignal;
}

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
// What a connection that breaks in the middle of a stream is reported as, without a reason of the service's.
const BROKEN = [Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.Canceled];

/** Yields the tenant's decisions, each lead's in their order. A broken stream goes on after the saved token. */
export async function* watch(
  feed: Client<typeof FeedService>,
  tokens: TokenStore,
  { filter, start, patienceMs = 300_000, signal }: WatchOptions = {},
): AsyncGenerator<Decision, void, undefined> {
  let delayMs = FIRST_DELAY_MS;
  let failingSince = 0;
  for (;;) {
    const token = await tokens.load();
    const position = token ? { position: { case: "after" as const, value: token } } : start;
    const request = { ...(filter && { filter }), ...(position && { start: position }) };
    try {
      for await (const response of feed.watchDecisions(request, { timeoutMs: 0, ...(signal && { signal }) })) {
        yield* response.decisions;
        await tokens.save(response.resumeToken);
        delayMs = FIRST_DELAY_MS;
        failingSince = 0;
      }
    } catch (error) {
      failingSince ||= Date.now();
      if (signal?.aborted || !mayGoOn(error) || Date.now() - failingSince > patienceMs) {
        throw error;
      }
    }
    await setTimeout(delayMs, undefined, signal && { signal });
    delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS);
  }
}

function mayGoOn(error: unknown): boolean {
  const { code, reason } = explain(error);
  return reason === "SLOW_READER" || code === Code.Unavailable || (reason === "" && BROKEN.includes(code));
}
