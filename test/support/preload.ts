/** For every test file: a slow machine is no failure. What must be quick says so itself. */
import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(30_000);
