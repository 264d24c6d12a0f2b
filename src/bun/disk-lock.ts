/**
 * One process per data directory (FAULTS.md C19): `flock` on a file, held for life.
 *
 * The kernel drops the lock with the descriptor, so a killed process leaves none behind; what the file says (process id,
 * note) is for people. The file is never unlinked: two processes could then hold locks on two files of one name.
 */
import { dlopen, FFIType } from "bun:ffi";
import * as fs from "node:fs";
import { DiskError, type DiskLock } from "../ports/disk.ts";
import { messageOf } from "../base/errors.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
const NOTE_BYTES_MAX = 1024;
const C_LIBRARIES = [
  "libc.so.6",
  "libSystem.B.dylib",
  "libc.musl-x86_64.so.1",
  "libc.musl-aarch64.so.1",
];

/** Locks the open file `descriptor`, which belongs to the lock from now on. */
export function lockDescriptor(descriptor: number, path: string, note: string): DiskLock {
  if (flock(descriptor, LOCK_EX | LOCK_NB) !== 0) {
    const holder = readNote(descriptor);
    fs.closeSync(descriptor);
    throw new DiskError("locked", path, `Cannot lock "${path}": held by ${holder}`);
  }
  writeNote(descriptor, `pid ${process.pid} ${note}\n`);
  let isHeld = true;
  return {
    release(): void {
      if (isHeld) fs.closeSync(descriptor);
      isHeld = false;
    },
  };
}

/** Best effort: a full disk must not keep a node from starting, and nothing depends on the text. */
function writeNote(descriptor: number, text: string): void {
  try {
    fs.ftruncateSync(descriptor, 0);
    fs.writeSync(descriptor, text, 0);
  } catch {
    // The lock is held all the same.
  }
}

function readNote(descriptor: number): string {
  const bytes = new Uint8Array(NOTE_BYTES_MAX);
  const length = fs.readSync(descriptor, bytes, 0, NOTE_BYTES_MAX, 0);
  const text = new TextDecoder().decode(bytes.subarray(0, length)).trim();
  return text === "" ? "another process" : JSON.stringify(text);
}

type Flock = (descriptor: number, operation: number) => number;
let loadedFlock: Flock | undefined;

function flock(descriptor: number, operation: number): number {
  loadedFlock ??= loadFlock();
  return loadedFlock(descriptor, operation);
}

function loadFlock(): Flock {
  const failures: string[] = [];
  for (const library of C_LIBRARIES) {
    try {
      const symbols = {
        flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
      } as const;
      return dlopen(library, symbols).symbols.flock;
    } catch (thrown) {
      failures.push(messageOf(thrown));
    }
  }
  throw new DiskError("io", "", `Cannot load flock from the C library: ${failures.join("; ")}`);
}
