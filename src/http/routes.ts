/** The table of all routes. */
import {
  deleteKey,
  deleteKey64,
  getKey,
  getKey64,
  postKey,
  putKey,
  putKey64,
} from "./kv-routes.ts";
import type { Route } from "./route.ts";

const KEY_PROBLEMS = ["bad-key", "bad-key-encoding", "bad-bucket", "key-too-long"] as const;

const kv: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/kv/{bucket}/{key}",
    role: "read",
    summary: "Read a key",
    answers: { 200: "value" },
    problems: KEY_PROBLEMS,
    handle: getKey,
  },
  {
    method: "PUT",
    path: "/v1/kv/{bucket}/{key}",
    role: "write",
    summary: "Write a key",
    answers: { 204: "written" },
    problems: KEY_PROBLEMS,
    handle: putKey,
  },
  {
    method: "DELETE",
    path: "/v1/kv/{bucket}/{key}",
    role: "write",
    summary: "Delete a key",
    answers: { 204: "deleted" },
    problems: KEY_PROBLEMS,
    handle: deleteKey,
  },
  {
    method: "POST",
    path: "/v1/kv/{bucket}",
    role: "write",
    summary: "Write under a new key",
    answers: { 201: "written" },
    problems: KEY_PROBLEMS,
    handle: postKey,
  },
  {
    method: "GET",
    path: "/v1/kv64/{bucket}/{key}",
    role: "read",
    summary: "Read a key",
    answers: { 200: "value" },
    problems: KEY_PROBLEMS,
    handle: getKey64,
  },
  {
    method: "PUT",
    path: "/v1/kv64/{bucket}/{key}",
    role: "write",
    summary: "Write a key",
    answers: { 204: "written" },
    problems: KEY_PROBLEMS,
    handle: putKey64,
  },
  {
    method: "DELETE",
    path: "/v1/kv64/{bucket}/{key}",
    role: "write",
    summary: "Delete a key",
    answers: { 204: "deleted" },
    problems: KEY_PROBLEMS,
    handle: deleteKey64,
  },
];

export const ROUTES: readonly Route[] = [...kv];
