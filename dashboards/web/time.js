// Times: the record's own text keeps its nanoseconds; what is shown is local, to the millisecond.

/** Presets of the time range: key in the address, label. */
export const PRESETS = [
  ["15m", "Last 15 minutes"],
  ["1h", "Last hour"],
  ["6h", "Last 6 hours"],
  ["24h", "Last 24 hours"],
  ["7d", "Last 7 days"],
  ["30d", "Last 30 days"],
  ["all", "All time"],
];

const pad = (number, width = 2) => String(number).padStart(width, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `["Nov 20", "21:39:19", ".123"]` of a moment, local time; the year instead of nothing where it is not this one. */
export function timeParts(milliseconds) {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return ["", "no time", ""];
  const year = date.getFullYear() === new Date().getFullYear() ? "" : `${date.getFullYear()} `;
  return [
    `${year}${MONTHS[date.getMonth()]} ${pad(date.getDate())}`,
    `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`,
    `.${pad(date.getMilliseconds(), 3)}`,
  ];
}

/** One short text for a moment: `Nov 20 21:39:19`, with milliseconds where `interval` (in ms) is below a second. */
export function shortTime(milliseconds, interval = 1000) {
  const [day, clock, fraction] = timeParts(milliseconds);
  return `${day} ${clock}${interval < 1000 ? fraction : ""}`;
}

/** A label for an axis whose span is `span` milliseconds. */
export function axisTime(milliseconds, span) {
  const [day, clock, fraction] = timeParts(milliseconds);
  if (span <= 10_000) return clock + fraction;
  if (span <= 600_000) return clock;
  if (span <= 36 * 3_600_000) return clock.slice(0, 5);
  return span <= 10 * 86_400_000 ? `${day} ${clock.slice(0, 5)}` : day;
}

/** The value of an `<input type="datetime-local">`, to the millisecond. */
export function toLocalInput(milliseconds) {
  const date = new Date(milliseconds);
  const day = `${pad(date.getFullYear(), 4)}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${day}T${clock}.${pad(date.getMilliseconds(), 3)}`;
}

/** RFC 3339 of milliseconds since 1970. */
export function toRfc3339(milliseconds) {
  return new Date(milliseconds).toISOString();
}

/** A key that sorts RFC 3339 times in UTC as text, whatever their precision. */
export function timeKey(rfc3339) {
  const [head, fraction = ""] = rfc3339.replace(/Z$/, "").split(".");
  return `${head}.${fraction.padEnd(9, "0")}`;
}

/** A span of time in words: `1 minute`, `30 seconds`. */
export function spanText(milliseconds) {
  const units = [[86_400_000, "day"], [3_600_000, "hour"], [60_000, "minute"], [1000, "second"], [1, "millisecond"]];
  const [size, name] = units.find(([size]) => milliseconds >= size) ?? units.at(-1);
  const count = Math.round((milliseconds / size) * 10) / 10;
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}
