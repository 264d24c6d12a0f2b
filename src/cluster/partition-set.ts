/** A set of partitions as a bitmap, least significant bit first: the form in which messages carry it. */
export class PartitionSet {
  readonly bytes: Uint8Array;

  /** @param bytes taken over, not copied; what lies behind its end is not in the set */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  static none(partitionCount: number): PartitionSet {
    return new PartitionSet(new Uint8Array(Math.ceil(partitionCount / 8)));
  }

  static all(partitionCount: number): PartitionSet {
    const all = PartitionSet.none(partitionCount);
    for (let partition = 0; partition < partitionCount; partition++) all.add(partition);
    return all;
  }

  /** `partition` is within the count that the set was made for. */
  add(partition: number): void {
    this.bytes[partition >> 3]! |= 1 << (partition & 7);
  }

  has(partition: number): boolean {
    const byte = partition >> 3;
    return byte < this.bytes.length && ((this.bytes[byte]! >> (partition & 7)) & 1) === 1;
  }

  /** In ascending order. */
  members(): number[] {
    const members: number[] = [];
    for (let partition = 0; partition < this.bytes.length * 8; partition++)
      if (this.has(partition)) members.push(partition);
    return members;
  }

  get isEmpty(): boolean {
    return this.bytes.every((byte) => byte === 0);
  }
}
