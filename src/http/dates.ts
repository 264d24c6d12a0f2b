/**
 * Instants as HTTP and JSON write them: `Sat, 21 Nov 2026 13:44:29 GMT` (RFC 9110) and `2026-11-21T13:44:29.000Z`
 * (RFC 3339), in Unix milliseconds.
 *
 * Civil days are counted from 0000-03-01, so that the leap day is the last of its year: Howard Hinnant,
 * "chrono-compatible low-level date algorithms".
 */

const DAY_MS = 86_400_000;
/** Days from 0000-03-01 to 1970-01-01. */
const EPOCH_DAYS = 719_468;
const ERA_DAYS = 146_097;
const WEEKDAYS = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

interface CivilDay {
  readonly year: number;
  /** 1..12 */
  readonly month: number;
  readonly day: number;
}

function civilDay(daysSinceEpoch: number): CivilDay {
  const shifted = daysSinceEpoch + EPOCH_DAYS;
  const era = Math.floor(shifted / ERA_DAYS);
  const dayOfEra = shifted - era * ERA_DAYS;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

function daysSinceEpoch(year: number, month: number, day: number): number {
  const shiftedYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(shiftedYear / 400);
  const yearOfEra = shiftedYear - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * ERA_DAYS + dayOfEra - EPOCH_DAYS;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

function timeOfDay(second: number): string {
  return `${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`;
}

/** Writes of one second share their date; reads meet a few such seconds again and again. Bounded by `CACHE_LENGTH`. */
const CACHE_LENGTH = 64;
const cachedSeconds = new Float64Array(CACHE_LENGTH).fill(-1);
const cachedDates: string[] = new Array(CACHE_LENGTH).fill("");

/** `Sat, 21 Nov 2026 13:44:29 GMT`; `unixMs` is not negative. */
export function httpDate(unixMs: number): string {
  const second = Math.floor(unixMs / 1000);
  const slot = second % CACHE_LENGTH;
  if (cachedSeconds[slot] !== second) {
    cachedSeconds[slot] = second;
    cachedDates[slot] = formatHttpDate(second);
  }
  return cachedDates[slot]!;
}

function formatHttpDate(second: number): string {
  const days = Math.floor(second / 86_400);
  const { year, month, day } = civilDay(days);
  const weekday = WEEKDAYS[days % 7]!;
  return `${weekday}, ${two(day)} ${MONTHS[month - 1]!} ${year} ${timeOfDay(second % 86_400)} GMT`;
}

/** `2026-11-21T13:44:29.000Z`; `unixMs` is not negative. */
export function rfc3339(unixMs: number): string {
  const days = Math.floor(unixMs / DAY_MS);
  const { year, month, day } = civilDay(days);
  const inDay = unixMs - days * DAY_MS;
  const fraction = String(Math.floor(inDay % 1000)).padStart(3, "0");
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}T${timeOfDay(Math.floor(inDay / 1000))}.${fraction}Z`;
}

const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;

/** Unix milliseconds of an RFC 3339 text, or `undefined` where it is none or names no real instant. */
export function parseRfc3339(text: string): number | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const part = (group: number): number => Number(match[group] ?? "0");
  const [year, month, day] = [part(1), part(2), part(3)];
  const [hour, minute, second] = [part(4), part(5), part(6)];
  const [offsetHour, offsetMinute] = [part(9), part(10)];
  if (!isCivilDay(year, month, day) || hour > 23 || minute > 59 || second > 59) return undefined;
  if (offsetHour > 23 || offsetMinute > 59) return undefined;
  const milliseconds = Number((match[7] ?? "0").padEnd(3, "0").slice(0, 3));
  const offsetMs = (offsetHour * 60 + offsetMinute) * 60_000 * (match[8] === "-" ? -1 : 1);
  const daysMs = daysSinceEpoch(year, month, day) * DAY_MS;
  return daysMs + ((hour * 60 + minute) * 60 + second) * 1000 + milliseconds - offsetMs;
}

function isCivilDay(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1) return false;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return day <= MONTH_DAYS[month - 1]! + (month === 2 && isLeap ? 1 : 0);
}
