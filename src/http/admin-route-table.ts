/** The rows of the table of routes (`routes.ts`) for those who look after a cluster: its views, its changes, its upkeep. */
import {
  READY_QUERY,
  acceptSuspect,
  getHealth,
  getHints,
  getJob,
  getJobs,
  getMetrics,
  getReadiness,
  getStorage,
  getSuspects,
  getUpkeep,
} from "./admin-routes.ts";
import { RING_QUERY, getCluster, getNodes, getRing } from "./cluster-routes.ts";
import {
  APPLY_BODY,
  FORCE_QUERY,
  LEAVE_BODY,
  REPLACE_BODY,
  STAGE_BODY,
  applyLayout,
  changeNode,
  getLayout,
  previewLayout,
  replaceNode,
  revertLayout,
  stageLayout,
} from "./layout-routes.ts";
import type { BodyKind, Route } from "./route.ts";
import { JSON_PROBLEMS, view, work } from "./route-rows.ts";
import { SNAPSHOT_BODY, getSnapshots, removeSnapshot, takeSnapshot } from "./snapshot-routes.ts";

const LAYOUT = "/v1/cluster/layout";
const NODE = "/v1/cluster/nodes/{id}";
const CHANGES_BODY: BodyKind = {
  mediaType: "application/json",
  description: "the changes",
  schema: STAGE_BODY,
};
const LAYOUT_ANSWERS = { 200: "the layout, what is staged, and what that would move" };
const JOB_ANSWERS = { 202: "agreed; Location has the job that follows it" };
const CHANGE_PROBLEMS = [...JSON_PROBLEMS, "layout-conflict", "unavailable"] as const;
/** Of what makes a new version of the layout. */
const VERSION_PROBLEMS = [...CHANGE_PROBLEMS, "would-underreplicate", "node-alive"] as const;

export const clusterRoutes: readonly Route[] = [
  { ...view("/v1/cluster", "The cluster at a glance", getCluster), checksScopes: true },
  { ...view("/v1/cluster/nodes", "The nodes", getNodes), checksScopes: true },
  {
    ...view("/v1/cluster/ring", "Who owns what", getRing),
    checksScopes: true,
    query: RING_QUERY,
  },
  {
    ...view(
      LAYOUT,
      "The layout, what is staged, what that would move, and how far a change is",
      getLayout,
    ),
    checksScopes: true,
  },
  {
    method: "POST",
    path: `${LAYOUT}/preview`,
    role: "admin",
    summary: "What changes would move; nothing is staged",
    body: CHANGES_BODY,
    answers: LAYOUT_ANSWERS,
    problems: CHANGE_PROBLEMS,
    handle: previewLayout,
  },
  {
    method: "POST",
    path: `${LAYOUT}/stage`,
    role: "admin",
    summary: "Stage changes of the layout",
    body: CHANGES_BODY,
    answers: LAYOUT_ANSWERS,
    problems: CHANGE_PROBLEMS,
    handle: stageLayout,
  },
  {
    method: "POST",
    path: `${LAYOUT}/apply`,
    role: "admin",
    summary: "Make what is staged the next version",
    query: FORCE_QUERY,
    body: { mediaType: "application/json", description: "which version", schema: APPLY_BODY },
    answers: JOB_ANSWERS,
    problems: VERSION_PROBLEMS,
    handle: applyLayout,
  },
  {
    method: "POST",
    path: `${LAYOUT}/revert`,
    role: "admin",
    summary: "Drop what is staged; with nothing staged, go back to the layout before",
    answers: LAYOUT_ANSWERS,
    problems: ["layout-conflict", "unavailable"],
    handle: revertLayout,
  },
  nodeChange("leave", "Let a node hand over all it holds, and go", changeNode("leave")),
  nodeChange("remove", "Remove a node that is gone for good", changeNode("remove")),
  {
    ...nodeChange("replace", "Put another node in the place of one that is gone", replaceNode),
    body: { mediaType: "application/json", description: "who comes", schema: REPLACE_BODY },
  },
];

function nodeChange(action: string, summary: string, handle: Route["handle"]): Route {
  return {
    method: "POST",
    path: `${NODE}/${action}`,
    role: "admin",
    summary,
    query: FORCE_QUERY,
    body: {
      mediaType: "application/json",
      description: "how",
      schema: LEAVE_BODY,
      isOptional: true,
    },
    answers: JOB_ANSWERS,
    problems: [...VERSION_PROBLEMS, "no-such-route"],
    handle,
  };
}

export const adminRoutes: readonly Route[] = [
  { ...view("/v1/admin/hints", "Writes held for others", getHints), role: "admin" },
  { ...view("/v1/admin/repair", "Repairs under way and done", getUpkeep("repair")), role: "admin" },
  { ...view("/v1/admin/scrub", "What was verified on disk", getUpkeep("scrub")), role: "admin" },
  { ...view("/v1/admin/suspects", "Records that may be deleted ones", getSuspects), role: "admin" },
  {
    method: "POST",
    path: "/v1/admin/suspects/{id}/accept",
    role: "admin",
    summary: "Let a record in that was held back",
    answers: { 204: "it is a record like any other now" },
    problems: ["key-not-found"],
    handle: acceptSuspect,
  },
  { ...view("/v1/admin/storage", "The storage engine", getStorage), role: "admin" },
  { ...view("/v1/admin/jobs", "Long work", getJobs), role: "admin" },
  {
    ...view("/v1/admin/jobs/{id}", "One piece of long work", getJob),
    role: "admin",
    problems: ["no-such-job", "not-acceptable"],
  },
  work("repair", "Compare with the other owners and repair"),
  work("flush", "Write the memtable to disk"),
  work("compact", "Compact all levels and collect what is due"),
  work("scrub", "Verify every byte on disk"),
  work("drain", "Finish what is under way and take nothing new"),
  {
    method: "POST",
    path: "/v1/admin/snapshot",
    role: "admin",
    summary: "Take a snapshot of all that this node has",
    body: {
      mediaType: "application/json",
      description: "its name",
      schema: SNAPSHOT_BODY,
      isOptional: true,
    },
    answers: { 202: "started; Location has the job" },
    problems: [...JSON_PROBLEMS, "bad-request", "snapshot-conflict", "disk-full"],
    handle: takeSnapshot,
  },
  { ...view("/v1/admin/snapshots", "Snapshots of this node", getSnapshots), role: "admin" },
  {
    method: "DELETE",
    path: "/v1/admin/snapshots/{name}",
    role: "admin",
    summary: "Remove a snapshot of this node",
    answers: { 204: "it is gone" },
    problems: ["bad-request", "no-such-snapshot"],
    handle: removeSnapshot,
  },
];

export const healthRoutes: readonly Route[] = [
  { ...view("/healthz", "Is the process up", getHealth), role: "none" },
  {
    ...view("/readyz", "Is the node able to serve", getReadiness),
    role: "none",
    query: READY_QUERY,
    problems: ["unavailable"],
  },
  { ...view("/metrics", "OpenMetrics", getMetrics), role: "metrics", checksScopes: true },
];
