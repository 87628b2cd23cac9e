/** What every call gets: the tenant's name, an idempotency key of its own, and retries while the service is unavailable. */
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";

import { clone } from "@bufbuild/protobuf";
import { Code, type Interceptor } from "@connectrpc/connect";

import { explain } from "./errors.js";

const ATTEMPTS = 5;
const FIRST_DELAY_MS = 100;

export function naming(tenant: string): Interceptor {
  return (next) => (call) => {
    call.header.set("x-keepwell-tenant", tenant);
    return next(call);
  };
}

/** Gives a request an id when it has none and could have one: the same in each of the call's retries. */
export const keying: Interceptor = (next) => (call) => {
  if (call.stream || !("requestId" in call.message) || call.message.requestId) {
    return next(call);
  }
  const message = Object.assign(clone(call.method.input, call.message), { requestId: randomUUID() });
  return next({ ...call, message });
};

/** Sends a unary call again while the service is unavailable or ends under it, after the delay that it names. */
export const retrying: Interceptor = (next) => async (call) => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await next(call);
    } catch (error) {
      const { code, retryMs } = explain(error);
      // Canceled without an aborted signal: a server ended under the call.
      const gone = code === Code.Unavailable || (code === Code.Canceled && !call.signal.aborted);
      if (call.stream || !gone || attempt === ATTEMPTS) {
        throw error;
      }
      await setTimeout(retryMs ?? FIRST_DELAY_MS * 2 ** (attempt - 1), undefined, { signal: call.signal });
    }
  }
};
