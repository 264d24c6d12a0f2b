/** The jobs of the store as this program runs them: workers import this module by its URL, the main thread by its name. */

import { zstdCompression } from "../bun/compression.ts";
import { retainEntries } from "../causality/retention.ts";
import { createStorageJobs } from "../storage/jobs.ts";
import "../bun/native-kernels.ts";

export const storageJobs = createStorageJobs(zstdCompression, retainEntries);
