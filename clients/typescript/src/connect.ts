/** A client of each service, over one gRPC connection. */
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, type GrpcTransportOptions } from "@connectrpc/connect-node";

import { DecisionService } from "./gen/keepwell/v1/decision_service_pb.js";
import { EscalationService } from "./gen/keepwell/v1/escalation_service_pb.js";
import { FeedService } from "./gen/keepwell/v1/feed_service_pb.js";
import { LeadService } from "./gen/keepwell/v1/lead_service_pb.js";
import { OutcomeService } from "./gen/keepwell/v1/outcome_service_pb.js";
import { keying, naming, retrying } from "./interceptors.js";

export interface Keepwell {
  decisions: Client<typeof DecisionService>;
  escalations: Client<typeof EscalationService>;
  feed: Client<typeof FeedService>;
  leads: Client<typeof LeadService>;
  outcomes: Client<typeof OutcomeService>;
}

const DEADLINE_MS = 10_000;

/**
 * Returns clients of the services at a URL (`http://HOST:PORT`, or `https` with TLS) for one tenant.
 *
 * A call takes at most 10 seconds, retries included, unless its `timeoutMs` says otherwise: streams take 0, which is no deadline.
 */
export function connect(baseUrl: string, tenant: string, options?: Partial<GrpcTransportOptions>): Keepwell {
  const transport = createGrpcTransport({
    defaultTimeoutMs: DEADLINE_MS,
    pingIntervalMs: 20_000, // or a frozen service is never noticed; it allows 10,000
    pingTimeoutMs: 5_000,
    ...options,
    baseUrl,
    interceptors: [naming(tenant), keying, retrying, ...(options?.interceptors ?? [])],
  });
  return {
    decisions: createClient(DecisionService, transport),
    escalations: createClient(EscalationService, transport),
    feed: createClient(FeedService, transport),
    leads: createClient(LeadService, transport),
    outcomes: createClient(OutcomeService, transport),
  };
}
