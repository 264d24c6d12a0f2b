/** What a program that embeds a node, or talks to one, imports. */

export { HutchError } from "./base/errors.ts";
export type { ErrorCode, Retry } from "./base/errors.ts";
export { Client } from "./client/client.ts";
export type { ClientOptions, Send } from "./client/client.ts";
export type { ListAnswer, ListOptions, Reading, WriteOptions, Written } from "./client/messages.ts";
export { createBunPorts } from "./cli/bun-ports.ts";
export type { Config } from "./config.ts";
export { loadConfig } from "./config/load-config.ts";
export type { ConfigSources, LoadedConfig } from "./config/load-config.ts";
export { startNode } from "./node.ts";
export type { Node, NodePorts } from "./node.ts";
export { silentLogger } from "./ports/logger.ts";
export type { Logger } from "./ports/logger.ts";
