/**
 * The one linear memory of the kernels: 256 KiB, never grown, so that views on it stay valid.
 *
 *   0x00000  RESULT    64 B     what a kernel answers besides its return value
 *   0x00040  LINE      64 B     one bloom filter line, or the 16-byte SipHash key
 *   0x01000  TABLES     8 KiB   the eight CRC-32 tables
 *   0x04000  INPUT     64 KiB   the bytes a kernel works on
 *   0x14000  KEY       16 KiB   the key that a block search looks for
 *   0x20000  OUTPUT   128 KiB   the block that the block encoder writes
 *   0x40000  end
 *
 * Nothing survives a call except TABLES. The wrapper reads these numbers from the exports.
 */

export const RESULT: i32 = 0x00000;
export const LINE: i32 = 0x00040;
export const TABLES: i32 = 0x01000;
export const INPUT: i32 = 0x04000;
export const INPUT_BYTES: i32 = 0x10000;
export const KEY: i32 = 0x14000;
export const KEY_BYTES: i32 = 0x04000;
export const OUTPUT: i32 = 0x20000;
