/** Keepwell's client: the contract's messages and services, and what every caller needs around them. */
export { type Keepwell, connect } from "./connect.js";
export { type Explanation, explain } from "./errors.js";
export { type TokenStore, type WatchOptions, watch } from "./watch.js";
export * from "./gen/keepwell/v1/decision_pb.js";
export * from "./gen/keepwell/v1/decision_service_pb.js";
export * from "./gen/keepwell/v1/error_reason_pb.js";
export * from "./gen/keepwell/v1/escalation_service_pb.js";
export * from "./gen/keepwell/v1/feed_service_pb.js";
export * from "./gen/keepwell/v1/lead_pb.js";
export * from "./gen/keepwell/v1/lead_service_pb.js";
export * from "./gen/keepwell/v1/metrics_service_pb.js";
export * from "./gen/keepwell/v1/model_service_pb.js";
export * from "./gen/keepwell/v1/outcome_service_pb.js";
export * from "./gen/keepwell/v1/policy_service_pb.js";
