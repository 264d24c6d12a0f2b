/** The one way that benches print: rates, and the ratio to the peer measured in the same run. */
export interface RatioRow {
  readonly what: string;
  /** Operations a second. */
  readonly own: number;
  readonly peer: string;
  readonly peerRate: number;
  /** The ratio to reach (DESIGN.md section 5). */
  readonly goal: number;
}

export function printRatios(subject: string, rows: readonly RatioRow[]): void {
  const table = rows.map((row) => {
    const ratio = row.own / row.peerRate;
    return {
      what: row.what,
      hutch: Math.round(row.own).toLocaleString("en"),
      peer: row.peer,
      "peer's rate": Math.round(row.peerRate).toLocaleString("en"),
      ratio: `${ratio.toFixed(2)}x`,
      goal: `${row.goal}x`,
      reached: ratio >= row.goal ? "yes" : "MISSED",
    };
  });
  console.log(`\n${subject}`);
  console.log(Bun.inspect.table(table, { colors: false }));
}
