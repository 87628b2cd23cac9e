/** What an error of the service says. Every error but an internal one has a reason of the contract (`ErrorReason`, without its prefix). */
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

export interface Explanation {
  code: Code;
  /** Such as "INVALID_FIELD"; empty when nobody answered, or the fault is the service's. */
  reason: string;
  /** The reason's data, by name. */
  metadata: Record<string, string>;
  /** What is allowed in each bad field, by its path in the request. */
  fieldViolations: Record<string, string>;
  /** After how long a retry may help. */
  retryMs: number | undefined;
}

/** Returns what a failed call says. */
export function explain(error: unknown): Explanation {
  const failed = ConnectError.from(error);
  const info = failed.findDetails(ErrorInfoSchema)[0];
  const violations = failed.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations);
  const delay = failed.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: failed.code,
    reason: info?.reason ?? "",
    metadata: info?.metadata ?? {},
    fieldViolations: Object.fromEntries(violations.map(({ field, description }) => [field, description])),
    retryMs: delay && durationMs(delay),
  };
}
