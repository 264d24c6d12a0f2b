/** `hutch version`. */

import manifest from "../../package.json" with { type: "json" };
import { print } from "./terminal.ts";

export const VERSION: string = manifest.version;

export function printVersion(): void {
  print(`hutch ${VERSION} (bun ${Bun.version}, ${process.platform} ${process.arch})`);
}
