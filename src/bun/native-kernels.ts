/**
 * Puts the kernels of Bun itself in place, by being imported: every entry point that runs on Bun, the main
 * thread and each worker, imports this file once.
 */

import { useNativeKernels } from "../kernels/kernels.ts";

useNativeKernels({ crc32: (bytes) => Bun.hash.crc32(bytes) });
