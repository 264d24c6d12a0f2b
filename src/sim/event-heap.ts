/**
 * What is to happen, soonest first: a binary heap ordered by (time, tie break, sequence).
 *
 * The tie break is a draw of the seed, so that events of one instant are met in different orders under different seeds; the
 * sequence makes the order total.
 */
export interface SimEvent {
  readonly timeUs: number;
  readonly tieBreak: number;
  readonly sequence: number;
  readonly run: () => void;
}

export class EventHeap {
  private readonly events: SimEvent[] = [];

  get length(): number {
    return this.events.length;
  }

  peek(): SimEvent | undefined {
    return this.events[0];
  }

  push(event: SimEvent): void {
    const { events } = this;
    let index = events.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, events[parent]!)) break;
      events[index] = events[parent]!;
      index = parent;
    }
    events[index] = event;
  }

  pop(): SimEvent | undefined {
    const { events } = this;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    this.sink(last);
    return first;
  }

  private sink(event: SimEvent): void {
    const { events } = this;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && isBefore(events[child + 1]!, events[child]!)) child++;
      if (!isBefore(events[child]!, event)) break;
      events[index] = events[child]!;
      index = child;
    }
    events[index] = event;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  if (a.timeUs !== b.timeUs) return a.timeUs < b.timeUs;
  if (a.tieBreak !== b.tieBreak) return a.tieBreak < b.tieBreak;
  return a.sequence < b.sequence;
}
